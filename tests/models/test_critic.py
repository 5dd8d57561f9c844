from itertools import pairwise

import pytest
import torch
from torch import nn

from vidfer.models.generator import Critic
from vidfer.types import VidferError


def by_hand(width, crop):
    widths = [3, *(width * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8))]
    convolutions = sum(9 * a * b + b for a, b in pairwise(widths))
    norms = sum(2 * b for b in widths[2:])
    side = crop // 16
    return convolutions + norms + 8 * width * side**2 * 16 * width + 16 * width + 16 * width + 1


@pytest.mark.parametrize(("width", "crop"), [(64, 64), (8, 32)])
def test_parameters_by_hand(width, crop):
    assert sum(p.numel() for p in Critic(crop, width).parameters()) == by_hand(width, crop)


def test_layers_are_the_papers():
    critic = Critic()
    convolutions = [each for each in critic.modules() if isinstance(each, nn.Conv2d)]
    assert [each.out_channels for each in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [each.stride[0] for each in convolutions] == [1, 2] * 4
    assert [each.out_features for each in critic.modules() if isinstance(each, nn.Linear)] == [1024, 1]
    assert {each.negative_slope for each in critic.modules() if isinstance(each, nn.LeakyReLU)} == {0.2}
    assert not [each for each in critic.modules() if isinstance(each, nn.BatchNorm2d | nn.Sigmoid)]


def test_norm_is_over_the_whole_sample():
    critic = Critic(16, 2)
    features = torch.randn(3, 2, 8, 8)
    expected = nn.functional.layer_norm(features, features.shape[1:])
    torch.testing.assert_close(critic.features[3](features), expected)


def test_samples_do_not_meet():
    critic = Critic(32, 4).eval()
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(critic(images)[2], critic(images[2:3])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("crop", [16, 40, 63])
def test_any_crop_from_16(crop):
    assert Critic(crop, 4)(torch.zeros(2, 3, crop, crop)).shape == (2,)


def test_too_small():
    with pytest.raises(VidferError, match="too small"):
        Critic(15)
