"""Folders of numbered pictures, which stand for a video: which files they are, and in which order."""

import re
from pathlib import Path
from typing import Final

from vidfer.types import ClipError, Status

PICTURES: Final = frozenset({".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif"})
"""Suffixes of pictures, in lower case."""

_NUMBERED: Final = re.compile(r"(?P<stem>.*?)(?P<number>\d{1,18})(?P<suffix>\.[^.]+)", re.DOTALL)


def numbered_pictures(folder: Path) -> list[tuple[int, Path]]:
    """Return the pictures of a folder with their numbers, in numeric order; hidden files and other files are left out.

    They have to be one series of at least two: names of the same beginning, then digits, then the same suffix.

    Raises:
        ClipError: `unreadable`: the pictures are no series, or the folder is closed.
    """
    try:
        pictures = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != "."]
    except OSError as error:
        raise ClipError(Status.UNREADABLE, f"{folder} cannot be read: {error.strerror}") from error
    found: dict[int, Path] = {}
    names = set()
    for path in sorted(pictures):
        match = _NUMBERED.fullmatch(path.name)
        if match is None:
            raise _no_series(folder, f"{path.name} does not end in a number")
        names.add((match["stem"], match["suffix"].lower()))
        if (other := found.setdefault(int(match["number"]), path)) != path and len(names) == 1:
            raise _no_series(folder, f"{other.name} and {path.name} have one number")
    if len(names) > 1:
        raise _no_series(
            folder, "beginnings or suffixes differ, such as " + " and ".join(map("".join, sorted(names)[:2]))
        )
    if len(found) < 2:
        raise _no_series(folder, f"there are {len(found)}")
    return sorted(found.items())


def _no_series(folder: Path, reason: str) -> ClipError:
    return ClipError(Status.UNREADABLE, f"{folder} is no series of numbered pictures: {reason}")
