"""How far a face in a frame can be trusted: blur, size, pose, noise, light, what covers it, what the frame's edge cuts off."""

import cmath
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.align import CENTRAL, CROP, TEMPLATE, crop_matrix, uncropped

_NOSE_AHEAD: Final = 0.45  # of the eyes, in distances between them
_NOSE_BELOW: Final = (TEMPLATE[2][1] - TEMPLATE[0][1]) / (TEMPLATE[1][0] - TEMPLATE[0][0])
_SHARP: Final = 0.02  # normalised Laplacian variance of an ordinary sharp face: blur 0.5
_ITERATIONS: Final = 16  # to about 1 degree within 45 of frontal
_NOISE_SIDE: Final = 128
_FACE: Final = (
    0.22,
    0.28,
    0.78,
    0.92,
)  # left, top, right, bottom of what is surely skin, as shares of the central square

UNUSABLE: Final = 0.25
"""Weight below which a face is called unusable: the model is right a quarter as far above chance as on a good face."""

_WHITE: Final = 250  # gray level from which a pixel is taken for overexposed: compression moves 255 a little
_MANY: Final = 0.9  # share of a clip's faces that have to be unusable for its message to say so
_FLAWED: Final = 0.7  # factor of the weight below which the flaw is named

Curves = Mapping[str, tuple[str, Sequence[float], Sequence[float]]]
"""By the name of a flaw: a figure of `faces.parquet`, its values in ascending order, and the factor of the weight at each."""

_CURVES: Final[Curves] = {
    "dark": ("brightness", (0, 1, 2, 4, 16), (0.02, 0.27, 0.5, 0.74, 1)),
    "blown": ("overexposed", (0, 0.17, 0.58, 0.93, 1), (1, 0.92, 0.78, 0.13, 0.02)),
    "flat": ("contrast", (0, 3.25, 5, 7, 14), (0.02, 0.34, 0.75, 0.95, 1)),
    "small": ("size", (0, 7.4, 11, 14.7, 22, 44), (0.02, 0.27, 0.48, 0.68, 0.91, 1)),
    "blurred": ("blur", (0.6, 0.747, 0.907, 0.944, 0.959, 0.973), (1, 0.94, 0.82, 0.69, 0.54, 0.16)),
    "noisy": ("noise_sigma", (10, 20, 38), (1, 0.93, 0.87)),
    "eyes covered": ("eyes_covered", (0.1, 0.16, 0.9), (1, 0.62, 0.62)),
    "mouth covered": ("mouth_covered", (0.1, 0.19, 0.67, 1), (1, 0.69, 0.55, 0.43)),
    "cut": ("outside", (0.15, 0.25, 0.35, 0.45, 0.55, 0.65), (1, 0.91, 0.62, 0.29, 0.19, 0.02)),
}
"""Factors as `benchmarks/face_quality.py` measured them, linear between the points: see `docs/results/quality.md`."""

_WORDS: Final = {
    **{"dark": "too dark", "blown": "overexposed", "flat": "almost without contrast", "small": "too small"},
    **{"cut": "cut off by the picture's edge", "turned": "turned away"},
}


@dataclass(frozen=True)
class Quality:
    """Quality of one face.

    Blur is in [0, 1]: 0 sharp, 0.5 ordinary, 1 without any detail; size the geometric mean of the box's sides in px of the frame;
    yaw, pitch and roll are degrees, positive when the face turns towards the image's right, looks down, leans clockwise;
    `noise_sigma` is on the scale 0-255. Brightness is the median gray level of the skin's region, contrast the distance of
    its 5th and 95th percentile, both 0-255; `overexposed` the share of it at 250 or above, in [0, 1]; `outside` the share of the
    aligned crop that lies beyond the frame, in [0, 1).
    """

    blur: float
    size: float
    yaw: float
    pitch: float
    roll: float
    noise_sigma: float
    brightness: float
    contrast: float
    overexposed: float
    outside: float


def judge(
    image: NDArray[np.uint8], crop: NDArray[np.uint8], box: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> Quality:
    """Judge a face by its frame `(H, W, 3)` and aligned crop `(160, 160, 3)`, both uint8 RGB, and what the detector found.

    Box `(4,)` and landmarks `(5, 2)` are in px of the frame.
    """
    size = math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))
    beyond = outside(landmarks, image.shape)
    noise = noise_sigma(_inside(image, box))
    return Quality(blurredness(crop), size, *pose(landmarks), noise, *light(crop), beyond)


