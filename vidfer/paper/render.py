"""One table as CSV, Markdown and LaTeX; ours and the paper's figures never share a column."""

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vidfer.paper.aggregate import Entry
from vidfer.paper.cells import Result
from vidfer.paper.reported import LABEL
from vidfer.paper.tables import MODELS, Table
from vidfer.pipeline.columns import to_csv

_ESCAPES = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
)


def format_value(value: float, table: Table) -> str:
    """Write a value with the table's decimals, or three significant digits, never with an exponent.

    Example:
        >>> from vidfer.paper.tables import TABLES
        >>> format_value(0.0012345, next(each for each in TABLES if each.name == "time"))
        '0.00123'
    """
    digits = table.digits
    if digits is None:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{digits}f}"


def format_interval(entry: Entry) -> str:
    """Write the interval as `low to high`, with as many decimals as the mean; empty where there is none."""
    if entry.shown is None or entry.mean is None:
        return ""
    digits = len(format_value(entry.mean, entry.table).partition(".")[2])
    return " to ".join(f"{end:.{digits}f}" for end in entry.shown)


def notes(entries: Iterable[Entry], seeds: int) -> dict[str, str]:
    """Number the reasons why cells are missing.

    Args:
        entries: Of one table.
        seeds: How many seeds there should be.

    Returns:
        A letter for each text; a place with fewer seeds than there should be says how many are missing.
    """
    texts = dict.fromkeys(text for entry in entries for text in entry_notes(entry, seeds))
    return {text: string.ascii_lowercase[at] if at < 26 else str(at - 25) for at, text in enumerate(texts)}


def entry_notes(entry: Entry, seeds: int) -> list[str]:
    """Say what is missing of an entry."""
    few = f"{len(entry.values)} of {seeds} seeds" if 0 < len(entry.values) < seeds else ""
    return [f"{few}: {reason}" if few else reason for reason in entry.reasons]


def table_csv(entries: Sequence[Entry]) -> bytes:
    """Write one table in long form: a line for each place; intervals as computed, even beyond what can be."""
    columns: dict[str, list[object]] = {
        "table": [entry.table.number for entry in entries],
        "metric": [entry.table.key for entry in entries],
        "unit": [entry.table.unit for entry in entries],
        "model": [entry.model for entry in entries],
        "size": [entry.size for entry in entries],
        "seeds": [len(entry.values) for entry in entries],
        "mean": [entry.mean for entry in entries],
        "low": [entry.low for entry in entries],
        "high": [entry.high for entry in entries],
        "n_test": [entry.n_test for entry in entries],
        "data": [entry.data for entry in entries],
        "missing": ["; ".join(entry.reasons) for entry in entries],
        LABEL: [float(entry.paper) if entry.paper else None for entry in entries],
    }
    return to_csv(columns)


def cells_csv(results: Sequence[Result]) -> bytes:
    """Write every cell, with all that it measured, in its own units."""
    flat = [_flat(result.figures or {}) for result in results]
    names = dict.fromkeys(name for figures in flat for name in figures)
    columns: dict[str, list[object]] = {
        **{name: [getattr(result.cell, name) for result in results] for name in ("task", "model", "size", "seed")},
        **{name: [getattr(result, name) for result in results] for name in ("status", "reason")},
        **{name: [figures.get(name) for figures in flat] for name in names},
        "key": [result.key for result in results],
    }
    return to_csv(columns)


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Give each entry of a nested figure a name of its own, such as `psnr_by_sigma 15`; lists stay in the store."""
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            flat |= {f"{name} {key}": each for key, each in value.items()}
        elif not isinstance(value, list):
            flat[name] = value
    return flat


def table_markdown(entries: Sequence[Entry], seeds: int) -> list[str]:
    """Write one table as Markdown: rows and columns as in the paper, the paper's figures in columns of their own."""
    table, models, sizes = _axes(entries)
    letters = notes(entries, seeds)
    beside = any(entry.paper for entry in entries)
    head = [table.samples, *(MODELS[model] for model in models)]
    if beside:
        head += [f"paper: {MODELS[model]}" for model in models]
    lines = [_row(head), _row(["---:"] * len(head))]
    for size in sizes:
        row = [entry for entry in entries if entry.size == size]
        cells = [_markdown_cell(entry, letters, seeds) for entry in row]
        lines.append(_row([str(size), *cells, *([f"*{entry.paper or '-'}*" for entry in row] if beside else [])]))
    if beside:
        lines += ["", f"Columns headed *paper*: {LABEL}."]
    return [*lines, *(line for text, letter in letters.items() for line in ("", f"({letter}) {text}"))]


