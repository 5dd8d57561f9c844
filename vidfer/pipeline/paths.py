"""Paths of input as they are compared: without links, whatever was put there."""

import os
from pathlib import Path


def real(path: Path) -> Path:
    """Return a path without links; unlike `Path.resolve`, it takes links in a circle and names that no file can have."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a zero byte
        return Path(os.path.abspath(path))  # noqa: PTH100 - `absolute` leaves the `..` in


def identity(path: Path) -> Path:
    """Return a path without links in its folders; the name stays that of the link, as a clip's does."""
    return real(path.parent) / path.name
