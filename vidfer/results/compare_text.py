"""A comparison as words: for the terminal, as Markdown, and as CSV."""

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from vidfer.pipeline.columns import to_csv
from vidfer.results.compare import Comparison
from vidfer.results.compare_units import MEANINGS
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

Table = tuple[str, list[str], list[list[str]]]  # title, header, rows

_WIDTH: Final = 80


def describe(found: Comparison) -> str:
    """Say in one line what was averaged over what."""
    counted = f"each {found.unit} compared with themselves" if found.repeated else f"over {found.unit}s"
    meaning = MEANINGS[found.measure]
    return f"{meaning[:1].upper()}{meaning[1:]}, by {found.by}, {counted}"


def as_text(found: Comparison) -> str:
    """Lay a comparison out for a terminal of 80 columns."""
    lines = [*wrap(describe(found), _WIDTH), ""]
    for beside in (3, 2, 1):
        parts = [_aligned(*table) for table in (*_means(found, beside), *_differences(found))]
        if max(len(line) for part in parts for line in part) <= _WIDTH:
            break
    lines += [line for part in parts for line in part]
    return "\n".join(
        [*lines, *(line for note in found.notes for line in wrap(f"- {note}", _WIDTH, subsequent_indent="  "))]
    )


def _aligned(title: str, header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [title] if title else []
    for first, *cells in (header, *rows):
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *aligned]).rstrip())
    return [*lines, ""]


def as_markdown(found: Comparison) -> str:
    """Write a comparison as Markdown."""
    lines = [f"# {found.by}: conditions compared", "", f"{describe(found)}. Intervals: 95 %.", ""]
    for title, header, rows in as_tables(found):
        lines += [f"## {title}", ""] if title else []
        marks = ["---", *["---:"] * (len(header) - 1)]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in (header, marks, *rows)]
        lines.append("")
    return "\n".join([*lines, *(f"- {note}" for note in found.notes), ""])


def as_tables(found: Comparison) -> list[Table]:
    """Lay a comparison out as tables: the means of all conditions, without a title, then the differences of each pair."""
    return [*_means(found, len(found.means)), *_differences(found)]


def as_csv(rows: "pd.DataFrame") -> bytes:
    """Write `means` or `differences` as CSV."""
    return to_csv({name: rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in rows.columns})


def _means(found: Comparison, beside: int) -> Iterator[Table]:
    conditions = list(dict.fromkeys(found.means["condition"]))
    for first in range(0, len(conditions), beside):
        columns = [["", *EMOTIONS]]
        for condition in conditions[first : first + beside]:
            rows = found.means[found.means["condition"] == condition]
            cells = _cells(rows, "mean", "low", "high", digits=3, sign="")
            columns.append([f"{condition} (n = {rows['n'].iloc[0]})", *cells])
        header, *lines = map(list, zip(*columns, strict=True))
        yield "", header, lines


def _differences(found: Comparison) -> Iterator[Table]:
    for (first, second), rows in found.differences.groupby(["first", "second"], sort=False):
        sizes = rows[["n_first", "n_second"]].iloc[0].tolist()
        count = f"n = {sizes[0]}" if found.repeated else f"n = {sizes[0]} and {sizes[1]}"
        columns = [
            ["", *EMOTIONS],
            ["difference", *_cells(rows, "difference", "low", "high", digits=3)],
            [str(rows["effect_size"].iloc[0]), *_cells(rows, "effect", "effect_low", "effect_high", digits=2)],
            *([name, *map(_p, rows[column].tolist())] for name, column in (("p", "p"), ("p (Holm)", "p_holm"))),
        ]
        header, *lines = map(list, zip(*columns, strict=True))
        yield f"{first} minus {second} ({count})", header, lines


def _cells(rows: "pd.DataFrame", *names: str, digits: int, sign: str = "+") -> list[str]:
    return [
        _with_ends(value, low, high, digits, sign) for value, low, high in rows[list(names)].to_numpy(float).tolist()
    ]


def _with_ends(value: float, low: float, high: float, digits: int, sign: str) -> str:
    if value != value:
        return "-"
    shown = f"{value:{sign}.{digits}f}"
    return shown if low != low else f"{shown} ({low:.{digits}f} to {high:.{digits}f})"


def _p(value: float) -> str:
    return "-" if value != value else "<0.001" if value < 0.001 else f"{value:.3f}"
