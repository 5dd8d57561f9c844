"""The one place where the command prints: what a file's name, a cell or a message may hold does not command the terminal."""

import json
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO

from vidfer.cli.wrap import wrap
from vidfer.results.names import visible

if TYPE_CHECKING:
    from rich.text import Text

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE: Final = re.compile(r"[^\n\t]+")


def printable(text: str) -> str:
    """Write out what no terminal can show, or may be told: control characters, stray bytes, and signs that turn text around."""
    plain = _CONTROL.sub(lambda sign: repr(sign[0])[1:-1], text.encode("utf-8", "backslashreplace").decode())
    return plain if plain.isprintable() else _LINE.sub(lambda line: visible(line[0]), plain)


def one_line(text: object) -> str:
    """Write out line ends, too: they come of a name, and what stands behind one is no line of vidfer's."""
    return printable(str(text).replace("\r", "\\r").replace("\n", "\\n"))


def cell(text: object, style: str = "") -> "Text":
    """Return a text for rich, such as a table's cell or heading: nothing in it is taken for markup, or commands the terminal."""
    from rich.text import Text

    return Text(one_line(text), style)


def put(
    text: object = "", *, error: bool = False, indent: str | None = None, end: str = "\n", flush: bool = False
) -> None:
    """Print a text to standard output or standard error, with `indent` broken into lines as wide as the terminal, see `wrap`."""
    stream: TextIO = sys.stderr if error else sys.stdout
    shown = printable(str(text))
    print(shown if indent is None else wrap(shown, stream, indent), end=end, flush=flush, file=stream)


def put_error(program: str, error: object, *, wrapped: bool = True) -> None:
    """Print one sentence to standard error, behind the program's name."""
    put(f"{program}: {one_line(error)}", error=True, indent="" if wrapped else None)


def put_json(value: object) -> None:
    """Print a value as one line of JSON, in which no sign is left that commands a terminal."""
    text = json.dumps(value, ensure_ascii=False)
    print("".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text))
