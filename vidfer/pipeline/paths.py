"""Paths of input as they are looked at and compared: without links, whatever was put there, and whoever may see it."""

import os
from pathlib import Path


def real(path: Path) -> Path:
    """Return a path without links; unlike `Path.resolve`, it takes links in a circle and names that no file can have."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):  # a link that may not be read, or is gone meanwhile; a zero byte
        return Path(os.path.abspath(path))  # noqa: PTH100 - `absolute` leaves the `..` in


def identity(path: Path) -> Path:
    """Return a path without links in its folders; the name stays that of the link, as a clip's does."""
    return real(path.parent) / path.name


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; false where nobody may look, which `Path.is_dir` raises before Python 3.14."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a regular file; false where nobody may look, as in `is_folder`."""
    return os.path.isfile(path)  # noqa: PTH113


def is_link(path: Path) -> bool:
    """Tell whether a path is a link; false where nobody may look, as in `is_folder`."""
    return os.path.islink(path)  # noqa: PTH114


def is_there(path: Path) -> bool:
    """Tell whether anything is at a path; false where nobody may look, as in `is_folder`."""
    return os.path.exists(path)  # noqa: PTH110
