"""Paths and names as texts."""

import os
import unicodedata
from pathlib import Path
from typing import Final

from vidfer.limits import MAX_NAME_BYTES

_UNSEEN: Final = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Unicode's categories of signs that change how text around them is shown, or that nobody sees."""

_JOINERS: Final = "\u200c\u200d"
"""Of these, the two that ordinary names and emoji have."""


def shown(path: str | Path) -> str:
    """Return a path as text that any table, terminal or JSON can hold: control characters and stray bytes escaped."""
    if isinstance(path, str) and path.isprintable():  # as nearly all are: there is nothing to escape
        return path
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(sign)[1:-1] if ord(sign) < 32 or 127 <= ord(sign) < 160 else sign for sign in text)


def cut(name: str, end: str = "") -> str:
    """Return a name with an end, shortened before it to what file systems allow."""
    return name.encode()[: MAX_NAME_BYTES - len(end.encode())].decode(errors="ignore") + end


def clip_id(folder: Path, run: Path) -> str:
    """Return the id of the clip that has a folder below a run's: its place there, with `/` between the parts."""
    return shown(folder.relative_to(run).as_posix())


def visible(text: object) -> str:
    r"""Return a text in which signs that nobody sees, or that turn the text around, are written out.

    Example:
        >>> from vidfer.results.names import visible
        >>> visible("a\u202eb")
        'a\\u202eb'
    """
    return "".join(
        sign if unicodedata.category(sign) not in _UNSEEN or sign in _JOINERS else f"\\u{ord(sign):04x}"
        for sign in str(text)
    )
