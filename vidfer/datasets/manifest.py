"""Clips of one's own: labelled by a CSV file, by a folder per class, or by their file names."""

import csv
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vidfer.datasets.ravdess import parse_name
from vidfer.datasets.report import LabelledClip, PreparationReport, media_files, prepare
from vidfer.types import EMOTIONS, VidferError

CLASS_NAMES: Final = {
    **{name: name for name in EMOTIONS},
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "calm": "neutral",  # as in RAVDESS
}
"""Words in file names and the class that each counts as."""


def ravdess_label(path: Path) -> str | None:
    """Read the class from a RAVDESS name; None where the name is none of RAVDESS or the recording is sound alone."""
    recording = parse_name(path)
    return None if recording is None or recording.modality == 3 else EMOTIONS[recording.target]


def name_label(path: Path) -> str | None:
    """Find the class that words of the file's name, or of its folder's, stand for; None for none, or more than one.

    Example:
        >>> from pathlib import Path
        >>> name_label(Path("clips/M030_sad_3_001.mp4")), name_label(Path("clips/contempt.mp4"))
        ('sad', None)
    """
    words = re.findall(r"[a-z]+", f"{path.stem} {path.parent.name}".lower())
    named = {CLASS_NAMES[word] for word in words if word in CLASS_NAMES}
    return named.pop() if len(named) == 1 else None


LABELS: Final[dict[str, Callable[[Path], str | None]]] = {"ravdess": ravdess_label, "name": name_label}
"""Ways to label a clip, by the name of `--labels`."""


SPLIT_FOLDERS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders, in lower case, that stand for a split."""


def is_folders(root: Path) -> bool:
    """Tell whether a folder, or a split's folder in it, has subfolders named as classes."""
    folders = [path for path in root.iterdir() if path.is_dir()]
    splits = [path for path in folders if path.name.lower() in SPLIT_FOLDERS]
    inner = [path for split in splits for path in split.iterdir() if path.is_dir()]
    return any(path.name.lower() in CLASS_NAMES for path in (inner or folders))


def find_folders(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the clips in folders named as classes, in the root or in its `train`, `val` and `test`, in the order of their paths.

    A folder inside that of a class names the person. Files outside class folders are dropped in the report, see `prepare`.

    Raises:
        VidferError: The folder is missing, a folder with clips is named as no class, or nothing is usable.
    """
    dropped: dict[str, list[str]] = defaultdict(list)
    clips = []
    for path in media_files(root):
        parts = path.relative_to(root).parts
        split = SPLIT_FOLDERS.get(parts[0].lower())
        folder, *below = parts[1:] if split else parts
        if not below:
            dropped["in no class's folder"].append(path.name)
            continue
        if folder.lower() not in CLASS_NAMES:
            raise VidferError(
                f"folder {path.parents[len(below) - 1]}: '{folder}' names no class: rename it to one of "
                f"{', '.join(CLASS_NAMES)}, or move it away"
            )
        person = below[0] if len(below) > 1 else None
        clips.append(LabelledClip(path, CLASS_NAMES[folder.lower()], person, split))
    return prepare(root.name, root, clips, dict(dropped))


COLUMNS: Final = ("path", "label", "person", "split")
"""The columns that are read, the first two of which are needed; others are ignored."""


def find_manifest(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Read the clips that a CSV file in UTF-8 names, the root itself or `manifest.csv` in it, in its order.

    Paths are relative to the file's folder. A clip with an empty label has none. Persons are taken as they are written, so that
    the same person of two data sets can be called the same. Missing files and further lines for a file are dropped in the
    report, see `prepare`.

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
            reader = csv.DictReader(lines)
            header = [name.strip() for name in reader.fieldnames or []]
            if missing := " and ".join(name for name in COLUMNS[:2] if name not in header):
                raise VidferError(f"{file} has no column {missing}: its first line names path, label, ...")
            reader.fieldnames = header
            return [
                (reader.line_num, {name: row[name].strip() for name in COLUMNS if row.get(name) is not None})
                for row in reader
            ]
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
    label, split = CLASS_NAMES.get(row.get("label", "").lower()), row.get("split", "")
    if label is None and row.get("label") != "":
        raise VidferError(
            f"{where}: label '{row.get('label', '')}' of {row['path']} is none of {', '.join(CLASS_NAMES)}: correct it"
        )
    if split and split.lower() not in SPLIT_FOLDERS:
        raise VidferError(f"{where}: split '{split}' of {row['path']} is none of train, val, test: correct it")
    return LabelledClip(file.parent / row["path"], label, row.get("person") or None, SPLIT_FOLDERS.get(split.lower()))