def weigh(columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float64], list[str]]:
    """Weigh faces for pooling over time by their figures, each `(N,)`: those of `Quality`, and what covers eyes and mouth.

    The weight is in (0, 1]: the detector's `score` times all the factors. A factor is how far above chance the image
    model is right on such faces, as a share of what it is on good ones, measured for each figure by itself; of pose, which
    was not measured, cos(yaw) cos(pitch).

    Returns:
        Weights `(N,)`, and for each face the names of the factors below 0.7, the smallest first, divided by a comma.
    """
    by_name = factors(columns)
    names, table = list(by_name), np.stack(list(by_name.values()), 1)
    weights = np.maximum(1e-3, columns["score"] * table.prod(1))
    ranked = np.argsort(table, axis=1, kind="stable")
    flaws = [
        ", ".join(names[place] for place in order if row[place] < _FLAWED)
        for row, order in zip(table, ranked, strict=True)
    ]
    return weights, flaws


def factors(columns: Mapping[str, NDArray[Any]], curves: Curves = _CURVES) -> dict[str, NDArray[np.float64]]:
    """Return the factors of the weight by name, each `(N,)` in (0, 1]; a figure that is NaN counts as 0."""
    facing = np.cos(np.radians(columns["yaw"])) * np.cos(np.radians(columns["pitch"]))
    found = {name: np.interp(np.nan_to_num(columns[figure]), x, y) for name, (figure, x, y) in curves.items()}
    return {**found, "turned": np.maximum(0.05, facing)}


def complaint(weights: NDArray[np.float64], flaws: Sequence[str]) -> str:
    """Say in a sentence that at least 90 % of a clip's faces have a weight below `UNUSABLE`, and why; else nothing.

    Weights are `(N,)`, N >= 1, and flaws as of `weigh`, of which each face's first counts.
    """
    unusable = weights < UNUSABLE
    if not nearly_all(int(unusable.sum()), len(weights)):
        return ""
    first = Counter(
        _WORDS.get(name := flaw.split(", ")[0], name) for flaw, bad in zip(flaws, unusable, strict=True) if bad
    )
    why = ", ".join(f"{words or 'uncertain'} ({count / len(weights):.0%})" for words, count in first.most_common(3))
    if len(weights) == 1:
        return f"the face image is hardly usable: {why.rpartition(' ')[0]}"
    return f"{unusable.mean():.0%} of the {len(weights)} face images are hardly usable: {why}"


def nearly_all(unusable: int, faces: int) -> bool:
    """Whether that many of a clip's faces, 0 or more, are so many that the clip's message has to say so."""
    return faces > 0 and unusable >= _MANY * faces


