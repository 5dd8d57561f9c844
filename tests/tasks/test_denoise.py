import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from vidfer.tasks.denoise import mean_psnr


def test_psnr_equals_scikit_images():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (2, 3, 32, 32), np.uint8)
    noisy = (clean + rng.normal(0, 20, clean.shape)).round().clip(0, 255).astype(np.uint8)
    expected = np.mean([peak_signal_noise_ratio(a, b) for a, b in zip(clean, noisy, strict=True)])
    signed = [torch.from_numpy(images).float() / 127.5 - 1 for images in (noisy, clean)]
    assert mean_psnr(*signed).item() == pytest.approx(expected, abs=1e-3)


def test_equal_images_count_as_100_db():
    image = torch.rand(1, 3, 8, 8).mul(255).round() / 127.5 - 1
    assert mean_psnr(image, image).item() == 100
