"""Denoisers to stand a trained one beside: what users have without any training.

All are told the true strength of the noise, which nobody knows of a real video: an advantage over a blind denoiser. Their
settings come from the literature and hold for every strength; none was tuned on the images that they are measured on.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.types import UsageError, VidferError

Pixels = npt.NDArray[np.number[Any]]
"""`(H, W, 3)`, RGB on the scale 0-255."""

_NO_BM3D = (
    "the reference 'bm3d' needs the package bm3d, which cannot be loaded ({error}). Its licence allows non-commercial use "
    "only, so it is no part of vidfer: install it yourself (pip install bm3d), or leave it out of --against"
)


def find_reference(name: str) -> Callable[[Pixels, float], Pixels]:
    """Find a reference by name and load what it needs.

    Args:
        name: One of `REFERENCES`.

    Returns:
        A function of noisy pixels, float or uint8 `(H, W, 3)` on 0-255, and sigma, the noise's standard deviation on
        0-255. It answers uint8 `(H, W, 3)`, rounded and clipped; `noisy` answers what it was given.

    Raises:
        UsageError: There is no such reference.
        VidferError: Its package is missing.
    """
    if name not in REFERENCES:
        raise UsageError(f"no reference '{name}': there are {', '.join(REFERENCES)}")
    if name == "bm3d":
        _load_bm3d()
    return REFERENCES[name]


def _noisy(noisy: Pixels, sigma: float) -> Pixels:
    """Leave the noise in: where every denoiser starts."""
    return noisy


def _bilateral(noisy: Pixels, sigma: float) -> Pixels:
    """Smooth by OpenCV's bilateral filter.

    The spatial spread of 1.8 px and the range of 2 sigma are those of the reference; OpenCV adds the differences of three
    colours up, hence three times the range.

    References:
        Zhang, Gunturk: Multiresolution bilateral filtering for image denoising. IEEE Transactions on Image Processing
        17(12), 2008. Section II: the optimal range is about twice the noise's sigma, at a spread of 1.5 to 2.1 px.
    """
    import cv2

    return _eight_bits(cv2.bilateralFilter(noisy.astype(np.float32), -1, 3 * 2 * sigma, 1.8))


def _nlm(noisy: Pixels, sigma: float) -> Pixels:
    """Average similar patches, as scikit-image does in its fast mode.

    Patches of 5x5 within 13x13 px and h = 0.6 sigma, as in scikit-image's own example "Non-local means denoising for
    preserving textures" where the fast mode knows sigma.

    References:
        Buades, Coll, Morel: A non-local algorithm for image denoising. CVPR 2005.
        Darbon, Cunha, Chan, Osher, Jensen: Fast nonlocal filtering applied to electron cryomicroscopy. ISBI 2008.
    """
    from skimage.restoration import denoise_nl_means

    unit = noisy.astype(np.float32) / 255
    strength = sigma / 255
    smooth = denoise_nl_means(
        unit, patch_size=5, patch_distance=6, h=0.6 * strength, sigma=strength, fast_mode=True, channel_axis=-1
    )
    return _eight_bits(smooth * 255)


def _nlm_cv(noisy: Pixels, sigma: float) -> Pixels:
    """Average similar patches, as OpenCV does: 8 bits only, lightness and colour of Lab apart, h = 0.72 sigma for both."""
    import cv2

    bgr = np.ascontiguousarray(_eight_bits(noisy)[..., ::-1])
    strength = 0.72 * sigma
    smooth = cv2.fastNlMeansDenoisingColored(bgr, None, strength, strength, 7, 21)
    return np.ascontiguousarray(smooth[..., ::-1])


def _bm3d(noisy: Pixels, sigma: float) -> Pixels:
    """Filter groups of similar patches together, by the authors' own program with its usual profile.

    References:
        Dabov, Foi, Katkovnik, Egiazarian: Image denoising by sparse 3-D transform-domain collaborative filtering. IEEE
        Transactions on Image Processing 16(8), 2007.
        Mäkinen, Azzari, Foi: Collaborative filtering of correlated noise. IEEE Transactions on Image Processing 29, 2020.
    """
    smooth = _load_bm3d().bm3d_rgb(noisy.astype(np.float64) / 255, sigma / 255)
    return _eight_bits(smooth * 255)


def _load_bm3d() -> Any:  # noqa: ANN401 - the package has no types
    try:
        import bm3d
    except ImportError as error:
        raise VidferError(_NO_BM3D.format(error=error)) from error
    return bm3d


def _eight_bits(image: Pixels) -> npt.NDArray[np.uint8]:
    return np.rint(image).clip(0, 255).astype(np.uint8)


REFERENCES: Final[dict[str, Callable[[Pixels, float], Pixels]]] = {
    "noisy": _noisy,
    "bilateral": _bilateral,
    "nlm": _nlm,
    "nlm_cv": _nlm_cv,
    "bm3d": _bm3d,
}
"""References by name."""
