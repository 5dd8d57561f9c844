import pytest
import torch

from vidfer.models.generator import Generator
from vidfer.types import VidferError


def by_hand(blocks, layers, growth, bottleneck, norm, scale=1):
    width = layers * growth
    block = 0
    for index in range(layers):
        maps = width + index * growth
        block += 9 * maps * growth + (2 * maps if norm == "batch" else growth)
    colours = 3 * scale**2
    head = 9 * colours * width + width
    fusion = width * (blocks + 1) * bottleneck + bottleneck
    return head + blocks * block + fusion + 9 * bottleneck * colours + colours


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(
    ("preset", "size", "millions"),
    [("full", (8, 8, 16, 256), 2.03), ("small", (4, 4, 16, 64), 0.23), ("tiny", (2, 4, 16, 64), 0.12)],
)
def test_parameters_by_hand(preset, size, millions, norm):
    count = sum(p.numel() for p in Generator(preset, norm).parameters())
    assert count == by_hand(*size, norm)
    assert count / 1e6 == pytest.approx(millions, abs=0.03)


def test_parameters_of_the_shipped_network_by_hand():
    count = sum(p.numel() for p in Generator("small", "none", scale=2).parameters())
    assert count == by_hand(4, 4, 16, 64, "none", scale=2)


@pytest.mark.parametrize("output", ["residual", "direct"])
def test_residual_adds_to_the_input(output):
    net = Generator("tiny", "none", output).eval()
    torch.nn.init.zeros_(net.tail.weight)
    torch.nn.init.zeros_(net.tail.bias)
    image = torch.randn(1, 3, 17, 23)
    torch.testing.assert_close(net(image), image if output == "residual" else torch.zeros_like(image))


@pytest.mark.parametrize("scale", [1, 2])
def test_receptive_field_is_one_pixel_a_convolution(scale):
    torch.manual_seed(0)
    net = Generator("tiny", "none", scale=scale).eval()
    image = torch.zeros(1, 3, 60, 60, requires_grad=True)
    net(image)[0, 0, 30, 30].backward()
    reached = image.grad[0].abs().sum(0).nonzero()
    convolutions = 1 + 2 * 4 + 1  # head, two blocks of four layers, tail
    assert net.folding.radius == convolutions * scale
    assert (30 - reached).max() == net.folding.radius
    assert (reached - 30).max() == net.folding.radius + scale - 1


@pytest.mark.parametrize("shape", [(17, 23), (1, 1), (64, 3)])
def test_folding_takes_any_size(shape):
    image = torch.rand(1, 3, *shape)
    assert Generator("tiny", "none", scale=2)(image).shape == image.shape


def test_unknown_options_are_named():
    with pytest.raises(VidferError, match="full, small, tiny"):
        Generator("huge")
