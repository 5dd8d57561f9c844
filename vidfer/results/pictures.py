"""Pictures of a clip: a face image and a strip of them for each person, and a frame; no face any more unless that is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

POSTER: Final = "poster.jpg"

TILE: Final = 64
"""Edge in px of the face images of a strip."""

STRIP: Final = 40
"""Face images of a strip, at most."""

STRIPS: Final = 12
"""People who have a strip: those seen most."""

_POSTER_EDGE: Final = 640
_QUALITY: Final = 90
_BLOCKS: Final = 4
"""Of a hidden picture, along each edge: how far people can be told by so many is measured by `benchmarks/blurred_faces.py`."""

_SIGMA: Final = 0.6  # of a block's edge


@dataclass(frozen=True, eq=False)
class Pictures:
    """JPEGs of a clip.

    Args:
        faces: Each person's best face image, by the person's number in the clip.
        strips: Face images of a person side by side, `TILE` px each, evenly spread over the person's time, by number. Their times
            are `strip_s` of the person in the summary.
        poster: The first frame that shows a face, or the first of all.
        blurred: Whether nobody can be known by them.
    """

    faces: Mapping[int, bytes] = field(default_factory=dict)
    strips: Mapping[int, bytes] = field(default_factory=dict)
    poster: bytes | None = None
    blurred: bool = False

    def hidden(self) -> Self:
        """Return the same pictures, blurred."""
        if self.blurred:
            return self
        faces = {one: encode(blurred(decode(data))) for one, data in self.faces.items()}
        strips = {one: encode(_blurred_strip(decode(data))) for one, data in self.strips.items()}
        poster = self.poster and encode(blurred(decode(self.poster)))  # one face may fill it
        return type(self)(faces, strips, poster, blurred=True)

    def files(self) -> dict[str, bytes]:
        """Return them by the names that they have beside the clip's tables."""
        faces = {thumbnail_name(one): data for one, data in self.faces.items()}
        strips = {strip_name(one): data for one, data in self.strips.items()}
        return {**faces, **strips, **({POSTER: self.poster} if self.poster else {})}


def thumbnail_name(person: int) -> str:
    """Name the file, beside the clip's tables, of the picture of a clip's person, counted from 1."""
    return f"person-{person}.jpg"


def strip_name(person: int) -> str:
    """Name the file of the face images of a clip's person, side by side."""
    return f"person-{person}-strip.jpg"


def encode_strip(images: Sequence[Image]) -> bytes:
    """Put face images, each uint8 (H, W, 3) RGB, side by side, `TILE` px each, into one JPEG."""
    import cv2

    tiles = [cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA) for image in images]
    return encode(np.asarray(np.concatenate(tiles, axis=1), np.uint8))


def encode_poster(image: Image) -> bytes:
    """Encode a frame, uint8 (H, W, 3) RGB, at most 640 px wide and high, as JPEG."""
    import cv2

    scale = min(1.0, _POSTER_EDGE / max(image.shape[:2]))
    width, height = (max(1, round(edge * scale)) for edge in (image.shape[1], image.shape[0]))
    return encode(np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8))


def encode(image: Image) -> bytes:
    """Encode an RGB image, uint8 (H, W, 3), as JPEG."""
    import cv2

    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def decode(data: bytes) -> Image:
    """Decode a JPEG to RGB, uint8 (H, W, 3).

    Raises:
        ValueError: It is none.
    """
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("no JPEG")
    return np.asarray(image[..., ::-1], np.uint8)


def _blurred_strip(image: Image) -> Image:
    tiles = np.split(image, image.shape[1] // TILE, axis=1)
    return np.concatenate([blurred(tile) for tile in tiles], axis=1)


def blurred(image: Image, blocks: int = _BLOCKS) -> Image:
    """Return an RGB image, uint8 (H, W, 3), of which the mean colours of 4 x 4 blocks are left, without edges between them.

    Nobody can get back what is gone: all images with the same 16 colours give the same one.

    Args:
        image: One face, or a frame that has one somewhere.
        blocks: Along each edge.
    """
    import cv2

    height, width = image.shape[:2]
    small = cv2.resize(image, (blocks, blocks), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), _SIGMA * max(height, width) / blocks), np.uint8)
