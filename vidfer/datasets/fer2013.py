"""FER2013: 48x48 gray images in folders, `<root>/<split>/<class>/*`, or as Kaggle's `fer2013.csv`.

The set has known faults: flat images, exact duplicates (some with conflicting labels, some across splits) and names that
occur in two classes. A test split is read untouched; a training split drops what is of no use or would leak the test.

References:
    Goodfellow et al.: Challenges in representation learning: a report on three machine learning contests. ICONIP 2013.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """Gray images with their classes, all in memory; `person` is empty where it is not known who is shown."""

    image: npt.NDArray[np.uint8]  # (N, 48, 48)
    target: npt.NDArray[np.int64]  # (N,), indices into `EMOTIONS`
    name: list[str]  # `<class>/<file>` of each image, or `row <number>` in a CSV file
    digest: list[str]  # of each image's pixels
    report: PreparationReport
    person: list[str | None] = field(default_factory=list)  # of each image

    def subset(self, keep: npt.NDArray[np.bool_], report: PreparationReport) -> "LabelledImages":
        """Return the images where `keep (N,)` is true, in order, under another report."""
        chosen = np.flatnonzero(keep)
        name, digest = ([texts[i] for i in chosen] for texts in (self.name, self.digest))
        person = [self.person[i] for i in chosen] if self.person else []
        return LabelledImages(self.image[chosen], self.target[chosen], name, digest, report, person)


def read_images(root: Path, split: str, *, labels: Labels = "fer2013") -> LabelledImages:
    """Read one split untouched, but for what is no image or, under FER+, has no label; flat images and copies are noted.

    Images of folders are sorted by class in `EMOTIONS` order, then by name, and resized by area to 48x48 where needed.

    Args:
        root: Folder that holds `<split>/<class>/*` or `fer2013.csv`, or the CSV file itself; a CSV file in the folder
            takes precedence, since its pixels are the exact ones.
        split: Name of the split's folder; of a CSV file `train`, `public_test` or `private_test`.
        labels: `fer2013`, or `ferplus` for the majority of the votes in `fer2013new.csv` beside `fer2013.csv`.

    Raises:
        VidferError: The split is missing or empty, or its classes, columns or labels are not as expected.
    """
    raw = _read(root, split, labels)
    lost = sum(map(len, raw.dropped.values()))
    if not raw.image:
        expected = f"rows of it in {csv}" if (csv := find_csv(root)) else f"{root / split}/<class>/*.jpg"
        why = "".join(f"; {len(names)} left out: {reason}" for reason, names in raw.dropped.items())
        raise VidferError(f"{root / split} holds no readable image: expected {expected}{why}")
    image, target = np.stack(raw.image), np.array(raw.target, np.int64)
    digest = [image_digest(pixels) for pixels in raw.image]
    _, noted = _sort_out(raw.name, _faults(image, target, digest))
    files = [name.rpartition("/")[2] for name in raw.name]
    count = Counter(files)
    if twice := [name for name, file in zip(raw.name, files, strict=True) if count[file] > 1]:
        noted[_TWICE] = twice
    source = f"{root.name}/{split}" + (", FER+ labels" if labels == "ferplus" else "")
    report = PreparationReport(source, len(image) + lost, len(image), dict(raw.dropped), noted)
    return LabelledImages(image, target, raw.name, digest, report)


def read_training_images(
    root: Path, split: str = "train", *, labels: Labels = "fer2013", test_splits: Collection[str] = TEST_SPLITS
) -> LabelledImages:
    """Read a split as `read_images` does, without what is of no use for training or would leak a test.

    Dropped and reported: flat images, images that recur in one of `test_splits` (those that exist, images without label
    included), all copies of an image with conflicting labels, and all but the first copy of an image with one label.
    """
    raw = read_images(root, split, labels=labels)
    faults = _faults(raw.image, raw.target, raw.digest)
    tests = {test: split_digests(root, test) for test in test_splits if test != split}
    leaks = {f"recurs in {test}": np.isin(raw.digest, digest) for test, digest in tests.items()}
    keep, dropped = _sort_out(raw.name, {"flat image": faults.pop("flat image"), **leaks, **faults})
    noted = {reason: names for reason, names in raw.report.noted.items() if reason == _TWICE}
    report = PreparationReport(
        raw.report.source, raw.report.found, int(keep.sum()), {**raw.report.dropped, **dropped}, noted
    )
    return raw.subset(keep, report)


def read_train_val(
    root: Path, val_share: float, *, split: str = "train", test_split: str = TEST_SPLITS[0], labels: Labels = "fer2013"
) -> tuple[LabelledImages, LabelledImages]:
    """Read a training split clear of `TEST_SPLITS` and `test_split`, and hold a share of it out for validation by content."""
    tests = dict.fromkeys((*TEST_SPLITS, test_split))
    images = read_training_images(root, split, labels=labels, test_splits=tests)
    held_out = split_by_hash(images, val_share)
    return images.subset(~held_out, images.report), images.subset(held_out, images.report)


def split_by_hash(data: LabelledImages, share: float) -> npt.NDArray[np.bool_]:
    """Choose a share in [0, 1) of every class, those with the smallest digests: bool `(N,)`, true for the chosen images.

    The choice is stable when files are added, removed or renamed.
    """
    return stratified_rank(data.target, data.digest) < share


def stratified_rank(target: npt.NDArray[np.int64], digest: Sequence[str]) -> npt.NDArray[np.float64]:
    """Rank images by digest within their class, float64 `(N,)` in (0, 1): a share of about q of each class is below q.

    Images of one digest share a rank, also across classes, so that no threshold separates them.
    """
    import pandas as pd

    code = pd.Series(np.unique(digest, return_inverse=True)[1])
    by_class = code.groupby(target)
    rank = (by_class.rank(method="first") - 0.5) / by_class.transform("size")
    return np.asarray(rank.groupby(code).transform("min"), np.float64)


def recurring(data: LabelledImages, other: LabelledImages) -> npt.NDArray[np.bool_]:
    """Find the images of `data` whose pixels occur in `other` as well: bool `(N,)`. FER2013's test images recur in training."""
    return np.isin(data.digest, other.digest)


