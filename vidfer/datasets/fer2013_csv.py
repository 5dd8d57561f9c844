"""FER2013 as Kaggle publishes it: `fer2013.csv`, one image a row, and the FER+ votes beside it in `fer2013new.csv`.

References:
    Goodfellow et al.: Challenges in representation learning: a report on three machine learning contests. ICONIP 2013.
    Barsoum, Zhang, Canton Ferrer, Zhang: Training deep networks for facial expression recognition with crowd-sourced
    label distribution. ICMI 2016 (FER+).
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.types import EMOTIONS, VidferError

Labels = Literal["fer2013", "ferplus"]
Image = npt.NDArray[np.uint8]

SIZE: Final = 48
"""Edge of FER2013's images in px."""

CODES: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""What the numbers 0 to 6 in the column `emotion` of fer2013.csv mean."""

USAGES: Final = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
"""The splits by the column `Usage`."""

VOTES: Final = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": None,
    "unknown": None,
    "NF": None,
}
"""The classes by the columns of fer2013new.csv; None where they have no place among the seven (NF: no face)."""


@dataclass
class RawImages:
    """One split as it was read.

    Args:
        image: uint8 `(48, 48)` each.
        target: Index into `EMOTIONS` of each.
        name: Name of each.
        dropped: Names of what gave no labelled image, by reason.
        unlabelled: Images that have no label; no training may show those of a test split.
    """

    image: list[Image] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unlabelled: list[Image] = field(default_factory=list)


def find_csv(root: Path) -> Path | None:
    """Return Kaggle's file: the root itself, or `fer2013.csv` in it; None for a folder without."""
    path = root if root.suffix.lower() == ".csv" and not root.is_dir() else root / "fer2013.csv"
    return path if path == root or path.is_file() else None


def read_rows(path: Path, split: str, labels: Labels = "fer2013") -> RawImages:
    """Read one split of Kaggle's file; rows are named `row 1` and on, counted over all splits after the header.

    A damaged row, or one without a label, is left out and listed. A row whose split cannot be told is listed whatever split is
    read. With `ferplus` the label is the one with most of the taggers' votes; rows where that is contempt, unknown or no face,
    or where two have as many, have no label.

    Args:
        path: `fer2013.csv`.
        split: `train`, `public_test` or `private_test`.
        labels: `fer2013` for the column `emotion`, `ferplus` for the votes in `fer2013new.csv` in the same folder.

    Returns:
        The images in the file's order; none if the split has no row.

    Raises:
        VidferError: There is no such split, a file is missing, cannot be read or has other columns, or the two do not
            belong together.
    """
    if split not in USAGES.values():
        raise VidferError(f"no split '{split}' in {path}: its splits are {', '.join(USAGES.values())}")
    votes = _read_votes(path.with_name("fer2013new.csv")) if labels == "ferplus" else None
    read, number = RawImages(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # NumPy's way to report text that is no number
        for number, row in enumerate(_rows(path, ("emotion", "pixels", "Usage")), 1):
            usage = row[2].decode("utf-8", "replace") if row else ""
            if usage not in USAGES:
                read.dropped["unknown Usage or not three columns"].append(f"row {number}")
                continue
            target: int | str = _code(row[0])
            if votes is not None and number <= len(votes):
                target = _vote(votes[number - 1], usage, number, path)
            if USAGES[usage] == split:
                _add(read, f"row {number}", _pixels(row[1]), target)
    if votes is not None and number != len(votes):
        raise VidferError(f"fer2013new.csv has {len(votes)} rows, {path} has {number}: they do not belong together")
    return read


def _add(read: RawImages, name: str, image: Image | str, target: int | str) -> None:
    """Take a row's image and target, or the reasons why there is none."""
    if isinstance(image, str):
        read.dropped[image].append(name)
    elif isinstance(target, str):
        read.dropped[target].append(name)
        read.unlabelled.append(image)
    else:
        read.image.append(image)
        read.target.append(target)
        read.name.append(name)


def _code(text: bytes) -> int | str:
    if not text:
        return "no label"
    code = int(text) if text.isdigit() and len(text) == 1 else len(CODES)
    return EMOTIONS.index(CODES[code]) if code < len(CODES) else "label that is not 0 to 6"


def _pixels(text: bytes) -> Image | str:
    try:
        values = np.fromstring(text, np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        return "pixels that are no numbers"
    if len(values) != SIZE * SIZE:
        return f"not {SIZE * SIZE} pixels"
    if values.min() < 0 or values.max() > 255:
        return "pixels outside 0 to 255"
    image: Image = values.astype(np.uint8).reshape(SIZE, SIZE)
    return image


def _read_votes(path: Path) -> list[tuple[str, int | str]]:
    if not path.is_file():
        raise VidferError(f"FER+ labels need {path}: it is published at github.com/microsoft/FERPlus")
    columns = ("Usage", *VOTES, "Image name")
    return [
        (row[0].decode("utf-8", "replace"), _most(row[1:-1])) if row else ("", _most([]))
        for row in _rows(path, columns)
    ]


def _most(cells: list[bytes]) -> int | str:
    if len(cells) != len(VOTES) or not all(cell.isdigit() and len(cell) <= 3 for cell in cells):
        return "FER+: votes are damaged"
    counts = [int(cell) for cell in cells]
    if counts.count(max(counts)) > 1:
        return "FER+: a tie for the most votes"
    column = list(VOTES)[counts.index(max(counts))]
    name = VOTES[column]
    return EMOTIONS.index(name) if name else f"FER+: most votes for {column}"


def _vote(vote: tuple[str, int | str], usage: str, number: int, path: Path) -> int | str:
    if vote[0] not in (usage, ""):
        raise VidferError(
            f"row {number} of fer2013new.csv is of '{vote[0]}', that of {path} of '{usage}': they do not belong together"
        )
    return vote[1]


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[bytes]]:
    """Yield each row's cells in the order of `columns`; an empty list for a row with more or fewer."""
    try:
        with path.open("rb") as file:
            first = file.readline(10_000).removeprefix(b"\xef\xbb\xbf")
            header = [cell.decode("utf-8", "replace") for cell in _cells(first)]
            if sorted(header) != sorted(columns):
                shown = ",".join(header)[:80]
                raise VidferError(f"{path} begins with '{shown}': expected the columns {', '.join(columns)}")
            order = [header.index(column) for column in columns]
            for line in file:
                if line.strip():
                    cells = _cells(line)
                    yield [cells[index] for index in order] if len(cells) == len(order) else []
    except OSError as error:
        raise VidferError(f"{path} cannot be read: {error.strerror}: name the folder that holds FER2013") from error


def _cells(line: bytes) -> list[bytes]:
    return [cell.strip(b' \t\r\n"') for cell in line.split(b",")]
