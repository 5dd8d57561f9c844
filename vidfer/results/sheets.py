"""CSV files that users write about their clips: read with their lines, and each row matched to its clip."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from vidfer.limits import MAX_CELL_CHARACTERS, MAX_COLUMNS, MAX_SHEET_BYTES
from vidfer.pipeline.bounded import read_bounded
from vidfer.pipeline.paths import identity
from vidfer.types import UsageError

MISSING: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL"})
"""Cells that say nothing, as spreadsheets, R and pandas write them."""

_NUMBER: Final = re.compile(r"[-+]?(0|[1-9]\d*)(,\d+)?([eE][-+]?\d+)?")

_BY_NAME: Final = 3
"""From here on the ways to name a clip say nothing of its folder."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """A CSV file: UTF-8, a header, cells divided by commas, semicolons or tabs, without the spaces around them.

    Where commas do not divide the cells, they may stand in numbers for the decimal point.

    Args:
        columns: Names of the header; those that vidfer knows in its own spelling.
        rows: Line of the file and cells by column; cells in `MISSING` are empty.
        decimal_comma: Whether commas do not divide the cells.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    decimal_comma: bool = False

    def with_points(self, but: Collection[str] = ()) -> "Sheet":
        """Return the sheet with decimal points in each column of numbers with commas, but for some columns."""
        if not self.decimal_comma:
            return self
        cells = {name: [row[name] for _, row in self.rows if row[name]] for name in self.columns if name not in but}
        numbers = {name for name, texts in cells.items() if all(map(_NUMBER.fullmatch, texts))}
        rows = (
            (line, {name: cell.replace(",", ".") if name in numbers else cell for name, cell in row.items()})
            for line, row in self.rows
        )
        return replace(self, rows=tuple(rows))


def read_sheet(path: Path, needed: Sequence[str], known: Sequence[str] = (), exact: Collection[str] = ()) -> Sheet:
    """Read a CSV file that has the needed columns; the names of these and of the known ones are read in any case.

    Cells of columns in `exact` are never missing, and keep the spaces around them.

    Raises:
        UsageError: It cannot be read, lacks a column, names one twice, or a row is longer or shorter than the header.
    """
    try:
        text = read_bounded(path, MAX_SHEET_BYTES).decode("utf-8-sig")
        first = text.partition("\n")[0]
        mark = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        lines = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text: save it as CSV UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV file: {error}") from error
    lines = [(number, row) for number, row in lines if any(map(str.strip, row))]
    if any(len(row) > MAX_COLUMNS for _, row in lines):
        raise UsageError(f"{path} has a row of more than {MAX_COLUMNS:,} columns: leave out those that are not needed")
    if long := [number for number, row in lines if any(len(cell) > MAX_CELL_CHARACTERS for cell in row)]:
        raise UsageError(f"{path}, line {long[0]}: a cell has more than {MAX_CELL_CHARACTERS:,} characters: shorten it")
    names = {name.lower(): name for name in (*needed, *known)}
    header = [cell.strip() for cell in (lines[0][1] if lines else ())]
    columns = tuple(names.get(cell.lower(), cell) for cell in header)
    if lacking := [name for name in needed if name not in columns]:
        given = ", ".join(columns) or "nothing"
        raise UsageError(f"{path} has no column {', '.join(lacking)} in its first line, but {given}")
    if "" in columns or len(set(columns)) < len(columns):
        odd = next(name for name in columns if not name or columns.count(name) > 1)
        raise UsageError(f"{path} has " + (f"two columns {odd}" if odd else "a column without a name"))
    for number, row in lines[1:]:
        if len(row) != len(columns):
            raise UsageError(f"{path}, line {number}: {len(row)} cells under a header of {len(columns)}")
    rows = (
        (number, {name: cell if name in exact else _known(cell) for name, cell in zip(columns, row, strict=True)})
        for number, row in lines[1:]
    )
    return Sheet(path, columns, tuple(rows), mark != ",")


def _known(cell: str) -> str:
    text = cell.strip()
    return "" if text in MISSING else text


class ClipNames:
    """The clips of a run under the names that a sheet may call them by: the first of these that any clip has.

    1. the clip's id, 2. its path as given, 3. its path relative to the sheet, 4. the file's name, 5. that without its suffix.
    Then the same without regard to capital letters. A file beside the sheet that is no clip of the run keeps its name for itself.
    """

    def __init__(self, clips: Mapping[str, Path], sheet: Path) -> None:
        self._sheet = sheet
        self._ids: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {}, {})
        for clip, path in clips.items():
            ways = (clip, path.as_posix(), identity(path).as_posix(), path.name, path.stem)
            for ids, way in zip(self._ids, ways, strict=True):
                ids.setdefault(_same(way), []).append(clip)

    def find(self, name: str, line: int) -> str | None:
        """Return the id of the clip that a row names; None where there is no such clip.

        Raises:
            UsageError: The name stands for several clips.
        """
        below = identity(self._sheet.parent / name.replace("\\", "/"))
        texts = (name, name, below.as_posix(), name, name)
        there = below.is_file()
        for known, alike in ((self._ids, _same), (self._folded, _folded)):
            for way, (ids, text) in enumerate(zip(known, texts, strict=True)):
                if there and way >= _BY_NAME:
                    break
                found = ids.get(alike(text), [])
                if len(found) > 1:
                    several = " or ".join(found[:3])
                    raise UsageError(
                        f"{self._sheet}, line {line}: '{name}' may be {several}: write it with its folder and suffix"
                    )
                if found:
                    return found[0]
        return None

    @cached_property
    def _folded(self) -> tuple[dict[str, list[str]], ...]:
        folded: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {}, {})
        for ids, of_way in zip(folded, self._ids, strict=True):
            for text, clips in of_way.items():
                ids.setdefault(_folded(text), []).extend(clips)
        return folded

    def near(self, name: str) -> str:
        """Return the known name most like one that no clip has, or nothing."""
        from difflib import get_close_matches

        known = [text for ids in (self._ids[0], self._ids[3], self._ids[4]) for text in ids]
        return next(iter(get_close_matches(_same(name), known, 1, 0.8)), "")

    def unmatched(self, rows: Iterable[tuple[int, str]]) -> list[str]:
        """Say in one note which rows name no clip of the run, with what they may mean."""
        named = list(rows)
        if not named:
            return []
        shown = [f"{name} (line {line}" + (f"; {near}?)" if (near := self.near(name)) else ")") for line, name in named]
        more = ", ..." if len(shown) > 5 else ""
        count = "1 row names" if len(named) == 1 else f"{len(named)} rows name"
        return [f"{self._sheet}: {count} no clip of this run: {', '.join(shown[:5])}{more}"]


def _same(name: str) -> str:
    """Compose accents, which file systems and editors write in either form."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _same(_same(name).casefold())