def light(crop: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return brightness, contrast and overexposed share of an aligned crop `(160, 160, 3)` uint8, see `Quality`.

    Every other pixel counts.
    """
    import cv2

    gray = cv2.cvtColor(_skin(crop)[::2, ::2], cv2.COLOR_RGB2GRAY)
    low, middle, high = percentiles(gray, (5, 50, 95))
    return middle, high - low, float((gray >= _WHITE).mean())


def percentiles(values: NDArray[Any], shares: Sequence[float], *, levels: int = 256) -> list[float]:
    """Return percentiles of an array, uint8 or uint16 and below `levels`, as NumPy does, but by counting: a tenth of its time."""
    import cv2

    counts = cv2.calcHist([values.reshape(-1, 1)], [0], None, [levels], [0, levels])
    ranks, last = np.cumsum(counts, dtype=np.float64), values.size - 1
    places = [share / 100 * last for share in shares]
    ends = [end for place in places for end in (math.floor(place), math.ceil(place))]
    found = np.searchsorted(ranks, ends, side="right").tolist()
    return [low + (place % 1) * (high - low) for place, low, high in zip(places, found[::2], found[1::2], strict=True)]


def _skin(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is surely face of an aligned crop."""
    left, top, right, bottom = (round((CROP - CENTRAL) / 2 + share * CENTRAL) for share in _FACE)
    return crop[top:bottom, left:right]


def outside(landmarks: NDArray[np.float64], shape: Sequence[int]) -> float:
    """Return which share of the aligned crop of landmarks `(5, 2)` lies beyond a frame of shape `(H, W, ...)`, in [0, 1]."""
    import cv2

    matrix = crop_matrix(landmarks)
    matrix[:, 2] += 0.5  # centres of pixels lie at integers, so that the edges of crop and frame are at -0.5
    height, width = shape[:2]
    places = [(each.real, each.imag) for each in uncropped(matrix)]
    if all(-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5 for x, y in places):
        return 0.0
    corners = np.array(places, np.float32)
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    inside = cv2.intersectConvexConvex(corners, frame)[0]
    return float(np.clip(1 - inside / cv2.contourArea(corners), 0, 1))


def blurredness(crop: NDArray[np.uint8]) -> float:
    """Return 1 / (1 + v / 0.02), with v the variance of the Laplacian of the gray face over its own variance.

    Dividing by the variance makes it independent of contrast; smoothing first keeps noise from passing for detail.
    """
    import cv2

    plain = cv2.cvtColor(_skin(crop), cv2.COLOR_RGB2GRAY).astype(np.float32)  # rounding again would pass for detail
    gray = cv2.GaussianBlur(plain, (0, 0), 1.0)
    deviation, detail = (float(cv2.meanStdDev(each)[1][0, 0]) for each in (gray, cv2.Laplacian(gray, cv2.CV_32F)))
    return 1 / (1 + detail**2 / (deviation**2 + 1.0) / _SHARP)


def pose(landmarks: NDArray[np.float64]) -> tuple[float, float, float]:
    """Estimate a face's yaw, pitch and roll in degrees from its landmarks `(5, 2)` px, seen by a camera without perspective.

    Let the eyes of an upright average face be 1 apart, and the nose's tip lie Y = 0.57 below and Z = 0.45 in front of their
    middle. Turned by the yaw, then the pitch, and scaled by s, the way from eye to eye e and from their middle to the nose n are

        e = s (cos(yaw), -sin(yaw) sin(pitch)),    n = s (Z sin(yaw), Y cos(pitch) + Z cos(yaw) sin(pitch)),

    and the roll turns both. Solved by fixed-point iteration, on the branch up to 38 degrees down. The mouth is left out: it
    moves when people smile or speak. The error is about 10 degrees, since faces differ from the average.
    """
    left, right, tip = (complex(x, y) for x, y in landmarks[:3].tolist())
    eyes, nose = right - left, tip - (left + right) / 2
    level = nose * cmath.rect(1, -cmath.phase(eyes))  # as if the eyes were level
    yaw = pitch = tilt = 0.0
    facing = 1.0  # cos(yaw)
    for _ in range(_ITERATIONS):
        seen = math.atan2(-math.sin(yaw) * math.sin(pitch), facing)
        tilt += 0.5 * (seen - tilt)  # halves keep it from swinging
        to_nose = level * complex(math.cos(tilt), math.sin(tilt))
        width = max(abs(eyes) * math.cos(tilt), 1e-6)
        yaw = math.atan(to_nose.real / (_NOSE_AHEAD * width))
        facing = math.cos(yaw)
        ahead = _NOSE_AHEAD * facing
        drop = to_nose.imag * facing / (width * math.hypot(_NOSE_BELOW, ahead))
        pitch = math.atan2(ahead, _NOSE_BELOW) - math.acos(min(1.0, max(-1.0, drop)))
    return math.degrees(yaw), math.degrees(pitch), math.degrees(cmath.phase(eyes) - tilt)


def noise_sigma(image: NDArray[np.uint8]) -> float:
    """Estimate the standard deviation of noise (0-255) in an image `(H, W, 3)` or `(H, W)` uint8; NaN below 3 px a side.

    The second difference in both directions removes what varies smoothly; the median of its size ignores edges. Uses the
    green channel, which compression leaves the most of. Below sigma 5, texture passes for noise.

    References:
        Immerkær, Fast Noise Variance Estimation, Computer Vision and Image Understanding 1996, with the median of Donoho.
    """
    plane = image if image.ndim == 2 else image[..., 1]
    if min(plane.shape) < 3:
        return float("nan")
    plane = plane.astype(np.int16)
    rows = plane[2:] - 2 * plane[1:-1] + plane[:-2]
    both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    return percentiles(both.astype(np.uint16), (50,), levels=16 * 255 + 1)[0] / (0.6745 * 6.0)


def _inside(image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the middle of the box, at most 128 px a side, at the frame's own resolution."""
    middle, half = (box[:2] + box[2:]) / 2, np.minimum(box[2:] - box[:2], _NOISE_SIDE) / 2
    low, high = np.clip([middle - half, middle + half], 0, [image.shape[1], image.shape[0]]).astype(int)
    return image[low[1] : high[1], low[0] : high[0]]
