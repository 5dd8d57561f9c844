"""Clean photographs to learn denoising from: a folder of images, or those that come with scikit-image."""

from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.report import PreparationReport
from vidfer.types import VidferError

SAMPLE: Final = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina")
"""Colour images inside the scikit-image package; the last is held out for validation."""

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

Photo = npt.NDArray[np.uint8]
"""uint8 `(H, W, 3)`, RGB."""


def read_photos(root: str, *, smallest: int = 64) -> tuple[dict[str, Photo], PreparationReport]:
    """Read photographs into memory.

    Args:
        root: A folder, searched with its subfolders, or `sample` for the images of scikit-image.
        smallest: Smallest edge in px that is of use.

    Returns:
        Photographs by name, and a report of unreadable and too small files; gray ones are noted and kept as RGB.

    Raises:
        VidferError: There is no usable image.
    """
    if root == "sample":
        photos = {name: _sample(name) for name in SAMPLE}
        return photos, PreparationReport("sample (scikit-image)", len(photos), len(photos))
    folder = Path(root)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    photos = {}
    dropped: dict[str, list[str]] = defaultdict(list)
    gray = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        photo = _read(path)
        if photo is None:
            dropped["not a readable image"].append(name)
        elif min(photo.shape[:2]) < smallest:
            dropped[f"smaller than {smallest} px"].append(name)
        else:
            photos[name] = photo
            if (photo[..., 0] == photo[..., 1]).all() and (photo[..., 1] == photo[..., 2]).all():
                gray.append(name)
    if not photos:
        raise VidferError(f"no image of at least {smallest} px in {folder}: give a folder of photographs, or 'sample'")
    noted = {"gray": gray} if gray else {}
    return photos, PreparationReport(folder.name, len(paths), len(photos), dict(dropped), noted)


def add_noise(image: Photo, sigma: float, rng: np.random.Generator, *, clip: bool = True) -> npt.NDArray[np.float32]:
    """Add Gaussian noise.

    Args:
        image: uint8 `(H, W, 3)`.
        sigma: Standard deviation on the 0-255 scale.
        rng: Source of randomness.
        clip: Round and clip to 8 bits, as a recorded frame is.

    Returns:
        float32 `(H, W, 3)` on the 0-255 scale.
    """
    noisy = image + rng.normal(0.0, sigma, image.shape)
    return (noisy.round().clip(0, 255) if clip else noisy).astype(np.float32)


def _sample(name: str) -> Photo:
    from skimage import data

    photo: Photo = getattr(data, name)()
    return photo


def _read(path: Path) -> Photo | None:
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if pixels is None else np.ascontiguousarray(pixels[..., ::-1])
