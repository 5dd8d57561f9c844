"""AFEW by its folders: `Train_AFEW/Angry/*.avi` and `Val_AFEW/...`, with the split that is published. Persons are not known.

References:
    Dhall, Goecke, Lucey, Gedeon: Collecting large, richly annotated facial-expression databases from movies. IEEE MultiMedia
    2012.
"""

import re
from pathlib import Path
from typing import Final

from vidfer.datasets.report import (
    VIDEO_SUFFIXES,
    LabelledClip,
    PreparationReport,
    media_files,
    one_file_of_each,
    prepare,
)
from vidfer.types import EMOTIONS, VidferError

LABELS: Final = {name.capitalize(): name for name in EMOTIONS}
"""AFEW's folders and the class that each counts as."""

_SPLIT = re.compile(r"(train|val)(_afew)?", re.IGNORECASE)


def is_afew(root: Path) -> bool:
    """Tell whether `Train_AFEW` or `Val_AFEW` lies in a folder."""
    return any(path.is_dir() and path.name.lower() in ("train_afew", "val_afew") for path in root.iterdir())


def find_afew(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the clips by split, class and name in `Train_AFEW` and `Val_AFEW`, or `Train` and `Val`; the test set has no labels.

    The report, see `prepare`, lists sound beside the video that it is from as dropped, and notes a missing split.

    Raises:
        VidferError: The folder or both splits are missing, a folder with clips is named as no class, or nothing is usable.
    """
    if not root.is_dir():
        raise VidferError(f"no folder {root}: name the folder that holds Train_AFEW and Val_AFEW")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
    splits = {path: match[1].lower() for path in folders if (match := _SPLIT.fullmatch(path.name))}
    if not splits:
        raise VidferError(f"neither Train_AFEW nor Val_AFEW is in {root}")
    named = [
        (str(path.with_suffix("")), LabelledClip(path, _label(path, folder), None, split))
        for folder, split in splits.items()
        for path in media_files(folder)
    ]
    named.sort(key=lambda take: take[1].path.suffix.lower() not in VIDEO_SUFFIXES)
    dropped: dict[str, list[str]] = {}
    clips = sorted(one_file_of_each(named, dropped).values(), key=lambda clip: clip.path)
    absent = sorted({"train", "val"} - set(splits.values()))
    return prepare("AFEW", root, clips, dropped, {"split is not there": absent} if absent else None)


def _label(path: Path, folder: Path) -> str:
    own = path.relative_to(folder).parts[0]
    if own.lower() not in EMOTIONS:
        raise VidferError(
            f"{path}: '{own}' is no class of AFEW ({', '.join(LABELS)}): rename the folder or move it away"
        )
    return own.lower()
