"""A folder per class of clips: `<class>/...` or `<split>/<class>/...`; in `<class>/<person>/...` the person is known.

Class folders may have the common forms of a class's name, as `sadness` or `Surprised`.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vidfer.datasets.files import media_files
from vidfer.datasets.labelled_clips import CLASS_NAMES
from vidfer.datasets.preparation import LabelledClip, prepare
from vidfer.datasets.report import PreparationReport
from vidfer.types import VidferError

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
    """Tell whether a folder, or each split's folder in it, has subfolders named as classes."""
    inner = [folder for folder, split in _split_folders(root).items() if split] or [root]
    return any(path.name.lower() in CLASS_NAMES for folder in inner for path in folder.iterdir() if path.is_dir())


def find_folders(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the clips in folders named as classes.

    Args:
        root: Folder that holds the classes' folders, or `train`, `val` and `test` that hold them.

    Returns:
        The clips by split, class folder and name, and a report, see `prepare`. Files outside class folders are dropped.

    Raises:
        VidferError: The folder is missing, a folder with clips is named as no class, or nothing is usable.
    """
    files = media_files(root)
    dropped: dict[str, list[str]] = defaultdict(list)
    clips = []
    folders = _split_folders(root)
    for folder, split in folders.items():
        for path, parts in _inside(files, folder, apart=() if split else tuple(folders)):
            if len(parts) == 1:
                dropped["in no class's folder"].append(path.name)
            else:
                clips.append(LabelledClip(path, class_of_folder(folder / parts[0]), _person(parts), split))
    return prepare(root.name, root, clips, dict(dropped))


def class_of_folder(folder: Path) -> str:
    """Read the class from a folder's name.

    Raises:
        VidferError: The name stands for no class.
    """
    label = CLASS_NAMES.get(folder.name.lower())
    if label is None:
        raise VidferError(
            f"folder {folder}: '{folder.name}' names no class: rename it to one of {', '.join(CLASS_NAMES)}, or move it away"
        )
    return label


def _split_folders(root: Path) -> dict[Path, str | None]:
    """Return the folders that hold class folders, with their splits: the root's own, without split, comes first."""
    if not root.is_dir():
        return {root: None}
    named = {path: SPLIT_FOLDERS.get(path.name.lower()) for path in sorted(root.iterdir()) if path.is_dir()}
    return {root: None} | {path: split for path, split in named.items() if split}


def _inside(files: list[Path], folder: Path, apart: tuple[Path, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path in files:
        elsewhere = any(path.is_relative_to(other) for other in apart if other != folder)
        if path.is_relative_to(folder) and not elsewhere:
            yield path, path.relative_to(folder).parts


def _person(parts: tuple[str, ...]) -> str | None:
    return parts[1] if len(parts) > 2 else None
