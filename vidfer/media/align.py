"""Face crops in which every face has its eyes, nose and mouth in the same place."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.pixels import shrunk

CROP: Final = 160
"""Side of a crop in px."""

CENTRAL: Final = 128
"""Side in px of the central square that frames a face as FER2013 does."""

TEMPLATE: Final = ((0.3144, 0.3827), (0.6856, 0.3827), (0.5, 0.5946), (0.3453, 0.7948), (0.6547, 0.7948))
"""Mean eyes, nose, mouth corners in FER2013's frames, as shares of the side; see `benchmarks/fer2013_template.py`."""

_TARGET: Final = np.array(TEMPLATE) * CENTRAL + (CROP - CENTRAL) / 2 - 0.5


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cut out a face `(160, 160, 3)` uint8 by the similarity transform that fits its landmarks `(5, 2)` px to the template.

    Where the face is much larger than the crop, the image is shrunk by area averaging first: sampling alone would alias. Beyond
    the image's edge its border is repeated.

    Raises:
        ValueError: The landmarks all lie in one place.
    """
    import cv2

    matrix = crop_matrix(landmarks)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    shrinks = scale < 0.75
    if shrinks:
        image, matrix = _shrink(image, matrix, scale)
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)  # sampled twice as fast as three channels
    sampled = cv2.warpAffine(image, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    crop = np.asarray(sampled, np.uint8)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB), np.uint8) if shrinks else crop


def crop_matrix(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(2, 3)` matrix from px of the image to px of the crop, for landmarks `(5, 2)`; raises as `similarity` does."""
    return similarity(landmarks, _TARGET)


def uncropped(matrix: NDArray[np.float64]) -> list[complex]:
    """Return where the corners of a crop's square of 160 px a side lie in the image, as x + iy, given the `crop_matrix`."""
    turn, shift = complex(matrix[0, 0], matrix[1, 0]), complex(matrix[0, 2], matrix[1, 2])
    return [(corner - shift) / turn for corner in (0j, CROP + 0j, CROP * (1 + 1j), CROP * 1j)]


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(2, 3)` matrix of rotation, scale and shift that takes N points nearest to others by least squares.

    Raises:
        ValueError: All source points coincide, or are not finite.

    References:
        Umeyama, Least-Squares Estimation of Transformation Parameters Between Two Point Patterns, IEEE TPAMI 1991; in the
        plane and without reflection it is a complex regression.
    """
    a, b = ([complex(x, y) for x, y in points.tolist()] for points in (source, target))  # few: NumPy would take longer
    start, end = sum(a) / len(a), sum(b) / len(b)
    a = [each - start for each in a]
    spread = sum(each.real**2 + each.imag**2 for each in a)
    if not math.isfinite(spread) or spread < 1e-6:
        raise ValueError("landmarks in one place, or not finite: no face can be aligned by them")
    turn = sum(each.conjugate() * (other - end) for each, other in zip(a, b, strict=True)) / spread
    shift = end - turn * start
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _shrink(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the image that the crop shows, shrunk to about the crop's resolution, and the matrix for it."""
    corners = uncropped(matrix)
    spans = [
        _span([corner.real for corner in corners], 2 / scale, image.shape[1]),
        _span([corner.imag for corner in corners], 2 / scale, image.shape[0]),
    ]
    low, length = np.array([span[0] for span in spans]), np.array([span[1] - span[0] for span in spans])
    part = image[slice(*spans[1]), slice(*spans[0])]
    size = [max(1, round(each * scale)) for each in length.tolist()]
    small = shrunk(part, *size)
    ratio = length / size  # px of the part for one px of the small image; centres lie at integers
    linear = matrix[:, :2]
    return small, np.column_stack([linear * ratio, linear @ (low + ratio / 2 - 0.5) + matrix[:, 2]])


def _span(ends: list[float], margin: float, limit: int) -> tuple[int, int]:
    """Return whole px from the least to the greatest of some places with a margin, at least one, inside the image."""
    low = min(max(math.floor(min(ends) - margin), 0), limit - 1)
    return low, min(max(math.ceil(max(ends) + margin), low + 1), limit)
