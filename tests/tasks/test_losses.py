import math

import pytest
import torch
from torch import nn

from vidfer.models.generator import Critic
from vidfer.tasks.losses import (
    adversarial_loss,
    clip_weights,
    combined_loss,
    content_loss,
    gan_generator_loss,
    gan_value,
    gradient_penalty,
    wasserstein_estimate,
)

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_equation_1_by_hand():
    value = (math.log(sigmoid(2)) + math.log(0.5)) / 2 + (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(3))) / 2
    assert gan_value(REAL, FAKE).item() == pytest.approx(value, rel=1e-6)
    unsure = torch.zeros(4)
    assert gan_value(unsure, unsure).item() == pytest.approx(-2 * math.log(2))


def test_equation_1_for_the_generator_keeps_its_slope_where_the_critic_is_sure():
    fake = torch.tensor([-20.0], requires_grad=True)
    loss = gan_generator_loss(fake)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(sigmoid(-20)), rel=1e-6)
    assert fake.grad.item() == pytest.approx(-1, abs=1e-6)
    other = torch.tensor([-20.0], requires_grad=True)
    gan_value(REAL, other).backward()
    assert abs(other.grad.item()) < 1e-8


def test_equation_2_by_hand():
    assert wasserstein_estimate(REAL, FAKE).item() == (2 + 0) / 2 - (-1 + 3) / 2


def test_equation_3_of_a_linear_critic_is_its_weights_norm_less_one_squared():
    weight = torch.randn(3 * 4 * 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    real, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    penalty = gradient_penalty(lambda image: image.flatten(1) @ weight, real, fake)
    norm = math.sqrt((weight.detach() ** 2).sum().item())
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()
    expected = 2 * (norm - 1) * weight.detach() / norm
    torch.testing.assert_close(weight.grad, expected)


def test_equation_3_of_a_quadratic_critic_lies_between_its_ends():
    """J(u) = |u|^2 / 2 has the gradient u: on the line from a to b its norm is at most the longer end's."""
    real, fake = torch.full((64, 1, 2, 2), 3.0), torch.full((64, 1, 2, 2), 1.0)
    penalty = gradient_penalty(lambda image: 0.5 * image.square().flatten(1).sum(1), real, fake)
    norms = torch.tensor([6.0, 2.0])  # of (3, 3, 3, 3) and (1, 1, 1, 1)
    assert ((norms[1] - 1) ** 2).item() < penalty.item() < ((norms[0] - 1) ** 2).item()
    mean_over_the_line = ((5**3) - 1) / (3 * 4)  # the mean of (n - 1)^2 for n even between 2 and 6
    assert penalty.item() == pytest.approx(mean_over_the_line, rel=0.25)


def test_equation_3_at_a_slope_of_zero_has_a_finite_gradient():
    scale = torch.zeros(1, requires_grad=True)
    gradient_penalty(
        lambda image: scale * image.flatten(1).sum(1), torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    ).backward()
    assert torch.isfinite(scale.grad).all()


def test_equation_3_is_in_float32_under_autocast():
    layer = nn.Linear(12, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = gradient_penalty(
            lambda image: layer(image.flatten(1))[:, 0], torch.ones(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
        )
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx((layer.weight.norm().item() - 1) ** 2, rel=1e-5)


def test_equation_4_by_hand():
    assert combined_loss(torch.tensor(-5.0), torch.tensor(0.25), 1e-4).item() == pytest.approx(0.25 - 5e-4)


def test_equation_5_by_hand():
    denoised = torch.tensor([[[[1.0, 2.0]]]])
    clean = torch.tensor([[[[0.0, 4.0]]]])
    assert content_loss(denoised, clean).item() == (1 + 4) / 2


def test_equation_6_by_hand():
    assert adversarial_loss(FAKE).item() == -1.0


def test_clipped_weights_still_tell_images_apart():
    torch.manual_seed(0)
    critic = Critic(16, 4)
    clip_weights(critic, 0.01)
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    critic(images).sum().backward()
    assert images.grad.flatten(1).norm(dim=1).min() > 1e-6
    assert all((norm.weight == 1).all() for norm in critic.modules() if isinstance(norm, nn.GroupNorm))


def test_weight_clipping():
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.003]]))
    clip_weights(layer, 0.01)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[0.01, -0.003]]))
    assert layer.bias.abs().max() <= 0.01


def test_equations_2_and_3_teach_a_critic_to_tell_clean_from_noisy():
    torch.manual_seed(0)
    critic = Critic(16, 4)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.0, 0.9))
    for _ in range(160):
        clean = torch.rand(8, 3, 1, 1).mul(2).sub(1).expand(-1, -1, 16, 16)
        noisy = clean + 0.4 * torch.randn(clean.shape)
        distance = wasserstein_estimate(critic(clean), critic(noisy))
        optimizer.zero_grad()
        (10 * gradient_penalty(critic, clean, noisy) - distance).backward()
        optimizer.step()
    between = 0.4 * math.sqrt(3 * 16 * 16)  # the mean length of the noise, which a 1-Lipschitz critic cannot exceed
    assert 1 < distance.item() < 1.3 * between
