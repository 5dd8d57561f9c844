"""Paired clips: recordings of speech with faces of other people that show the same expression. Semi-synthetic.

Nobody in such a clip both speaks and is seen: it measures how well two modalities are fused, and says nothing about real video.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages
from vidfer.types import EMOTIONS, VidferError

NAME: Final = "paired (semi-synthetic)"
"""What figures measured on such clips are always printed with."""

_NEUTRAL: Final = EMOTIONS.index("neutral")


@dataclass(frozen=True)
class Pairing:
    """How a face becomes the frames of a clip: the same image, each time moved, turned, zoomed and perhaps mirrored a little.

    Args:
        frames: Face images of a clip.
        neutral_share: Largest share of the frames that show a neutral face instead, before or after the others; each clip draws
            its own share from 0 to this.
        seed: Which image goes with which recording.
    """

    frames: int = 4
    neutral_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 <= self.neutral_share < 1:
            raise VidferError("a paired clip needs frames of at least 1, and a neutral_share in [0, 1)")


def pair_faces(
    names: Sequence[str], target: Sequence[int], pool: LabelledImages, pairing: Pairing
) -> npt.NDArray[np.uint8]:
    """Give every recording the frames of a face that shows its class, uint8 `(N, frames, 48, 48)`.

    The draw depends on the recording's name and the seed alone, so that a subset of the recordings gets the same faces.

    Raises:
        VidferError: The pool has no image of a class.
    """
    by_class = [np.flatnonzero(pool.target == label) for label in range(len(EMOTIONS))]
    missing = [EMOTIONS[label] for label in {*target} if not len(by_class[label])]
    if missing:
        raise VidferError(f"no face image shows {', '.join(missing)}: pairing needs some of every class")
    clips = np.zeros((len(names), pairing.frames, *pool.image.shape[1:]), np.uint8)
    for clip, name, label in zip(clips, names, target, strict=True):
        rng = np.random.default_rng(int.from_bytes(sha256(f"{name} {pairing.seed}".encode()).digest()[:8]))
        hidden = min(pairing.frames - 1, int(rng.uniform(0, pairing.neutral_share) * pairing.frames + 0.5))
        shown = np.arange(pairing.frames) < pairing.frames - hidden
        shown = shown[::-1] if rng.integers(2) else shown
        face = pool.image[rng.choice(by_class[label])]
        calm = pool.image[rng.choice(by_class[_NEUTRAL])] if len(by_class[_NEUTRAL]) else face
        for at, expressive in enumerate(shown):
            clip[at] = distort(face if expressive else calm, rng)
    return clips


def distort(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Turn a face uint8 `(S, S)` by up to 10 degrees, zoom by up to 10 %, shift by up to 2.5 px, mirror every other time."""
    import cv2

    size = image.shape[0]
    turn, zoom, shift = rng.uniform(-10, 10), np.exp(rng.uniform(-0.1, 0.1)), rng.uniform(-2.5, 2.5, (2, 1))
    change: npt.NDArray[Any] = cv2.getRotationMatrix2D((size / 2 - 0.5,) * 2, turn, zoom)
    change = change + np.hstack([np.zeros((2, 2)), shift])
    moved = cv2.warpAffine(image, change, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved[:, ::-1] if rng.random() < 0.5 else moved, np.uint8)
