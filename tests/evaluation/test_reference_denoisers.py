import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vidfer.evaluation.reference_denoisers import REFERENCES, find_reference
from vidfer.metrics.image import psnr
from vidfer.types import UsageError, VidferError

FREE = [name for name in REFERENCES if name != "bm3d"]


def with_noise(clean, sigma, seed=0):
    return (clean + np.random.default_rng(seed).normal(0, sigma, clean.shape)).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in FREE if name != "noisy"])
def test_references_take_noise_out_and_leave_colours_alone(name):
    clean = np.full((48, 48, 3), (200, 60, 100), np.uint8)
    clean[:, 24:] = (40, 120, 220)
    noisy = with_noise(clean, 20)
    image = find_reference(name)(noisy, 20.0)
    assert image.dtype == np.uint8
    assert image.shape == clean.shape
    assert psnr(image, clean) > psnr(noisy, clean) + 5
    assert np.abs(image[:, :20].mean((0, 1)) - (200, 60, 100)).max() < 4


def test_noisy_is_what_was_given():
    noisy = with_noise(np.zeros((16, 16, 3)), 10)
    assert find_reference("noisy")(noisy, 10.0) is noisy


@pytest.mark.parametrize(("name", "known"), [("nlm", 29.80), ("nlm_cv", 26.5)])
def test_figures_on_set5_are_known(data_dir, name, known):
    """`nlm` is held against a measurement made elsewhere; `nlm_cv` against our own, the other being 25.96."""
    from vidfer.datasets.photos import read_photos

    photos, _ = read_photos(str(data_dir / "set5"))
    denoise = find_reference(name)
    found = [psnr(denoise(with_noise(p[:, :], 25, k), 25.0), p[:, :]) for k, p in enumerate(photos.values())]
    assert np.mean(found) == pytest.approx(known, abs=0.15)


def test_unknown_references_are_named():
    with pytest.raises(UsageError, match=r"'bm4d'.*bilateral"):
        find_reference("bm4d")


def test_a_missing_bm3d_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(VidferError, match=r"non-commercial.*pip install bm3d"):
        find_reference("bm3d")


def test_bm3d_is_called_on_the_unit_scale(monkeypatch):
    seen = {}

    def bm3d_rgb(noisy, sigma):
        seen.update(peak=noisy.max(), sigma=sigma)
        return noisy

    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d_rgb=bm3d_rgb))
    noisy = np.full((8, 8, 3), 254.7, np.float32)
    assert (find_reference("bm3d")(noisy, 51.0) == 255).all()
    assert seen == {"peak": pytest.approx(254.7 / 255), "sigma": 0.2}
