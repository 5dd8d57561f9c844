"""FER2013 in folders: `<root>/<split>/<class>/*`, 48x48 gray images.

The loader meets the set's known faults: flat images, exact duplicates (some with conflicting labels, some across
splits) and names that occur in two classes. A test split is read untouched; a training split drops what would
teach nothing or would leak the test.

References:
    Goodfellow et al.: Challenges in representation learning: a report on three machine learning contests. ICONIP 2013.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm")


@dataclass(frozen=True)
class LabelledImages:
    """Gray images with their classes, all in memory (FER2013's 28,709 take 66 MB).

    Args:
        image: uint8 `(N, S, S)`.
        target: int64 `(N,)`, indices into `EMOTIONS`.
        name: `<class>/<file>` of each image, unique where the file name alone is not.
        digest: Content digest of each image's pixels.
        report: What was met while reading.
    """

    image: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int64]
    name: list[str]
    digest: list[str]
    report: PreparationReport

    def subset(self, keep: npt.NDArray[np.bool_], report: PreparationReport) -> "LabelledImages":
        """Keep the images where `keep` is true.

        Args:
            keep: bool `(N,)`.
            report: The report of the result.

        Returns:
            The images kept, in order.
        """
        chosen = np.flatnonzero(keep)
        return LabelledImages(
            self.image[chosen],
            self.target[chosen],
            [self.name[i] for i in chosen],
            [self.digest[i] for i in chosen],
            report,
        )


def read_images(root: Path, split: str, *, size: int = 48) -> LabelledImages:
    """Read one split untouched, but for files that are no images.

    Args:
        root: Folder of the data set.
        split: Name of the split's folder.
        size: Edge of the images in px; others are resized by area.

    Returns:
        Every readable image, sorted by class in `EMOTIONS` order, then by name.

    Raises:
        VidferError: The split is missing or empty, or a class folder has a name outside `EMOTIONS`.
    """
    import cv2
    from blake3 import blake3

    images, targets, names, digests = [], [], [], []
    damaged: list[str] = []
    for path, label in _list_files(root, split):
        name = f"{path.parent.name}/{path.name}"
        try:
            pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        except (OSError, cv2.error):
            pixels = None
        if pixels is None:
            damaged.append(name)
            continue
        if pixels.shape != (size, size):
            pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
        images.append(pixels)
        targets.append(label)
        names.append(name)
        digests.append(blake3(pixels.tobytes()).hexdigest(length=16))
    if not images:
        raise VidferError(f"{root / split} holds no readable image: expected {split}/<class>/*.jpg")
    report = PreparationReport(
        f"{root.name}/{split}",
        len(images) + len(damaged),
        len(images),
        {"not a readable image": damaged} if damaged else {},
    )
    return LabelledImages(np.stack(images), np.array(targets, np.int64), names, digests, report)


def read_training_images(root: Path, split: str = "train", *, test_split: str = "public_test") -> LabelledImages:
    """Read a split for training, without what would teach nothing or would leak the test.

    Dropped: flat images, images that recur in the test split, all copies of an image with conflicting labels, and
    all but the first copy of an image with one label.

    Args:
        root: Folder of the data set.
        split: Name of the training split's folder.
        test_split: Name of the split to keep disjoint from; it may be missing.

    Returns:
        The images kept, with a report that lists the others.
    """
    raw = read_images(root, split)
    test = set(read_images(root, test_split).digest) if (root / test_split).is_dir() else set()
    labels: dict[str, set[int]] = defaultdict(set)
    for digest, label in zip(raw.digest, raw.target.tolist(), strict=True):
        labels[digest].add(label)
    keep = np.zeros(len(raw.name), dtype=bool)
    dropped = defaultdict(list, raw.report.dropped)
    seen: set[str] = set()
    for i, (name, digest) in enumerate(zip(raw.name, raw.digest, strict=True)):
        if raw.image[i].min() == raw.image[i].max():
            dropped["flat image"].append(name)
        elif digest in test:
            dropped[f"recurs in {test_split}"].append(name)
        elif len(labels[digest]) > 1:
            dropped["copies with conflicting labels"].append(name)
        elif digest in seen:
            dropped["copy of an earlier image"].append(name)
        else:
            keep[i] = True
            seen.add(digest)
    files = defaultdict(list)
    for name in raw.name:
        files[name.split("/")[1]].append(name)
    twice = [name for same in files.values() if len(same) > 1 for name in same]
    report = PreparationReport(
        raw.report.source,
        raw.report.found,
        int(keep.sum()),
        dict(dropped),
        {"file name in two classes": twice} if twice else {},
    )
    return raw.subset(keep, report)


def split_by_hash(data: LabelledImages, share: float) -> npt.NDArray[np.bool_]:
    """Choose a validation share by content: stable when files are added, removed or renamed, and stratified by class.

    Args:
        data: Images without duplicates.
        share: Share of every class to choose, in (0, 1).

    Returns:
        bool `(N,)`, true for the validation images: those with the smallest digests of each class.
    """
    chosen = np.zeros(len(data.name), dtype=bool)
    digests = np.array(data.digest)
    for label in np.unique(data.target):
        members = np.flatnonzero(data.target == label)
        order = members[np.argsort(digests[members])]
        chosen[order[: round(share * len(members))]] = True
    return chosen


def _list_files(root: Path, split: str) -> list[tuple[Path, int]]:
    folder = root / split
    if not folder.is_dir():
        known = sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
        found = f"; found: {', '.join(known)}" if known else ""
        raise VidferError(f"no split '{split}' in {root}: expected {folder}/<class>/*.jpg{found}")
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
