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
    **dict.fromkeys(("contempt", "unknown", "NF")),
}
"""The classes by the columns of fer2013new.csv; None where they have no place among the seven (NF: no face)."""

_TARGETS: Final[dict[str, int | str]] = {
    "": "no label",
    **{str(code): EMOTIONS.index(name) for code, name in enumerate(CODES)},
}


@dataclass
class RawImages:
    """One split as it was read."""

    image: list[Image] = field(default_factory=list)  # uint8 (48, 48)
    target: list[int] = field(default_factory=list)  # indices into `EMOTIONS`
    name: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # names by reason
    unlabelled: dict[str, Image] = field(default_factory=dict)  # by name; no training may use those of a test split


def find_csv(root: Path) -> Path | None:
    """Return Kaggle's file: the root itself, or `fer2013.csv` in it; None for a folder without."""
    path = root if root.suffix.lower() == ".csv" and not root.is_dir() else root / "fer2013.csv"
    return path if path == root or path.is_file() else None


def read_rows(path: Path, split: str, labels: Labels = "fer2013") -> RawImages:
    """Read `train`, `public_test` or `private_test` of `fer2013.csv`; names are `row 1` and on, counted over all splits.

    A damaged row, or one without a label, is left out and listed, one of unknown split in every split. With `ferplus` the label
    is the majority of the votes in `fer2013new.csv` in the same folder; rows where that is contempt, unknown or no face, or
    where two have as many, have no label.

    Raises:
        VidferError: There is no such split, a file cannot be read or has other columns, or the two do not belong together.
    """
    if split not in USAGES.values():
        raise VidferError(f"no split '{split}' in {path}: its splits are {', '.join(USAGES.values())}")
    votes = _read_votes(path.with_name("fer2013new.csv")) if labels == "ferplus" else None
    read, number = RawImages(), 0
    for number, (code, pixels, usage) in enumerate(_rows(path, ("emotion", "pixels", "Usage")), 1):
        name = f"row {number}"
        target = _TARGETS.get(code, "label that is not 0 to 6")
        if votes is not None and number <= len(votes) and usage in USAGES:
            given, target = votes[number - 1]
            if given not in (usage, ""):
                raise VidferError(
                    f"{name} of fer2013new.csv is of '{given}', that of {path} of '{usage}': they do not belong together"
                )
        if usage not in USAGES:
            read.dropped["unknown Usage or not three columns"].append(name)
        elif USAGES[usage] != split:
            continue
        elif isinstance(image := _pixels(pixels), str):
            read.dropped[image].append(name)
        elif isinstance(target, str):
            read.dropped[target].append(name)
            read.unlabelled[name] = image
        else:
            read.image.append(image)
            read.target.append(target)
            read.name.append(name)
    if votes is not None and number != len(votes):
        raise VidferError(f"fer2013new.csv has {len(votes)} rows, {path} has {number}: they do not belong together")
    return read


def _pixels(text: str) -> Image | str:
    """Read an image, or say what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # NumPy's way to report text that is no number
            values = np.fromstring(text, np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        return "pixels that are no numbers"
    if len(values) != SIZE * SIZE:
        return f"not {SIZE * SIZE} pixels"
    if values.min() < 0 or values.max() > 255:
        return "pixels outside 0 to 255"
    image: Image = values.astype(np.uint8).reshape(SIZE, SIZE)
    return image


def read_votes(root: Path) -> npt.NDArray[np.int64]:
    """Count the FER+ votes of every row of `fer2013new.csv`, int64 `(rows, 7)` in the order of `EMOTIONS`.

    Votes for contempt, unknown and no face are left out; a row whose votes are damaged has none.

    Raises:
        VidferError: There is no such file beside `fer2013.csv`, or it cannot be read.
    """
    names = [name for name in VOTES.values() if name]
    columns = [names.index(name) for name in EMOTIONS]
    rows = (_counts(cells) or [0] * len(VOTES) for _, cells in _vote_rows(root / "fer2013new.csv"))
    return np.array([row[: len(names)] for row in rows], np.int64).reshape(-1, len(names))[:, columns]


def _read_votes(path: Path) -> list[tuple[str, int | str]]:
    """Read each row's usage, and its class with most votes or the reason why there is none."""
    return [(usage, _majority(cells)) for usage, cells in _vote_rows(path)]


def _vote_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    if not path.is_file():
        raise VidferError(f"FER+ labels need {path}: it is published at github.com/microsoft/FERPlus")
    yield from ((usage, cells) for usage, *cells, _ in _rows(path, ("Usage", *VOTES, "Image name")))


def _counts(cells: list[str]) -> list[int] | None:
    return (
        list(map(int, cells)) if all(cell.isascii() and cell.isdigit() and len(cell) <= 3 for cell in cells) else None
    )


def _majority(cells: list[str]) -> int | str:
    counts = _counts(cells)
    if counts is None:
        return "FER+: votes are damaged"
    if counts.count(max(counts)) > 1:
        return "FER+: a tie for the most votes"
    column = list(VOTES)[counts.index(max(counts))]
    name = VOTES[column]
    return EMOTIONS.index(name) if name else f"FER+: most votes for {column}"


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield each row's cells in the order of `columns`; empty ones for a row with more or fewer than the header has."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = _cells(file.readline(10_000))
            if sorted(header) != sorted(columns):
                shown = ",".join(header)[:80]
                raise VidferError(f"{path} begins with '{shown}': expected the columns {', '.join(columns)}")
            order = [header.index(column) for column in columns]
            for line in file:
                if line.strip():
                    cells = _cells(line)
                    yield [cells[index] for index in order] if len(cells) == len(order) else [""] * len(order)
    except OSError as error:
        raise VidferError(f"{path} cannot be read: {error.strerror}: name the folder that holds FER2013") from error


def _cells(line: str) -> list[str]:
    return [cell.strip(' \t\r\n"') for cell in line.split(",")]