def _markdown_cell(entry: Entry, letters: dict[str, str], seeds: int) -> str:
    marks = "".join(f" ({letters[text]})" for text in entry_notes(entry, seeds))
    if entry.mean is None:
        return f"-{marks}"
    interval = format_interval(entry)
    return format_value(entry.mean, entry.table) + (f" ({interval})" if interval else "") + marks


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table_latex(entries: Sequence[Entry], seeds: int, caption: str) -> str:
    """Write one table as LaTeX, for `booktabs` and `xcolor`; intervals stand below the means.

    Args:
        entries: Of the table, row by row.
        seeds: How many seeds there should be.
        caption: Plain text.
    """
    table, models, sizes = _axes(entries)
    letters, width = notes(entries, seeds), len(models)
    beside = any(entry.paper for entry in entries)
    titles = " & ".join(escape_latex(MODELS[model]) for model in models)
    grays = rf"*{{{width}}}{{>{{\color{{gray}}}}c}}" if beside else ""
    lines = [
        r"\begin{table}[htbp]",
        rf"\centering\scriptsize\setlength{{\tabcolsep}}{{3pt}}\caption{{{escape_latex(caption)}}}\par\smallskip",
        rf"\label{{tab:vidfer-{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{r*{{{width}}}{{c}}{grays}}}",
        r"\toprule",
        rf" & \multicolumn{{{width}}}{{c}}{{measured here, {escape_latex(table.unit)}}}"
        + (rf" & \multicolumn{{{width}}}{{c}}{{\color{{gray}}{escape_latex(LABEL)}}}" if beside else "")
        + r" \\",
        rf"\cmidrule(lr){{2-{width + 1}}}" + (rf"\cmidrule(lr){{{width + 2}-{2 * width + 1}}}" if beside else ""),
        " & ".join([escape_latex(table.samples), *([titles] * (2 if beside else 1))]) + r" \\",
        r"\midrule",
    ]
    for size in sizes:
        row = [entry for entry in entries if entry.size == size]
        papers = [entry.paper or "--" for entry in row] if beside else []
        lines.append(" & ".join([str(size), *(_latex_cell(entry, letters, seeds) for entry in row), *papers]) + r" \\")
        intervals = [format_interval(entry) for entry in row]
        if any(intervals):
            small = [rf"{{\tiny {text.replace(' to ', '--')}}}" if text else "" for text in intervals]
            lines.append(" & ".join(["", *small, *([""] * len(papers))]) + r" \\[2pt]")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip {letter}: {escape_latex(text)}" for text, letter in letters.items()]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_cell(entry: Entry, letters: dict[str, str], seeds: int) -> str:
    marks = ",".join(letters[text] for text in entry_notes(entry, seeds))
    value = "--" if entry.mean is None else format_value(entry.mean, entry.table)
    return value + (rf"\textsuperscript{{{marks}}}" if marks else "")


def escape_latex(text: str) -> str:
    """Make plain text safe for LaTeX."""
    return text.translate(_ESCAPES)


def _axes(entries: Sequence[Entry]) -> tuple[Table, list[str], list[int]]:
    return (
        entries[0].table,
        list(dict.fromkeys(entry.model for entry in entries)),
        list(dict.fromkeys(entry.size for entry in entries)),
    )
