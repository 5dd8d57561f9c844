"""Clean photographs to learn denoising from: a folder of images, or those that come with scikit-image."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.report import PreparationReport
from vidfer.pipeline.atomic import replacing
from vidfer.types import VidferError

_SAMPLE_FILES: Final = {
    **{"astronaut": "astronaut.png", "chelsea": "chelsea.png", "rocket": "rocket.jpg"},
    **{"immunohistochemistry": "ihc.png", "retina": "retina.jpg", "coffee": "coffee.png"},
}

SAMPLE: Final = tuple(_SAMPLE_FILES)
"""Colour images inside the scikit-image package; the last is held out for validation."""

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""What is read from a folder; everything else, such as an animated gif, is ignored."""

LOW_RESOLUTION: Final = re.compile(r"\d{4}x\d\w?\.png")
"""Names of DIV2K's reduced images, such as `0001x2.png`: sharper and less noisy than what they were made from."""

Photo = npt.NDArray[np.uint8]
"""uint8 `(H, W, 3)`, RGB."""

_MEMORY = 2 * 2**30


class StoredPhoto:
    """A decoded photograph on disk, a `.npy` file of uint8 `(H, W, 3)`, of which only the pages of a crop are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shape: tuple[int, ...] = self._map().shape

    def __getitem__(self, area: tuple[slice, slice]) -> Photo:
        """Read an area into memory."""
        return np.array(self._map()[area])

    def _map(self) -> Photo:  # opened for each crop: hundreds of open files would meet the limit of many systems
        pixels: Photo = np.lib.format.open_memmap(self.path, mode="r")
        return pixels


Photos = dict[str, Photo | StoredPhoto]
"""Photographs by name; both kinds have a `shape` and give an array when sliced by rows and columns."""


def read_photos(root: str, *, smallest: int = 64) -> tuple[Photos, PreparationReport]:
    """Read the photographs of a folder and its subfolders, or of scikit-image where it is `sample`; see `read_files`.

    Raises:
        VidferError: There is no such folder, or no image of `smallest` px a side in it.
    """
    if root != "sample":
        return read_files(photo_files(Path(root)), Path(root), smallest=smallest)
    sample: Photos = {name: read_sample(name) for name in SAMPLE}
    kept = {name: photo for name, photo in sample.items() if min(photo.shape[:2]) >= smallest}
    if not kept:
        raise VidferError(f"no image of 'sample' has {smallest} px a side: take smaller crops, or other photographs")
    small = [name for name in sample if name not in kept]
    dropped = {f"smaller than {smallest} px": small} if small else {}
    return kept, PreparationReport("sample (scikit-image)", len(sample), len(kept), dropped)


def read_sample(name: str) -> Photo:
    """Read one of `SAMPLE` from its file in the package, since `skimage.data.NAME()` fails where there is no home folder."""
    import skimage.data
    from skimage.io import imread

    photo: Photo = imread(Path(skimage.data.__file__).with_name(_SAMPLE_FILES[name]))
    return photo


def photo_files(folder: Path) -> list[Path]:
    """List the images of a folder, which has to be there, and its subfolders by name."""
    if not folder.is_dir():
        raise VidferError(f"there is no folder {folder}: give a folder of photographs, or 'sample'")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir())


def read_files(paths: Sequence[Path], folder: Path, *, smallest: int = 64) -> tuple[Photos, PreparationReport]:
    """Read photographs into memory, or, where they would take more than 2 GiB, decode them to disk once.

    Whatever a file holds becomes 8-bit RGB: alpha is dropped, 16 bits lose the lower half, a rotation in the EXIF data is
    applied. Unreadable files, and those with an edge below `smallest` px, are dropped; gray ones, and those named like
    DIV2K's reduced images, are noted. Names are relative to `folder`.

    Decoded copies lie in `<folder>/.decoded`, or below `$VIDFER_DECODED` where that is set. They take three bytes a
    pixel, are made again when a photograph changes, and may be deleted at any time.

    Raises:
        VidferError: There is no usable image, or no place for decoded copies.
    """
    photos: Photos = {}
    dropped: dict[str, list[str]] = defaultdict(list)
    noted: dict[str, list[str]] = defaultdict(list)
    given = os.environ.get("VIDFER_DECODED")
    copies = Path(given, *folder.resolve().parts[1:]) if given else folder / ".decoded"
    held: dict[str, tuple[Path, Photo]] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        photo, reason = _load(path, copies / f"{name}.npy", smallest)
        if photo is None:
            dropped[reason].append(name)
            continue
        photos[name] = photo
        if _is_gray(photo):
            noted["gray"].append(name)
        if LOW_RESOLUTION.fullmatch(path.name):
            noted["reduced in size, by its name"].append(name)
        if isinstance(photo, np.ndarray):
            held[name] = (path, photo)
        if sum(pixels.nbytes for _, pixels in held.values()) > _MEMORY:
            photos |= _store(held, copies)
            held.clear()
    if any(isinstance(photo, StoredPhoto) for photo in photos.values()):
        photos |= _store(held, copies)
    if not photos:
        raise VidferError(f"no image of at least {smallest} px in {folder}: give a folder of photographs, or 'sample'")
    return photos, PreparationReport(folder.name, len(paths), len(photos), dict(dropped), dict(noted))


def add_noise(image: Photo, sigma: float, rng: np.random.Generator, *, clip: bool = True) -> npt.NDArray[np.float32]:
    """Add Gaussian noise of standard deviation `sigma` (0-255 scale) to (H, W, 3), uint8; the result is float32.

    With `clip` it is rounded and clipped to 8 bits, as a recorded frame is.
    """
    noisy = image + rng.normal(0.0, sigma, image.shape)
    return (noisy.round().clip(0, 255) if clip else noisy).astype(np.float32)


def _load(path: Path, copy: Path, smallest: int) -> tuple[Photo | StoredPhoto | None, str]:
    try:
        photo = _find_copy(path, copy) or _decode(path)
    except OSError:
        return None, "cannot be opened"
    if photo is None:
        return None, "not a readable image"
    if min(photo.shape[:2]) < smallest:
        return None, f"smaller than {smallest} px"
    return photo, ""


def _decode(path: Path) -> Photo | None:
    import cv2

    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if pixels is None else np.ascontiguousarray(pixels[..., ::-1])


def _find_copy(path: Path, copy: Path) -> StoredPhoto | None:
    """Return a photograph's copy: it has the same time, and was made after the photograph changed, which may keep its time."""
    of_photo = path.stat()
    try:
        of_copy = copy.stat()
        same = of_copy.st_mtime_ns == of_photo.st_mtime_ns and of_copy.st_ctime_ns > of_photo.st_ctime_ns
        return StoredPhoto(copy) if same else None
    except (OSError, ValueError):
        return None


def _store(held: dict[str, tuple[Path, Photo]], copies: Path) -> Photos:
    return {name: _write_copy(path, photo, copies / f"{name}.npy") for name, (path, photo) in held.items()}


def _write_copy(path: Path, photo: Photo, copy: Path) -> StoredPhoto:
    stamp = path.stat().st_mtime_ns
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with replacing(copy) as temporary:
            with temporary.open("wb") as file:
                np.lib.format.write_array(file, photo)
            os.utime(temporary, ns=(stamp, stamp))
    except OSError as error:
        raise VidferError(
            f"{copy.parent} cannot take the decoded photographs ({error.strerror or error}): they need three bytes a pixel, "
            "9 MB for a 2K image. Free some space there, or name another folder by $VIDFER_DECODED"
        ) from error
    return StoredPhoto(copy)


def _is_gray(photo: Photo | StoredPhoto) -> bool:
    for rows in (slice(None, None, 64), slice(None)):  # a few rows rule out nearly every photograph
        part = photo[rows, :]
        if (part[..., :1] != part).any():
            return False
    return True
