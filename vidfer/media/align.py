"""Face crops in which every face has its eyes, nose and mouth in the same place."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

CROP: Final = 160
"""Side of a crop in px."""

CENTRAL: Final = 128
"""Side in px of the central square that frames a face as FER2013 does."""

TEMPLATE: Final = ((0.3144, 0.3827), (0.6856, 0.3827), (0.5, 0.5946), (0.3453, 0.7948), (0.6547, 0.7948))
"""Mean eyes, nose, mouth corners in FER2013's frames, as shares of the side; see `benchmarks/fer2013_template.py`."""


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cut out a face `(160, 160, 3)` uint8 by the similarity transform that fits its landmarks `(5, 2)` px to the template.

    Where the face is much larger than the crop, the image is shrunk by area averaging first: sampling alone would alias. Beyond
    the image's edge its border is repeated.

    Raises:
        ValueError: The landmarks all lie in one place.
    """
    import cv2

    matrix = crop_matrix(landmarks)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.75:
        image, matrix = _shrink(image, matrix, scale)
    crop = cv2.warpAffine(image, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def crop_matrix(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(2, 3)` matrix from px of the image to px of the crop, for landmarks `(5, 2)`; raises as `similarity` does."""
    return similarity(landmarks, np.array(TEMPLATE) * CENTRAL + (CROP - CENTRAL) / 2 - 0.5)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(2, 3)` matrix of rotation, scale and shift that takes N points nearest to others by least squares.

    Raises:
        ValueError: All source points coincide, or are not finite.

    References:
        Umeyama, Least-Squares Estimation of Transformation Parameters Between Two Point Patterns, IEEE TPAMI 1991; in the
        plane and without reflection it is a complex regression.
    """
    start, end = source.mean(axis=0), target.mean(axis=0)
    a, b = (source - start) @ [1, 1j], (target - end) @ [1, 1j]
    spread = float(np.vdot(a, a).real)
    if not np.isfinite(spread) or spread < 1e-6:
        raise ValueError("landmarks in one place, or not finite: no face can be aligned by them")
    turn = np.vdot(a, b) / spread
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, end - linear @ start])


def _shrink(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the image that the crop shows, shrunk to about the crop's resolution, and the matrix for it."""
    import cv2

    linear, shift = matrix[:, :2], matrix[:, 2]
    corners = (np.array([[0, 0], [CROP, 0], [0, CROP], [CROP, CROP]]) - shift) @ np.linalg.inv(linear).T
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(corners.min(axis=0) - 2 / scale), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + 2 / scale), low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    size = np.maximum(1, np.round((high - low) * scale)).astype(int)
    small = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    ratio = (high - low) / size  # px of the part for one px of the small image; centres lie at integers
    return np.asarray(small, np.uint8), np.column_stack([linear * ratio, linear @ (low + ratio / 2 - 0.5) + shift])
