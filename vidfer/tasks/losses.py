"""The losses: the paper's, by equation number, and distillation.

J is the critic, H the generator, x a clean image and H(noisy) a denoised one; `real` and `fake` are J(x) and J(H(noisy)),
`(B,)`. Where the paper writes an expectation, these are means over a batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def gan_value(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the value of the plain GAN's game, equation 1: what the critic raises and the generator lowers.

    E[log s(J(x))] + E[log(1 - s(J(H(noisy))))], with s the sigmoid, which the critic itself lacks.

    Returns:
        A scalar, at most 0; -2 log 2 where the critic cannot tell them apart.

    References:
        Goodfellow et al.: Generative adversarial nets. NIPS 2014.
    """
    return functional.logsigmoid(real).mean() + functional.logsigmoid(-fake).mean()


def gan_generator_loss(fake: Tensor) -> Tensor:
    """Compute -E[log s(J(H(noisy)))], the generator's side of equation 1 in the form that does not saturate.

    Equation 1 as it stands has no gradient left once the critic is sure; Goodfellow et al. (section 3) give this form, which
    has the same fixed point.
    """
    return -functional.logsigmoid(fake).mean()


def wasserstein_estimate(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the critic's estimate of the Wasserstein distance, equation 2: E[J(x)] - E[J(H(noisy))].

    It is an estimate, up to the critic's Lipschitz constant, as far as the critic maximises it.

    References:
        Arjovsky, Chintala, Bottou: Wasserstein generative adversarial networks. ICML 2017.
    """
    return real.mean() - fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Compute the gradient penalty, equation 3 without its weight: E[(||grad J(u)||_2 - 1)^2].

    Each u lies at a random place on the line between a clean image and a denoised one, as Gulrajani et al. (2017) define it; the
    norm is over all values of a sample. Computed in float32 whatever autocast says.

    Args:
        critic: Maps `(B, C, H, W)` to `(B,)`.
        real: Clean images `(B, C, H, W)`.
        fake: Denoised images `(B, C, H, W)`; no gradient reaches them.

    Returns:
        A scalar, at least 0, from which the critic's weights get their gradient.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = real.detach().float(), fake.detach().float()
        share = torch.rand(len(real), *(1,) * (real.ndim - 1)).to(real.device)  # the state that checkpoints keep
        between = torch.lerp(fake, real, share).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        norm = (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()  # the root has no slope at 0
        return (norm - 1).square().mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clip a critic's weights to [-limit, limit], the first way to keep it Lipschitz (Arjovsky et al. 2017).

    Those of convolutions and fully connected layers: the scales of norms stay, since clipped as well they would put out
    the signal.

    Args:
        critic: Changed in place.
        limit: Above 0; 0.01 in the reference.
    """
    for module in critic.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            for weight in module.parameters(recurse=False):
                weight.clamp_(-limit, limit)


def combined_loss(adversarial: Tensor, content: Tensor, weight: float) -> Tensor:
    """Compute the generator's loss, equation 4: weight * adversarial + content."""
    return weight * adversarial + content


def content_loss(denoised: Tensor, clean: Tensor) -> Tensor:
    """Compute the mean squared error over all pixels of images `(B, C, H, W)`, equation 5."""
    return (denoised - clean).square().mean()


def adversarial_loss(fake: Tensor) -> Tensor:
    """Compute the Wasserstein generator's loss, equation 6: -E[J(H(noisy))]."""
    return -fake.mean()


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Compute how far softened answers are from a teacher's: T^2 KL(softmax(teacher / T) || softmax(logits / T)).

    The factor keeps the gradient's size the same at every temperature.

    Args:
        logits: Of the network in training, `(B, K)`.
        teacher: The teacher's, `(B, K)`.
        temperature: T, above zero.

    Returns:
        A scalar, at least 0.

    References:
        Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015.
    """
    student = functional.log_softmax(logits / temperature, dim=1)
    soft = functional.log_softmax(teacher / temperature, dim=1)
    return functional.kl_div(student, soft, log_target=True, reduction="batchmean") * temperature**2