def _read(root: Path, split: str, labels: Labels = "fer2013") -> RawImages:
    if labels not in get_args(Labels):
        raise VidferError(f"there are no labels '{labels}': choose {' or '.join(get_args(Labels))}")
    if csv := find_csv(root):
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
    """List the files of those splits that exist: every image of a folder, or Kaggle's file and the votes beside it."""
    if csv := find_csv(root):
        return [path for path in (csv, csv.with_name("fer2013new.csv")) if path == csv or path.is_file()]
    files = [path for split in splits if (root / split).is_dir() for path, _ in _list_files(root, split)]
    return files or [path for split in splits for path, _ in _list_files(root, split)]


def split_digests(root: Path, split: str) -> list[str]:
    """Return the digest of every image of a split, without labels too; none where there is no such split."""
    if not find_csv(root) and not (root / split).is_dir():
        return []
    raw = _read(root, split)
    return [image_digest(image) for image in (*raw.image, *raw.unlabelled.values())]


def image_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """Return the digest of an image's pixels, 32 hexadecimal digits."""
    from blake3 import blake3

    return str(blake3(pixels.tobytes()).hexdigest(length=16))


def _faults(
    image: npt.NDArray[np.uint8], target: npt.NDArray[np.int64], digest: list[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    import pandas as pd

    labels = pd.Series(target).groupby(np.array(digest)).transform("nunique")
    return {
        "flat image": np.ptp(image, axis=(1, 2)) == 0,
        "copies with conflicting labels": np.asarray(labels > 1),
        "copy of an earlier image": np.asarray(pd.Series(digest).duplicated()),
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


def save_logits(path: Path, digest: list[str], logits: npt.NDArray[np.float32]) -> None:
    """Write logits float32 `(N, 7)` with the N digests of their images, hexadecimal, to a `.safetensors` path.

    Raises:
        VidferError: The path cannot be written.
    """
    from safetensors.numpy import save

    from vidfer.pipeline.atomic import write_atomic

    if path.suffix != ".safetensors":
        raise VidferError(f"logits are written as .safetensors, not to {path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, save({"digest": _bytes(digest), "logits": np.ascontiguousarray(logits, np.float32)}))
    except OSError as error:
        raise VidferError(f"{path} cannot be written: {error.strerror}") from error


def read_logits(path: Path, digest: list[str]) -> npt.NDArray[np.float32]:
    """Read the logits float32 `(N, 7)` of the images with N digests, in their order, from a file of `save_logits`.

    Raises:
        VidferError: There is no such file, it holds something else, or it lacks an image.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise VidferError(f"no logits can be read from {path}: {error}") from error
    logits, stored = found.get("logits"), found.get("digest")
    if logits is None or stored is None or logits.shape != (len(stored), len(EMOTIONS)):
        raise VidferError(f"{path} holds no logits: `vidfer evaluate image --save-logits` writes such a file")
    rows = {row.tobytes(): number for number, row in enumerate(stored)}
    wanted = [rows.get(row.tobytes()) for row in _bytes(digest)]
    missing = wanted.count(None)
    if missing:
        raise VidferError(f"{path} lacks the logits of {missing} of the {len(digest)} training images")
    return np.asarray(logits[np.array(wanted, dtype=np.int64)], np.float32)


def _bytes(digest: list[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(digest)), np.uint8).reshape(len(digest), -1).copy()
