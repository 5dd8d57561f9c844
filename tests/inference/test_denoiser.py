import numpy as np
import pytest
import torch
from skimage.data import astronaut

from vidfer.inference.denoiser import CORE, Denoiser
from vidfer.inference.network import Compute
from vidfer.models.generator import Generator
from vidfer.types import VidferError
from vidfer.weights.files import find_weights, save_weights


@pytest.fixture
def weights(tmp_path):
    """Random weights that change an image much."""

    def save(**arguments):
        torch.manual_seed(0)
        network = Generator(**arguments)
        with torch.no_grad():
            network.tail.weight.mul_(5)
        path = tmp_path / "w.safetensors"
        card = {"kind": "denoise", "arch": "generator", "arguments": arguments, "preprocessing": {"range": [-1, 1]}}
        save_weights(path, network.state_dict(), card)
        return path, network.eval()

    return save


def plain(network, image):
    with torch.inference_mode():
        signed = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        return ((network(signed)[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_tiles_equal_the_whole_image(weights, scale, norm):
    path, network = weights(preset="tiny", norm=norm, output="residual", scale=scale)
    image = np.random.default_rng(0).integers(0, 256, (53, CORE + 77, 3), np.uint8)
    expected = plain(network, image)
    assert np.abs(expected - image).mean() > 2
    assert np.abs(Denoiser(path)(image[None])[0] - expected).max() <= 1  # of 255, where rounding falls otherwise


def test_images_do_not_meet_and_floats_are_taken(weights):
    path, _ = weights(preset="tiny", norm="none", output="residual", scale=2)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 31, 3), np.uint8)
    denoiser = Denoiser(path)
    both = denoiser(images)
    assert both.dtype == np.uint8
    np.testing.assert_array_equal(both[1], denoiser(images[1:2])[0])
    np.testing.assert_array_equal(both, denoiser(images.astype(np.float32)))
    assert denoiser(images[:0]).shape == (0, 20, 31, 3)


def test_weights_of_another_kind_are_refused(image_weights):
    with pytest.raises(VidferError, match="of kind 'image', not 'denoise'"):
        Denoiser(image_weights)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_shipped_weights_give_by_both_backends_what_the_generator_gives(backend):
    weights = find_weights("denoise", "small")
    network = Generator(**weights.card["arguments"])
    weights.load_into(network)
    noise = np.random.default_rng(0).normal(0, 20, (53, CORE + 79, 3))
    image = (astronaut()[100:153, : CORE + 79] + noise).round().clip(0, 255).astype(np.uint8)
    found, expected = Denoiser(compute=Compute(backend=backend))(image[None])[0], plain(network.eval(), image)
    assert np.abs(expected - image).mean() > 5
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 1e-3


def test_tiles_of_an_edge_keep_each_pixel_once_and_start_at_whole_patches():
    denoiser = Denoiser("small")
    for length in (1, CORE, 480, 633, 1080, 1921):
        spans = denoiser._spans(length)
        assert [at for _, kept in spans for at in range(kept.start, kept.stop)] == list(range(length))
        for computed, kept in spans:
            assert computed.start == max(0, kept.start - denoiser.folding.radius) or len(spans) == 1
            assert computed.stop == min(length, kept.stop + denoiser.folding.radius) or len(spans) == 1
            assert computed.start % 2 == 0


def test_a_card_that_no_generator_fits_is_named(weights):
    path, _ = weights(preset="tiny", norm="none", output="residual", scale=2)
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"tiny"', '"huge"'))
    with pytest.raises(VidferError, match=r"cannot build.*unknown generator option 'huge'"):
        Denoiser(path)


def test_the_shipped_weights_denoise():
    clean = np.full((1, 40, 40, 3), 120, np.uint8)
    noisy = (clean + np.random.default_rng(0).normal(0, 25, clean.shape)).round().clip(0, 255).astype(np.uint8)
    assert np.abs(Denoiser("small")(noisy) - 120.0).mean() < 0.3 * np.abs(noisy - 120.0).mean()
