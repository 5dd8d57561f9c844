"""How far a face in a frame can be trusted: blur, size, pose, noise."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.align import TEMPLATE

_NOSE_AHEAD: Final = 0.45  # of the eyes, in distances between them
_NOSE_BELOW: Final = (TEMPLATE[2][1] - TEMPLATE[0][1]) / (TEMPLATE[1][0] - TEMPLATE[0][0])
_SHARP: Final = 0.02  # normalised Laplacian variance of an ordinary sharp face: blur 0.5
_ITERATIONS: Final = 16  # to about 1 degree within 45 of frontal
_FULL_SIZE: Final = 48.0  # px: FER2013's resolution, nothing is gained above
_NOISE_SIDE: Final = 128


@dataclass(frozen=True)
class Quality:
    """Quality of one face.

    Blur is in [0, 1]: 0 sharp, 0.5 ordinary, 1 without any detail; size the geometric mean of the box's sides in px of the frame;
    yaw, pitch and roll are degrees, positive when the face turns towards the image's right, looks down, leans clockwise;
    `noise_sigma` is on the scale 0-255, the weight for pooling over time in (0, 1].
    """

    blur: float
    size: float
    yaw: float
    pitch: float
    roll: float
    noise_sigma: float
    weight: float


def judge(
    image: NDArray[np.uint8],
    crop: NDArray[np.uint8],
    box: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    score: float,
) -> Quality:
    """Judge a face by its frame `(H, W, 3)` and aligned crop `(160, 160, 3)`, both uint8 RGB, and what the detector found.

    Box `(4,)` and landmarks `(5, 2)` are in px of the frame. The weight is a product: the detector's score; size / 48 px up to 1;
    1 - blur^2; and cos(yaw) cos(pitch), at least 0.05. All figures are rules of thumb.
    """
    size = float(np.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])))
    yaw, pitch, roll = pose(landmarks)
    blur = blurredness(crop)
    facing = max(0.05, float(np.cos(np.radians(yaw)) * np.cos(np.radians(pitch))))
    weight = max(1e-3, score * min(1.0, size / _FULL_SIZE) * (1 - blur**2) * facing)
    return Quality(blur, size, yaw, pitch, roll, noise_sigma(_inside(image, box)), weight)


def blurredness(crop: NDArray[np.uint8]) -> float:
    """Return 1 / (1 + v / 0.02), with v the variance of the Laplacian of the gray crop over the crop's own variance.

    Dividing by the variance makes it independent of contrast; smoothing first keeps noise from passing for detail.
    """
    import cv2

    gray = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    detail = float(cv2.Laplacian(gray, cv2.CV_32F).var()) / (float(gray.var()) + 1.0)
    return 1 / (1 + detail / _SHARP)


def pose(landmarks: NDArray[np.float64]) -> tuple[float, float, float]:
    """Estimate a face's yaw, pitch and roll in degrees from its landmarks `(5, 2)` px, seen by a camera without perspective.

    Let the eyes of an upright average face be 1 apart, and the nose's tip lie Y = 0.57 below and Z = 0.45 in front of their
    middle. Turned by the yaw, then the pitch, and scaled by s, the way from eye to eye e and from their middle to the nose n are

        e = s (cos(yaw), -sin(yaw) sin(pitch)),    n = s (Z sin(yaw), Y cos(pitch) + Z cos(yaw) sin(pitch)),

    and the roll turns both. Solved by fixed-point iteration, on the branch up to 38 degrees down. The mouth is left out: it
    moves when people smile or speak. The error is about 10 degrees, since faces differ from the average.
    """
    eyes = complex(*(landmarks[1] - landmarks[0]))
    nose = complex(*(landmarks[2] - (landmarks[0] + landmarks[1]) / 2))
    yaw = pitch = roll = tilt = 0.0
    for _ in range(_ITERATIONS):
        seen = float(np.arctan2(-np.sin(yaw) * np.sin(pitch), np.cos(yaw)))
        tilt += 0.5 * (seen - tilt)  # halves keep it from swinging
        roll = float(np.angle(eyes) - tilt)
        across, to_nose = eyes * np.exp(-1j * roll), nose * np.exp(-1j * roll)
        width = max(across.real, 1e-6)
        yaw = float(np.arctan(to_nose.real / (_NOSE_AHEAD * width)))
        ahead = _NOSE_AHEAD * np.cos(yaw)
        drop = to_nose.imag * np.cos(yaw) / (width * np.hypot(_NOSE_BELOW, ahead))
        pitch = float(np.arctan2(ahead, _NOSE_BELOW) - np.arccos(np.clip(drop, -1, 1)))
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


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
    rows = plane[2:].astype(np.float32) - 2.0 * plane[1:-1] + plane[:-2]
    both = rows[:, 2:] - 2.0 * rows[:, 1:-1] + rows[:, :-2]
    return float(np.median(np.abs(both))) / (0.6745 * 6.0)


def _inside(image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the middle of the box, at most 128 px a side, at the frame's own resolution."""
    middle, half = (box[:2] + box[2:]) / 2, np.minimum(box[2:] - box[:2], _NOISE_SIDE) / 2
    low, high = np.clip([middle - half, middle + half], 0, [image.shape[1], image.shape[0]]).astype(int)
    return image[low[1] : high[1], low[0] : high[0]]
