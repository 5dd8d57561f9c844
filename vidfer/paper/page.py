"""Tables as CSV, Markdown and LaTeX, and the page that joins them; ours and the paper's figures never share a column."""

import math
import platform
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidfer import __version__
from vidfer.paper.cells import CLASSIFY, DENOISE, Result
from vidfer.paper.figures import draw_table
from vidfer.paper.reported import LABEL
from vidfer.paper.tables import MODELS, Entry, Rerun, Table
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.pipeline.versions import tool_versions

_ESCAPES = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
)


def write_rerun(rerun: Rerun, out: Path) -> list[Path]:
    """Write all files into an existing folder; the same cells give the same bytes.

    Returns:
        `tables.md` first, then the others.
    """
    files = {"tables.md": _lines(render_page(rerun)), "cells.csv": cells_csv(rerun.results)}
    figures = []
    for table in rerun.tables:
        entries, title = rerun.entries(table), rerun.title(table)
        stem, figure = _stems(table)
        files[f"{stem}.csv"] = table_csv(entries)
        files[f"{stem}.md"] = _lines([*_heading(rerun, table, 1), *table_markdown(entries, rerun.seeds)])
        caption = f"{_origin(table)}. {title}. {_interval_note(rerun.seeds)}"  # LaTeX numbers captions by itself
        files[f"{stem}.tex"] = table_latex(entries, rerun.seeds, caption).encode()
        draw_table(
            entries, out / figure, f"Figure {table.figure}. {title.replace(': ', chr(10), 1)}", rerun.reference(table)
        )
        figures += [out / f"{figure}.png", out / f"{figure}.svg"]
    files["tables.tex"] = _document(rerun.tables)
    for name, content in files.items():
        write_atomic(out / name, content)
    return [*(out / name for name in files), *figures]


def table_csv(entries: Sequence[Entry]) -> bytes:
    """Write one table in long form: a line for each place; intervals as computed, even beyond what is possible."""
    columns: dict[str, list[object]] = {
        "table": [entry.table.number for entry in entries],
        "metric": [entry.table.key for entry in entries],
        "unit": [entry.table.unit for entry in entries],
        "model": [entry.model for entry in entries],
        "size": [entry.size for entry in entries],
        "seeds": [len(entry.values) for entry in entries],
        "mean": [entry.mean for entry in entries],
        "low": [entry.interval[0] if entry.interval else None for entry in entries],
        "high": [entry.interval[1] if entry.interval else None for entry in entries],
        "n_test": [entry.n_test for entry in entries],
        "data": [entry.data for entry in entries],
        "missing": ["; ".join(entry.reasons) for entry in entries],
        LABEL: [float(entry.paper) if entry.paper else None for entry in entries],
    }
    return to_csv(columns)


def cells_csv(results: Sequence[Result]) -> bytes:
    """Write every cell with all that it measured, in its own units; `psnr_by_sigma 15` is an entry of a nested metric."""
    flat: list[dict[str, Any]] = []
    for result in results:
        flat.append({})
        for name, value in (result.metrics or {}).items():
            if isinstance(value, dict):
                flat[-1] |= {f"{name} {key}": each for key, each in value.items()}
            elif not isinstance(value, list):  # lists stay in the store
                flat[-1][name] = value
    names = dict.fromkeys(name for metrics in flat for name in metrics)
    columns: dict[str, list[object]] = {
        **{name: [getattr(result.cell, name) for result in results] for name in ("task", "model", "size", "seed")},
        **{name: [getattr(result, name) for result in results] for name in ("status", "reason")},
        **{name: [metrics.get(name) for metrics in flat] for name in names},
        "key": [result.key for result in results],
    }
    return to_csv(columns)


def table_markdown(entries: Sequence[Entry], seeds: int) -> list[str]:
    """Write one table as lines of Markdown, the paper's figures in columns of their own; places with fewer seeds say so."""
    letters, beside = _notes(entries, seeds), any(entry.paper for entry in entries)
    rows = _rows(entries)
    titles = [MODELS[entry.model] for entry in rows[0]]
    lines = [[entries[0].table.samples, *titles, *([f"paper: {title}" for title in titles] if beside else [])]]
    lines.append(["---:"] * len(lines[0]))
    for row in rows:
        cells = []
        for entry in row:
            interval = f" ({text})" if (text := format_interval(entry)) else ""
            marks = "".join(f" ({letters[text]})" for text in _entry_notes(entry, seeds))
            cells.append(f"{format_value(entry.mean, entry.table)}{interval}{marks}")
        lines.append([str(row[0].size), *cells, *([f"*{entry.paper or '-'}*" for entry in row] if beside else [])])
    below = [f"Columns headed *paper*: {LABEL}."] if beside else []
    below += [f"({letter}) {text}" for text, letter in letters.items()]
    return [*markdown_table(lines), *(line for text in below for line in ("", text))]


