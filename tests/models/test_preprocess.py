import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from vidfer.models.preprocess import MAX_DEVIATION, Preprocessing, resize, standardise, standardise_face
from vidfer.types import VidferError


def test_shrinking_equals_opencvs_area():
    image = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    ours = resize(torch.from_numpy(image)[None, None], 48)[0, 0].numpy()
    np.testing.assert_allclose(ours, cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA), atol=1e-5)


def test_growing_equals_opencvs_linear():
    image = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    ours = resize(torch.from_numpy(image)[None, None], 112)[0, 0].numpy()
    np.testing.assert_allclose(ours, cv2.resize(image, (112, 112), interpolation=cv2.INTER_LINEAR), atol=1e-5)


def test_crops_become_what_pillow_makes_of_them():
    crop = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8), (0, 0), 3)
    ours = Preprocessing()(Preprocessing().gray(torch.from_numpy(crop)[None]))[0, 0].numpy()
    gray = Image.fromarray(crop).crop((16, 16, 144, 144)).convert("L").resize((48, 48), Image.Resampling.BOX)
    theirs = np.asarray(gray, np.float32)
    theirs = (theirs - theirs.mean()) / theirs.std()
    assert np.abs(ours - theirs).mean() < 0.1  # Pillow rounds to 8 bits twice
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.995


def test_standardising_removes_light_and_contrast():
    image = torch.rand(3, 1, 20, 20) * 0.5
    out = standardise(image)
    torch.testing.assert_close(out, standardise(image * 0.6 + 0.3), atol=1e-4, rtol=0)
    np.testing.assert_allclose(out.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(out.numpy().std((1, 2, 3)), 1, atol=1e-5)


def test_a_face_looks_the_same_before_any_wall():
    torch.manual_seed(0)
    dim = 0.4 + 0.1 * torch.rand(1, 1, 48, 48)
    bright = dim.clone()
    bright[..., :8, :8] = bright[..., :8, -8:] = 1.0
    face = (slice(None), slice(None), slice(12, 40), slice(12, 36))

    def moved(way):
        return (way(bright)[face] - way(dim)[face]).abs().mean().item()

    assert moved(standardise_face) < 0.35
    assert moved(standardise) > 1.8 * moved(standardise_face)
    assert standardise_face(bright).max() == MAX_DEVIATION


def test_unknown_statistics_are_refused():
    with pytest.raises(VidferError, match="none of image, face"):
        Preprocessing(statistics="fac")


def test_the_faces_statistics_by_hand():
    image = torch.rand(2, 1, 40, 48, dtype=torch.float64)
    out = standardise_face(image)
    y, x = np.mgrid[:40, :48]
    window = np.exp(-0.5 * (((x + 0.5) / 48 - 0.5) / 0.2) ** 2 - 0.5 * (((y + 0.5) / 40 - 0.56) / 0.24) ** 2)
    for picture, found in zip(image[:, 0].numpy(), out[:, 0].numpy(), strict=True):
        mean = np.average(picture, weights=window)
        std = np.sqrt(np.average((picture - mean) ** 2, weights=window))
        np.testing.assert_allclose(found, np.clip((picture - mean) / std, -3, 3), atol=1e-5)
    assert Preprocessing(statistics="face").finish(image).equal(out)
    assert Preprocessing().finish(image).equal(standardise(image))


def test_a_flat_image_becomes_zeros():
    assert standardise(torch.full((1, 1, 8, 8), 0.3)).abs().max() < 1e-4


def test_fixed_statistics_and_repeated_channels():
    gray = torch.rand(2, 1, 24, 24)
    out = Preprocessing(image_size=24, in_chans=3, mean=0.5, std=0.25)(gray)
    assert out.shape == (2, 3, 24, 24)
    torch.testing.assert_close(out[:, 1:2], (gray - 0.5) / 0.25)


@pytest.mark.parametrize("size", [48, 64])
def test_the_card_rebuilds_it(size):
    original = Preprocessing(image_size=size, mean=0.4, std=0.2)
    assert Preprocessing(**original.as_card()) == original
