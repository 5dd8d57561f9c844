"""Lines that a terminal would break anywhere, broken between words."""

import shutil
import textwrap
from typing import TextIO


def wrap(text: str, stream: TextIO, indent: str = "") -> str:
    """Break lines that are longer than the terminal is wide, and indent what follows; elsewhere lines stay as they are.

    Paths, addresses and options are words, and are never broken.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = (
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join(lines)
