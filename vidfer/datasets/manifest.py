"""Clips named in a CSV file with the columns `path`, `label` and, where they are known, `person` and `split`."""

import csv
from pathlib import Path
from typing import Final

from vidfer.datasets.folders import SPLIT_FOLDERS
from vidfer.datasets.labelled_clips import CLASS_NAMES
from vidfer.datasets.preparation import LabelledClip, prepare
from vidfer.datasets.report import PreparationReport
from vidfer.types import VidferError

COLUMNS: Final = ("path", "label", "person", "split")
"""The columns that are read, the first two of which are needed; others are ignored."""


def find_manifest(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Read the clips that a CSV file names.

    Args:
        root: The CSV file, in UTF-8, or a folder with `manifest.csv`. Paths are relative to the file's folder. Persons are taken
            as they are written, so that the same person of two data sets can be called the same.

    Returns:
        The clips in the file's order, and a report, see `prepare`: files that are missing are dropped and listed, and so are
        further lines for a file; lines that contradict each other about one file are errors.

    Raises:
        VidferError: The file cannot be read, lacks a column, or a line names no path, an unknown label or split, or another
            label, person or split for a file that stands there already.
    """
    file = root / "manifest.csv" if root.is_dir() else root
    clips: dict[Path, tuple[int, LabelledClip]] = {}
    again = []
    for line, row in _rows(file):
        clip = _clip(file, line, row)
        first, known = clips.setdefault(clip.path, (line, clip))
        if known != clip:
            raise VidferError(
                f"{file}, line {line}: {row['path']} stands in line {first} with another label, person or split"
            )
        if first != line:
            again.append(f"line {line}: {row['path']}")
    dropped = {"named again": again} if again else None
    return prepare(file.name, file.parent, [clip for _, clip in clips.values()], dropped)


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="")
            header = [name.strip() for name in reader.fieldnames or []]
            if lacking := [name for name in COLUMNS[:2] if name not in header]:
                raise VidferError(
                    f"{file} has no column {' and '.join(lacking)}: its first line names path, label, ..."
                )
            reader.fieldnames = header
            return [(reader.line_num, {name: row[name].strip() for name in COLUMNS if name in row}) for row in reader]
    except OSError as error:
        raise VidferError(
            f"{file} cannot be read: {error.strerror}: name a CSV file with the columns path and label"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise VidferError(f"{file} is no CSV file in UTF-8: {error}") from error


def _clip(file: Path, line: int, row: dict[str, str]) -> LabelledClip:
    where = f"{file}, line {line}"
    if not row["path"]:
        raise VidferError(f"{where}: no path")
    label, split = CLASS_NAMES.get(row["label"].lower()), row.get("split", "")
    if label is None:
        raise VidferError(
            f"{where}: label '{row['label']}' of {row['path']} is none of {', '.join(CLASS_NAMES)}: correct it"
        )
    if split and split.lower() not in SPLIT_FOLDERS:
        raise VidferError(f"{where}: split '{split}' of {row['path']} is none of train, val, test: correct it")
    own = SPLIT_FOLDERS[split.lower()] if split else None
    return LabelledClip(file.parent / row["path"], label, row.get("person") or None, own)
