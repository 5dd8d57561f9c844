"""FER2013: 48x48 gray images in folders, `<root>/<split>/<class>/*`, or as Kaggle's `fer2013.csv`.

The set has known faults: flat images, exact duplicates (some with conflicting labels, some across splits) and names that
occur in two classes. A test split is read untouched; a training split drops what is of no use or would leak the test.

References:
    Goodfellow et al.: Challenges in representation learning: a report on three machine learning contests. ICONIP 2013.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013_csv import SIZE, Labels, RawImages, find_csv, read_rows
from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm")

TEST_SPLITS: Final = ("public_test", "private_test")
"""The splits that training keeps clear of."""

_TWICE: Final = "file name in two classes"


@dataclass(frozen=True)
class LabelledImages:
    """Gray images with their classes, all in memory (FER2013's 28,709 take 66 MB).

    Args:
        image: uint8 `(N, 48, 48)`.
        target: `(N,)`, indices into `EMOTIONS`.
        name: `<class>/<file>` of each image, or `row <number>` in a CSV file.
        digest: Content digest of each image's pixels.
        report: What was met while reading.
    """

    image: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int64]
    name: list[str]
    digest: list[str]
    report: PreparationReport

    def subset(self, keep: npt.NDArray[np.bool_], report: PreparationReport) -> "LabelledImages":
        """Return the images where `keep (N,)` is true, in order, under another report."""
        chosen = np.flatnonzero(keep)
        name, digest = ([texts[i] for i in chosen] for texts in (self.name, self.digest))
        return LabelledImages(self.image[chosen], self.target[chosen], name, digest, report)


def read_images(root: Path, split: str, *, labels: Labels = "fer2013") -> LabelledImages:
    """Read one split untouched, but for what is no image or, under FER+, has no label.

    Args:
        root: Folder that holds `<split>/<class>/*` or `fer2013.csv`, or the CSV file itself; a CSV file in the folder
            takes precedence, since its pixels are the exact ones.
        split: Name of the split's folder; of a CSV file `train`, `public_test` or `private_test`.
        labels: `fer2013`, or `ferplus` for the majority of the FER+ votes, which needs `fer2013.csv` and
            `fer2013new.csv`.

    Returns:
        Every readable image: from folders sorted by class in `EMOTIONS` order, then by name, and resized by area to 48x48
        where it is of another size; from a CSV file in its order. Flat images and copies are kept and noted.

    Raises:
        VidferError: The split is missing or empty, a class folder has a name outside `EMOTIONS`, a CSV file has other
            columns, or FER+ labels are wanted for folders.
    """
    raw = _read(root, split, labels)
    lost = sum(map(len, raw.dropped.values()))
    if not raw.image:
        expected = f"rows of it in {csv}" if (csv := find_csv(root)) else f"{root / split}/<class>/*.jpg"
        why = "".join(f"; {len(names)} left out: {reason}" for reason, names in raw.dropped.items())
        raise VidferError(f"{root / split} holds no readable image: expected {expected}{why}")
    image, target = np.stack(raw.image), np.array(raw.target, np.int64)
    digest = [_digest(pixels) for pixels in raw.image]
    _, noted = _sort_out(raw.name, _faults(image, target, digest))
    if twice := _names_in_two_classes(raw.name):
        noted[_TWICE] = twice
    source = f"{root.name}/{split}" + (", FER+ labels" if labels == "ferplus" else "")
    report = PreparationReport(source, len(image) + lost, len(image), dict(raw.dropped), noted)
    return LabelledImages(image, target, raw.name, digest, report)


def read_training_images(
    root: Path, split: str = "train", *, labels: Labels = "fer2013", test_splits: Collection[str] = TEST_SPLITS
) -> LabelledImages:
    """Read a split for training, without what is of no use or would leak a test.

    Dropped: flat images, images that recur in a test split, all copies of an image with conflicting labels, and
    all but the first copy of an image with one label.

    Args:
        root: As for `read_images`.
        split: Name of the training split.
        labels: As for `read_images`. Test images count with and without a label.
        test_splits: Names of the splits to keep clear of; those that are missing count for nothing.

    Returns:
        The images kept, with a report that lists the others.

    Raises:
        VidferError: As `read_images`.
    """
    raw = read_images(root, split, labels=labels)
    faults = _faults(raw.image, raw.target, raw.digest)
    leaks = {
        f"recurs in {test}": _among(raw.digest, _test_digests(root, test)) for test in test_splits if test != split
    }
    keep, dropped = _sort_out(raw.name, {"flat image": faults.pop("flat image"), **leaks, **faults})
    noted = {reason: names for reason, names in raw.report.noted.items() if reason == _TWICE}
    report = PreparationReport(
        raw.report.source, raw.report.found, int(keep.sum()), {**raw.report.dropped, **dropped}, noted
    )
    return raw.subset(keep, report)


def split_by_hash(data: LabelledImages, share: float) -> npt.NDArray[np.bool_]:
    """Choose a validation share by content: stable when files are added, removed or renamed, and stratified by class.

    Args:
        data: Images without duplicates.
        share: Share of every class to choose, in [0, 1).

    Returns:
        bool `(N,)`, true for the validation images: those with the smallest digests of each class.
    """
    return stratified_rank(data.target, data.digest) < share


def stratified_rank(target: npt.NDArray[np.int64], digest: Sequence[str]) -> npt.NDArray[np.float64]:
    """Place every image in the order of digests of its class, as a share: what is below q is a share of about q of each class.

    Content alone decides, so that a choice by rank is the same on every machine and whatever the files are called. Images
    of one digest share a rank, also across classes: a cut never separates them.

    Returns:
        float64 `(N,)` in (0, 1).
    """
    names = np.array(digest)
    rank = np.empty(len(names))
    for label in np.unique(target):
        members = np.flatnonzero(target == label)
        order = members[np.argsort(names[members], kind="stable")]
        rank[order] = (np.arange(len(order)) + 0.5) / len(order)
    first = np.ones(len(names))
    group = np.unique(names, return_inverse=True)[1]
    np.minimum.at(first, group, rank)
    return np.asarray(first[group])


def recurring(data: LabelledImages, other: LabelledImages) -> npt.NDArray[np.bool_]:
    """Find the images that occur in another split as well, pixel by pixel.

    FER2013's own test images recur in its training split. A model that was trained on all of it was trained on them, so its
    accuracy is reported with and without them.

    Returns:
        bool `(N,)`, true for the images of `data` that are in `other`.
    """
    return _among(data.digest, set(other.digest))


def _read(root: Path, split: str, labels: Labels) -> RawImages:
    if labels not in get_args(Labels):
        raise VidferError(f"there are no labels '{labels}': choose {' or '.join(get_args(Labels))}")
    csv = find_csv(root)
    if csv:
        return read_rows(csv, split, labels)
    if labels == "ferplus":
        raise VidferError(
            f"FER+ labels go by the rows of fer2013.csv, and {root} has none: folders do not tell which row a file was"
        )
    return _read_folder(root, split)


def _read_folder(root: Path, split: str) -> RawImages:
    import cv2

    read = RawImages()
    for path, label in _list_files(root, split):
        name = f"{path.parent.name}/{path.name}"
        try:
            pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        except (OSError, cv2.error):
            pixels = None
        if pixels is None:
            read.dropped["not a readable image"].append(name)
            continue
        if pixels.shape != (SIZE, SIZE):
            pixels = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        read.image.append(pixels.astype(np.uint8, copy=False))
        read.target.append(label)
        read.name.append(name)
    return read


def _list_files(root: Path, split: str) -> list[tuple[Path, int]]:
    folder = root / split
    if not root.is_dir():
        raise VidferError(f"there is no folder {root}: name the one that holds FER2013, as folders or as fer2013.csv")
    if not folder.is_dir():
        known = sorted(p.name for p in root.iterdir() if p.is_dir())
        found = f"; found: {', '.join(known)}" if known else ""
        raise VidferError(f"no split '{split}' in {root}: expected {folder}/<class>/*.jpg or {root}/fer2013.csv{found}")
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    unknown = [name for name in classes if name not in EMOTIONS]
    if unknown:
        raise VidferError(f"unknown class {', '.join(unknown)} in {folder}: the classes are {', '.join(EMOTIONS)}")
    return [
        (path, label)
        for label, name in enumerate(EMOTIONS)
        if name in classes
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]


def image_files(root: Path, splits: Iterable[str]) -> list[Path]:
    """List the files that hold some splits' images and labels: every image of a folder, or Kaggle's file and the votes beside it.

    Args:
        root: As for `read_images`.
        splits: Names of splits; those that are missing count for nothing.

    Raises:
        VidferError: None of the splits is there.
    """
    if csv := find_csv(root):
        return [path for path in (csv, csv.with_name("fer2013new.csv")) if path == csv or path.is_file()]
    files = [path for split in splits if (root / split).is_dir() for path, _ in _list_files(root, split)]
    return files or [path for split in splits for path, _ in _list_files(root, split)]


def _test_digests(root: Path, split: str) -> set[str]:
    csv = find_csv(root)
    if not csv and not (root / split).is_dir():
        return set()
    raw = read_rows(csv, split) if csv else _read_folder(root, split)
    return {_digest(image) for image in (*raw.image, *raw.unlabelled)}


def _digest(pixels: npt.NDArray[np.uint8]) -> str:
    from blake3 import blake3

    return str(blake3(pixels.tobytes()).hexdigest(length=16))


def _among(digest: list[str], others: set[str]) -> npt.NDArray[np.bool_]:
    return np.fromiter((one in others for one in digest), bool, len(digest))


def _faults(
    image: npt.NDArray[np.uint8], target: npt.NDArray[np.int64], digest: list[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    pixels = image.reshape(len(image), -1)
    _, first, group = np.unique(digest, return_index=True, return_inverse=True)
    least, most = np.full(len(first), len(EMOTIONS)), np.full(len(first), -1)
    np.minimum.at(least, group, target)
    np.maximum.at(most, group, target)
    copy = np.ones(len(image), bool)
    copy[first] = False
    return {
        "flat image": pixels.min(1) == pixels.max(1),
        "copies with conflicting labels": (least != most)[group],
        "copy of an earlier image": copy,
    }


def _sort_out(
    names: list[str], faults: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[npt.NDArray[np.bool_], dict[str, list[str]]]:
    """Return which images have no fault, and the names of the others by the first fault that they have."""
    keep = np.ones(len(names), bool)
    found = {}
    for reason, faulty in faults.items():
        if (keep & faulty).any():
            found[reason] = [names[i] for i in np.flatnonzero(keep & faulty)]
        keep &= ~faulty
    return keep, found


def _names_in_two_classes(names: list[str]) -> list[str]:
    files = defaultdict(list)
    for name in names:
        files[name.rpartition("/")[2]].append(name)
    return [name for same in files.values() if len(same) > 1 for name in same]
