"""Paths as texts."""

import os
from pathlib import Path


def shown(path: str | Path) -> str:
    """Return a path as text that any table, terminal or JSON can hold: control characters and stray bytes escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(sign)[1:-1] if ord(sign) < 32 or 127 <= ord(sign) < 160 else sign for sign in text)


def clip_id(folder: Path, run: Path) -> str:
    """Return the id of the clip that has a folder below a run's: its place there, with `/` between the parts."""
    return shown(folder.relative_to(run).as_posix())
