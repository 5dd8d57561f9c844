"""How close an image is to the clean one: PSNR, SSIM and RMSE on the scale of 8-bit images."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.number[Any]]
"""`(H, W, 3)`, RGB on the scale 0-255: uint8, or float where noise was not clipped."""


def psnr(image: Pixels, clean: Pixels) -> float:
    """Compute the peak signal-to-noise ratio 20 log10(255 / rmse) in dB, at most 100, which equal images have.

    Example:
        >>> import numpy as np
        >>> round(psnr(np.full((8, 8, 3), 110.0), np.full((8, 8, 3), 100.0)), 2)
        28.13
    """
    error = rmse(image, clean)
    return 100.0 if error == 0 else min(20 * math.log10(255 / error), 100.0)  # in this order NaN stays NaN


def ssim(image: Pixels, clean: Pixels) -> float:
    """Compute the structural similarity (at most 1), averaged over pixels and the three colours.

    The settings are the authors', not scikit-image's defaults: Gaussian window with sigma 1.5 px on 11x11 px, population
    covariance, K1 = 0.01, K2 = 0.03. Edges are at least 11 px long. Wang, Bovik, Sheikh, Simoncelli: Image quality assessment:
    from error visibility to structural similarity, IEEE Transactions on Image Processing 13(4), 2004, equation 13.
    """
    from skimage.metrics import structural_similarity

    found = structural_similarity(  # type: ignore[no-untyped-call]  # as all of skimage.metrics
        image.astype(np.float64),
        clean.astype(np.float64),
        channel_axis=-1,
        data_range=255.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(found)


def rmse(image: Pixels, clean: Pixels) -> float:
    """Compute the root mean squared error over pixels and colours; raise `ValueError` if the shapes differ."""
    if image.shape != clean.shape:
        raise ValueError(f"an image of shape {image.shape} cannot be compared with one of {clean.shape}")
    error = image.astype(np.float64) - clean.astype(np.float64)
    return float(np.sqrt(np.square(error).mean()))
