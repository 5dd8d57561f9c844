"""What holds for every family of denoisers, and each family's own equations."""

import numpy as np
import pytest
import torch

from vidfer.models.rbm import RBM, fit_rbm
from vidfer.paper.denoisers import (
    DENOISERS,
    LSTMDenoiser,
    PatchDenoiser,
    RecursiveDenoiser,
    RNNDenoiser,
    denoise_task,
)
from vidfer.types import VidferError


def build(family):
    torch.manual_seed(0)
    return denoise_task(family).generator


@pytest.mark.parametrize("family", DENOISERS)
@pytest.mark.parametrize(("height", "width"), [(16, 24), (13, 9), (5, 3), (1, 1)])
def test_any_size(family, height, width):
    network = build(family).eval()
    with torch.inference_mode():
        denoised = network(torch.rand(2, 3, height, width) * 2 - 1)
    assert denoised.shape == (2, 3, height, width)
    assert denoised.isfinite().all()


@pytest.mark.parametrize("family", DENOISERS)
def test_sizes_are_comparable(family):
    assert 40_000 < sum(weight.numel() for weight in build(family).parameters()) < 130_000


@pytest.mark.parametrize("family", DENOISERS)
def test_one_crop_can_be_overfitted(family):
    network = build(family)
    rng = torch.Generator().manual_seed(1)
    clean = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 5, generator=rng) * 2 - 1, 16, mode="bilinear")
    noisy = clean + 0.3 * torch.randn(1, 3, 16, 16, generator=rng)
    if isinstance(network, PatchDenoiser):
        network.pretrain(clean, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(150):
        loss = (network(noisy) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * (noisy - clean).square().mean()


@pytest.mark.parametrize("family", ["cnn", "rcnn", "lstm", "rnn"])
def test_untrained_networks_change_nothing(family):
    image = torch.rand(1, 3, 10, 10)
    assert torch.equal(build(family).eval()(image), image)


def test_unknown_family():
    with pytest.raises(VidferError, match="'svm': use one of cnn, rcnn, lstm, dbn, rnn, gan"):
        denoise_task("svm")


def of_one_pixel(conv):
    """The full connections that a 3x3 convolution is where there is one pixel: all but its middle sees padding."""
    return conv.weight[:, :, 1, 1], conv.bias


def test_lstm_of_one_pixel_is_an_lstm():
    torch.manual_seed(0)
    network = LSTMDenoiser(width=6)
    weight, bias = of_one_pixel(network.conv)
    order = [0, 1, 3, 2]  # torch: input, forget, update, output
    weight, bias = (torch.cat([value.chunk(4)[index] for index in order]) for value in (weight, bias))
    cell = torch.nn.LSTMCell(24, 6)
    cell.load_state_dict(
        {"weight_ih": weight[:, :24], "weight_hh": weight[:, 24:], "bias_ih": bias, "bias_hh": torch.zeros(24)}
    )
    seen, output, state = torch.randn(5, 24), torch.randn(5, 6), torch.randn(5, 6)
    found = network._step(*(value[..., None, None] for value in (seen, output, state)))
    for ours, theirs in zip(found, cell(seen, (output, state)), strict=True):
        torch.testing.assert_close(ours[..., 0, 0], theirs)


def test_rnn_of_one_pixel_is_an_elman_network():
    torch.manual_seed(0)
    network = RNNDenoiser(width=5, steps=3)
    torch.nn.init.normal_(network.tail.weight, std=0.3)
    weight, bias = of_one_pixel(network.conv)
    out, out_bias = of_one_pixel(network.tail)
    cell = torch.nn.RNNCell(24, 5)
    cell.load_state_dict(
        {"weight_ih": weight[:, :24], "weight_hh": weight[:, 24:], "bias_ih": bias, "bias_hh": torch.zeros(5)}
    )
    folded = torch.randn(4, 12)
    state, estimate = torch.zeros(4, 5), folded
    for _ in range(3):
        state = cell(torch.cat([folded, estimate], dim=1), state)
        estimate = estimate + state @ out.T + out_bias
    torch.testing.assert_close(folded + network._correct(folded[..., None, None])[..., 0, 0], estimate)


def test_recursion_shares_its_weights():
    once, often = RecursiveDenoiser(width=4, passes=1), RecursiveDenoiser(width=4, passes=5)
    torch.nn.init.normal_(once.tail.weight)
    often.load_state_dict(once.state_dict())
    image = torch.rand(1, 3, 8, 8)
    assert not torch.allclose(once(image), often(image))


def test_overlapping_patches_are_averaged():
    """With a decoder of zeros, what is left are the patches' mean colours: here patch by patch."""
    network = PatchDenoiser(hidden=4, stride=4)
    for weight in network.decoder.parameters():
        torch.nn.init.zeros_(weight)
    image = torch.rand(1, 3, 16, 12)
    total, count = np.zeros((3, 16, 12)), np.zeros((16, 12))
    for top in (0, 4, 8):
        for left in (0, 4):
            patch = image[0, :, top : top + 8, left : left + 8].numpy()
            total[:, top : top + 8, left : left + 8] += patch.mean((1, 2), keepdims=True)
            count[top : top + 8, left : left + 8] += 1
    np.testing.assert_allclose(network(image)[0].detach(), total / count, rtol=1e-5)


def test_the_auto_encoder_starts_as_the_machine():
    torch.manual_seed(0)
    network = PatchDenoiser(hidden=10)
    images = torch.rand(4, 3, 20, 20)
    torch.manual_seed(1)
    network.pretrain(images, 2, seed=7)
    columns = torch.nn.functional.unfold(images, 8, stride=2).transpose(1, 2).reshape(-1, 3, 64)
    patches = (columns - columns.mean(2, keepdim=True)).flatten(1)
    torch.manual_seed(1)
    machine = RBM(192, 10, "gaussian")
    fit_rbm(machine, patches / patches.std(), epochs=1, lr=0.02, batch_size=len(patches) // 2, seed=7)
    one = images[:1, :, :8, :8]
    means = one.mean((2, 3), keepdim=True)
    scaled = (one - means).flatten(1) / patches.std()
    expected = means + patches.std() * machine.visible_mean(machine(scaled)).reshape(one.shape)
    torch.testing.assert_close(network(one), expected)


def test_pretraining_lowers_the_error_of_held_out_patches():
    rng = torch.Generator().manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(60, 3, 5, 5, generator=rng) * 2 - 1, 16, mode="bilinear")
    errors = []
    for steps in (1, 40):
        torch.manual_seed(0)
        network = PatchDenoiser().eval()
        network.pretrain(images[:40], steps)
        with torch.no_grad():
            errors.append((network(images[40:]) - images[40:]).square().mean())
    assert errors[1] < 0.7 * errors[0]