def markdown_table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Write rows of cells as lines of Markdown."""
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def table_latex(entries: Sequence[Entry], seeds: int, caption: str) -> str:
    """Write one table as LaTeX, for `array`, `booktabs` and `xcolor`; intervals stand below the means."""
    table, rows, letters = entries[0].table, _rows(entries), _notes(entries, seeds)
    width, beside = len(rows[0]), any(entry.paper for entry in entries)
    titles = " & ".join(escape_latex(MODELS[entry.model]) for entry in rows[0])
    paper = rf" & \multicolumn{{{width}}}{{c}}{{\color{{gray}}{escape_latex(LABEL)}}}" if beside else ""
    lines = [
        r"\begin{table}[htbp]",
        rf"\centering\scriptsize\setlength{{\tabcolsep}}{{3pt}}\caption{{{escape_latex(caption)}}}\par\smallskip",
        rf"\label{{tab:vidfer-{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{r*{{{width}}}{{c}}" + (rf"*{{{width}}}{{>{{\color{{gray}}}}c}}}}" if beside else "}"),
        r"\toprule",
        rf" & \multicolumn{{{width}}}{{c}}{{measured here, {escape_latex(table.unit)}}}{paper} \\",
        rf"\cmidrule(lr){{2-{width + 1}}}" + (rf"\cmidrule(lr){{{width + 2}-{2 * width + 1}}}" if beside else ""),
        " & ".join([escape_latex(table.samples), titles, *([titles] if beside else [])]) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        cells = [str(row[0].size)]
        for entry in row:
            marks = ",".join(letters[text] for text in _entry_notes(entry, seeds))
            value = "--" if entry.mean is None else format_value(entry.mean, table)
            cells.append(value + (rf"\textsuperscript{{{marks}}}" if marks else ""))
        lines.append(" & ".join(cells + ([entry.paper or "--" for entry in row] if beside else [])) + r" \\")
        if any(entry.shown for entry in row):
            small = [
                rf"{{\tiny {format_interval(entry).replace(' to ', '--')}}}" if entry.shown else "" for entry in row
            ]
            lines.append(" & ".join(["", *small, *([""] * width if beside else [])]) + r" \\[2pt]")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip {letter}: {escape_latex(text)}" for text, letter in letters.items()]
    return "\n".join([*lines, r"\end{table}", ""])


def format_value(value: float | None, table: Table) -> str:
    """Write a value with the table's decimals, or three significant digits, never with an exponent; `-` for None.

    Example:
        >>> from vidfer.paper.tables import TABLES
        >>> format_value(0.0012345, next(each for each in TABLES if each.name == "time"))
        '0.00123'
    """
    if value is None:
        return "-"
    digits = table.digits
    if digits is None:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{digits}f}"


def format_interval(entry: Entry) -> str:
    """Write the interval as `low to high`, with as many decimals as the mean; empty where there is none."""
    if entry.shown is None:
        return ""
    digits = len(format_value(entry.mean, entry.table).partition(".")[2])
    return " to ".join(f"{end:.{digits}f}" for end in entry.shown)


def escape_latex(text: str) -> str:
    """Make plain text safe for LaTeX."""
    return text.translate(_ESCAPES)


def _stems(table: Table) -> tuple[str, str]:
    """Return the names of a table's and its figure's files, without suffix."""
    return f"table{table.number}_{table.name}", f"figure{table.figure}_{table.name}"


def _heading(rerun: Rerun, table: Table, level: int) -> list[str]:
    """Write the lines above a table."""
    companion = "" if table.number.isdigit() else " (a companion that the paper lacks)"
    title = f"{'#' * level} Table {table.number}{companion}. {table.title}, {table.unit}"
    return [title, "", f"{rerun.title(table)}.", ""]


def _interval_note(seeds: int) -> str:
    """Say what the intervals are."""
    if seeds < 2:
        return "One seed only: there is no interval, and differences between models may be chance."
    return (
        f"Mean and 95 % interval (Student's t) over {seeds} seeds: other training samples and another start each, the same "
        "test samples. The interval does not cover the choice of the test samples."
    )


def versions() -> dict[str, str]:
    """Return the versions that stand in the page."""
    found = {name: text for name, text in tool_versions("torch", "numpy", "timm", "opensmile").items() if text}
    return {"vidfer": __version__, "Python": platform.python_version(), **found}


def render_page(rerun: Rerun) -> Iterator[str]:
    """Write the lines of the page that joins all tables and figures."""
    yield from ["# The paper's tables, rerun", "", f"    {rerun.command}", ""]
    yield (
        f"Every figure outside the columns and panels marked *{LABEL}* was measured here, by the command above. The paper's "
        "figures cannot all be true (rounding an image to 8 bits alone limits PSNR to 58.9 dB) and its tables name no data: "
        "they stand beside ours and decided nothing."
    )
    yield from ["", *_conditions(rerun), "", *_models(rerun), ""]
    if missing := sum(result.metrics is None for result in rerun.results):
        total = len(rerun.results)
        yield from [
            f"{missing} of {total} cells are missing; each place says why. The same command tries them again.",
            "",
        ]
    for table in rerun.tables:
        stem, figure = _stems(table)
        yield from [*_heading(rerun, table, 2), f"![{table.title}]({figure}.png)", ""]
        yield from table_markdown(rerun.entries(table), rerun.seeds)
        files = [f"[{end}]({stem}.{end})" for end in ("csv", "md", "tex")]
        yield from ["", f"Files: {', '.join(files)}, [svg]({figure}.svg).", ""]
    yield "Every single cell is in [cells.csv](cells.csv); [tables.tex](tables.tex) joins the LaTeX tables."


def _conditions(rerun: Rerun) -> Iterator[str]:
    for task, source in rerun.sources.items():
        kind, samples = ("Classifiers", "clips") if task == CLASSIFY else ("Denoisers", "images")
        done = rerun.measured(task)
        data = "; ".join(dict.fromkeys(str(metrics["data"]) for metrics in done)) or source
        counts = " or ".join(map(str, sorted({int(metrics["n_test"]) for metrics in done})))
        before = [rerun.reference(table) for table in rerun.tables if table.task == task and table.before]
        notes = [f", n = {counts} test {samples}" if counts else "", *(f"; {each[1]}" for each in before if each)]
        yield f"- {kind}: {data}{''.join(notes)}."
    yield f"- {_interval_note(rerun.seeds)}"
    if any(table.name == "time" for table in rerun.tables):
        processors = sorted({str(metrics["processor"]) for metrics in rerun.measured(CLASSIFY)})
        yield (
            "- Execution time: CPU-seconds of the predictions for as many clips as the row says, on one thread, from stored "
            f"features{', on ' if processors else ''}{' and '.join(processors)}."
        )
    if CLASSIFY in rerun.sources:
        yield "- Precision and recall are means over the classes; RMSE is over clips and classes, 35.0 % for equal shares."
    yield f"- Versions: {', '.join(f'{name} {version}' for name, version in versions().items())}."


def _models(rerun: Rerun) -> list[str]:
    heads = {CLASSIFY: ["classifier reads", "parameters"], DENOISE: ["denoiser", "parameters"]}
    tasks = [task for task in heads if task in rerun.sources]
    rows = [["model", *(head for task in tasks for head in heads[task])]]
    rows.append(["---"] * len(rows[0]))
    for model in rerun.models:
        rows.append([MODELS[model]])
        for task in tasks:
            done = [
                each for each in rerun.results if each.metrics and (each.cell.task, each.cell.model) == (task, model)
            ]
            counts = sorted({int(each.metrics["params"]) for each in done if each.metrics})
            about: Mapping[str, str] = rerun.about.get(task, {})
            rows[-1] += [about.get(model, "-"), " or ".join(f"{count:,}" for count in counts) or "-"]
    return markdown_table(rows)


def _notes(entries: Iterable[Entry], seeds: int) -> dict[str, str]:
    """Give each reason why cells are missing a letter."""
    texts = dict.fromkeys(text for entry in entries for text in _entry_notes(entry, seeds))
    return {text: string.ascii_lowercase[at] if at < 26 else str(at - 25) for at, text in enumerate(texts)}


def _entry_notes(entry: Entry, seeds: int) -> list[str]:
    few = f"{len(entry.values)} of {seeds} seeds: " if 0 < len(entry.values) < seeds else ""
    return [f"{few}{reason}" for reason in entry.reasons]


def _rows(entries: Sequence[Entry]) -> list[list[Entry]]:
    return [[entry for entry in entries if entry.size == size] for size in dict.fromkeys(each.size for each in entries)]


def _origin(table: Table) -> str:
    if table.number.isdigit():
        return f"The paper's table {table.number}, rerun"
    return f"Companion of the paper's table {table.number.rstrip('b')}, which the paper lacks"


def _document(tables: Sequence[Table]) -> bytes:
    packages = (r"\usepackage[landscape,margin=15mm]{geometry}", r"\usepackage{array,booktabs,xcolor}")
    inputs = [rf"\input{{{_stems(table)[0]}}}" for table in tables]
    return _lines([r"\documentclass{article}", *packages, r"\begin{document}", *inputs, r"\end{document}"])


def _lines(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines).rstrip() + "\n").encode()
