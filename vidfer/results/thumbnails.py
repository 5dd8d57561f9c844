"""A small picture of each person: of the best face image, and no face any more unless that is wanted."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_QUALITY: Final = 90
_BLOCKS: Final = 6
_SIGMA: Final = 0.6  # of a block's edge


def thumbnail_name(person: int) -> str:
    """Name the file, beside the clip's tables, of the picture of a clip's person, counted from 1."""
    return f"person-{person}.jpg"


def encode(image: Image) -> bytes:
    """Encode an RGB image, uint8 (H, W, 3), as JPEG."""
    import cv2

    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def thumbnail_files(pictures: Mapping[int, bytes], *, show_faces: bool) -> dict[str, bytes]:
    """Return the files by name.

    Args:
        pictures: A JPEG of each person's face, by the person's number.
        show_faces: Leave the faces as they are.
    """
    return {thumbnail_name(one): data if show_faces else _blurred_file(data) for one, data in pictures.items()}


def _blurred_file(data: bytes) -> bytes:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("no JPEG")
    return encode(blurred(np.asarray(image[..., ::-1], np.uint8)))


def blurred(image: Image) -> Image:
    """Return an RGB image, uint8 (H, W, 3), of which the mean colours of 6 x 6 blocks are left, without edges between them.

    Nobody can get back what is gone: all images with the same 36 colours give the same one.
    """
    import cv2

    height, width = image.shape[:2]
    small = cv2.resize(image, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), _SIGMA * max(height, width) / _BLOCKS), np.uint8)
