import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from vidfer.metrics.image import psnr, rmse, ssim


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    clean = np.kron(rng.integers(0, 256, (12, 15, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    return (clean + rng.normal(0, 20, clean.shape)).round().clip(0, 255).astype(np.uint8), clean


def test_psnr_is_scikit_images(pair):
    image, clean = pair
    assert psnr(image, clean) == pytest.approx(peak_signal_noise_ratio(clean, image, data_range=255))


def test_ssim_is_equation_13_of_the_paper(pair):
    window = cv2.getGaussianKernel(11, 1.5) @ cv2.getGaussianKernel(11, 1.5).T

    def local(values):  # windows that lie inside the image only
        return cv2.filter2D(values, -1, window)[5:-5, 5:-5]

    image, clean = (part.astype(np.float64) for part in pair)
    mean, truth = local(image), local(clean)
    variances = local(image**2) - mean**2 + local(clean**2) - truth**2
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean * truth + first) * (2 * (local(image * clean) - mean * truth) + second)
    assert ssim(*pair) == pytest.approx((top / ((mean**2 + truth**2 + first) * (variances + second))).mean())


def test_rmse_by_hand():
    clean = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    image = np.array([[[3, 0, 0], [255, 251, 255]]], np.uint8)  # bytes that wrap around would give another figure
    assert rmse(image, clean) == pytest.approx(np.sqrt((9 + 16) / 6))


def test_equal_images_have_finite_figures(pair):
    assert psnr(pair[1], pair[1]) == 100
    assert ssim(pair[1], pair[1]) == pytest.approx(1)
    assert rmse(pair[1], pair[1]) == 0


def test_shapes_must_be_equal(pair):
    for measure in (psnr, ssim, rmse):
        with pytest.raises(ValueError, match=r"shape|dimensions"):
            measure(pair[0][:, :30], pair[1])


def test_pixels_that_are_no_numbers_have_no_quality():
    assert np.isnan(psnr(np.full((8, 8, 3), np.nan), np.zeros((8, 8, 3))))
