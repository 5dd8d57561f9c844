"""The losses: the paper's, by equation number, and distillation.

J is the critic, H the generator, x a clean image; `real` and `fake` are J(x) and J(H(noisy)), `(B,)`; E is a batch's mean.

References:
    Goodfellow et al.: Generative adversarial nets. NIPS 2014.
    Arjovsky, Chintala, Bottou: Wasserstein generative adversarial networks. ICML 2017.
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved training of Wasserstein GANs. NIPS 2017.
    Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def gan_value(real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[log s(J(x))] + E[log(1 - s(J(H(noisy))))], equation 1, which the critic maximises; s is the sigmoid."""
    return functional.logsigmoid(real).mean() + functional.logsigmoid(-fake).mean()


def gan_generator_loss(fake: Tensor) -> Tensor:
    """Compute -E[log s(J(H(noisy)))], the generator's side of equation 1 without saturation (Goodfellow et al., section 3)."""
    return -functional.logsigmoid(fake).mean()


def wasserstein_estimate(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the critic's estimate of the Wasserstein distance, equation 2: E[J(x)] - E[J(H(noisy))]."""
    return real.mean() - fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Compute the gradient penalty, equation 3 without its weight: E[(||grad J(u)||_2 - 1)^2], at least in float32.

    Each u lies at a random place on the line between a clean image of `real` `(B, C, H, W)` and a denoised one of `fake`
    (Gulrajani et al.); the norm is over all values of a sample. Only the critic's weights get a gradient.
    """
    with torch.autocast(real.device.type, enabled=False):
        precise = torch.promote_types(real.dtype, torch.float32)
        real, fake = real.detach().to(precise), fake.detach().to(precise)
        share = torch.rand(len(real), *(1,) * (real.ndim - 1)).to(real)  # the state that checkpoints keep
        between = torch.lerp(fake, real, share).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        norm = (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()  # the root has no slope at 0
        return (norm - 1).square().mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clip the weights of a critic's convolutions and linear layers in place to [-limit, limit] (Arjovsky et al.).

    The scales of norms stay: clipped as well, they would suppress the signal.
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
    """Compute T^2 KL(softmax(teacher / T) || softmax(logits / T)) of logits `(B, K)`, with the temperature T > 0."""
    student = functional.log_softmax(logits / temperature, dim=1)
    soft = functional.log_softmax(teacher / temperature, dim=1)
    return functional.kl_div(student, soft, log_target=True, reduction="batchmean") * temperature**2
