"""Photographs for the tables of denoisers: drawn by a seed to train on, always the same to test on."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.photos import SAMPLE, Photo, Photos, StoredPhoto, add_noise, read_photos
from vidfer.types import VidferError

SIGMAS: Final = (15.0, 25.0, 50.0)
"""Noise levels on the 0-255 scale; the denoisers are not told which."""
TEST_CROP: Final = 128
"""Edge in px of the middle of each test photograph, which alone is tested on: whole ones would take minutes a cell."""
_TEST_FOLDERS: Final = ("set5", "set14")
_TILE: Final = 64


class NotEnoughImagesError(VidferError):
    """There are fewer training photographs than a cell of the table wants.

    Args:
        wanted: How many the cell wants.
        found: How many there are.
    """

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(f"not enough images: {found}, where {wanted} are wanted")
        self.wanted = wanted
        self.found = found


@dataclass(frozen=True)
class TestImage:
    """A clean crop with its noisy version, fixed for all cells.

    Args:
        name: The photograph's.
        sigma: Noise level on the 0-255 scale.
        clean: uint8 `(128, 128, 3)`.
        noisy: The same with noise, rounded and clipped to 8 bits, float32 on 0-255.
    """

    __test__ = False

    name: str
    sigma: float
    clean: Photo
    noisy: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """What all cells of a table share.

    Args:
        train: Photographs to draw from, by name.
        test: What is tested on.
        text: Names the data in words.
        digest: Of all pixels that are trained and tested on.
    """

    train: Photos
    test: tuple[TestImage, ...]
    text: str
    digest: str

    def draw(self, size: int, seed: int) -> list[Photo | StoredPhoto]:
        """Draw training photographs; a larger draw by the same seed holds the smaller one.

        Args:
            size: How many.
            seed: Which.

        Raises:
            NotEnoughImagesError: There are fewer.
        """
        if size > len(self.train):
            raise NotEnoughImagesError(size, len(self.train))
        names = sorted(self.train)
        order = np.random.default_rng(seed).permutation(len(names))
        return [self.train[names[index]] for index in order[:size]]


@lru_cache(maxsize=2)
def load_material(root: str, test_roots: tuple[str, ...] | None = None) -> Material:
    """Read the photographs, once in a process.

    Args:
        root: Folder of training photographs; or `sample` for tiles of scikit-image's, whose last photograph is tested on.
        test_roots: Folders of test photographs; `set5` and `set14` beside `root` if not given.

    Returns:
        Photographs to train and test on.

    Raises:
        VidferError: A folder is missing or empty, or a photograph is in both parts.
    """
    if root == "sample":
        return _sample_material()
    folders = [Path(each) for each in test_roots or [str(Path(root).parent / name) for name in _TEST_FOLDERS]]
    train, report = read_photos(root, smallest=_TILE)
    test: Photos = {}
    for folder in folders:
        found, _ = read_photos(str(folder), smallest=TEST_CROP)
        test |= {f"{folder.name}/{name}": photo for name, photo in found.items()}
    tested = f"the middle {TEST_CROP} px of {len(test)} images of {' and '.join(folder.name for folder in folders)}"
    return _combine(train, test, report.source, tested)


def _sample_material() -> Material:
    photos, _ = read_photos("sample")
    last = SAMPLE[-1]
    train = _cut({name: photo for name, photo in photos.items() if name != last}, _TILE)
    test = _cut({last: photos[last]}, TEST_CROP)
    source = f"tiles of {_TILE} px of scikit-image's {', '.join(SAMPLE[:-1])}"
    return _combine(train, test, source, f"{len(test)} tiles of {TEST_CROP} px of its {last}")


def _combine(train: Photos, test: Photos, source: str, tested: str) -> Material:
    known = {_digest(photo): name for name, photo in train.items()}
    asked = {_digest(photo): name for name, photo in test.items()}
    leaks = [f"{known[digest]} is {name}" for digest, name in asked.items() if digest in known]
    if leaks:
        raise VidferError(
            f"photographs to test on are also trained on ({'; '.join(leaks[:5])}): take them out of one of the folders"
        )
    levels = ", ".join(f"{sigma:g}" for sigma in SIGMAS)
    text = (
        f"trained on {source}, tested on {tested}; noise of sigma {levels}, unknown to the network, rounded and clipped to "
        "8 bits"
    )
    digest = hashlib.sha256("".join([*sorted(known), "/", *sorted(asked)]).encode()).hexdigest()
    return Material(train, _make_test(test), text, digest)


def _make_test(photos: Photos) -> tuple[TestImage, ...]:
    images = []
    for number, (name, photo) in enumerate(sorted(photos.items())):
        top, left = ((edge - TEST_CROP) // 2 for edge in photo.shape[:2])
        clean = photo[top : top + TEST_CROP, left : left + TEST_CROP]
        for level, sigma in enumerate(SIGMAS):
            noisy = add_noise(clean, sigma, np.random.default_rng((number, level)))
            images.append(TestImage(name, sigma, clean, noisy))
    return tuple(images)


def _cut(photos: Photos, edge: int) -> Photos:
    """Cut photographs into tiles that do not overlap."""
    return {
        f"{name} {top},{left}": photo[top : top + edge, left : left + edge]
        for name, photo in photos.items()
        for top in range(0, photo.shape[0] - edge + 1, edge)
        for left in range(0, photo.shape[1] - edge + 1, edge)
    }


def _digest(photo: Photo | StoredPhoto) -> str:
    pixels = np.ascontiguousarray(photo[:, :])
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
