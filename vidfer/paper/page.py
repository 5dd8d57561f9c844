"""Tables as CSV, Markdown and LaTeX, and the page that joins them; ours and the paper's figures never share a column."""

import math
import platform
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer import __version__
from vidfer.paper.cells import CLASSIFY, DENOISE, Result
from vidfer.paper.figures import draw_table
from vidfer.paper.tables import LABEL, MODELS, Rerun, Table, comparison
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.pipeline.stage import tool_versions
from vidfer.types import DISPLAYED

if TYPE_CHECKING:
    import pandas as pd

_PREAMBLE = r"""\documentclass{article}
\usepackage[landscape,margin=15mm]{geometry}
\usepackage{array,booktabs,xcolor}
\begin{document}"""
_ESCAPES = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
)


def write_rerun(rerun: Rerun, out: Path) -> list[Path]:
    """Write all files into an existing folder, `tables.md` first, and list them; the same cells give the same bytes."""
    files = {"tables.md": _lines(render_page(rerun)), "cells.csv": cells_csv(rerun.results)}
    for table in rerun.tables:
        places, title = rerun.places(table), rerun.title(table)
        stem, figure = _stems(table)
        origin = f"The paper's table {table.number}, rerun"
        if not table.number.isdigit():
            origin = f"Companion of the paper's table {table.of}, which the paper lacks"
        files[f"{stem}.csv"] = table_csv(table, places)
        files[f"{stem}.md"] = _lines([*_heading(rerun, table, 1), *table_markdown(table, places, rerun.seeds)])
        caption = f"{origin}. {title}. {_interval_note(rerun.seeds)}"  # LaTeX numbers captions by itself
        files[f"{stem}.tex"] = _lines(table_latex(table, places, rerun.seeds, caption))
        caption = f"Figure {table.figure}. {title.replace(': ', chr(10), 1)}"
        draw_table(table, places, out / figure, caption, rerun.reference(table))
    inputs = [rf"\input{{{_stems(table)[0]}}}" for table in rerun.tables]
    files["tables.tex"] = _lines([_PREAMBLE, *inputs, r"\end{document}"])
    for name, content in files.items():
        write_atomic(out / name, content)
    figures = [f"{_stems(table)[1]}.{end}" for table in rerun.tables for end in ("png", "svg")]
    return [out / name for name in (*files, *figures)]


def table_csv(table: Table, places: "pd.DataFrame") -> bytes:
    """Write one table in long form: a line for each place; intervals as computed, even beyond what is possible."""
    columns: dict[str, list[Any]] = {
        "table": [table.number] * len(places),
        "task": [table.task] * len(places),
        "metric": [table.key] * len(places),
        "unit": [table.unit] * len(places),
        **{name: places[name].tolist() for name in places.columns[:-2]},
        "missing": ["; ".join(each) for each in places["reasons"]],
        LABEL: [float(text) if text else None for text in places["paper"]],
    }
    return to_csv(columns)


def cells_csv(results: Sequence[Result]) -> bytes:
    """Write every cell with all that it measured, in its own units; `psnr_by_sigma 15` is an entry of a nested metric."""
    rows: list[dict[str, Any]] = []
    for result in results:
        rows.append({**vars(result.cell), "status": result.status, "reason": result.reason})
        for name, value in (result.metrics or {}).items():
            if isinstance(value, dict):
                rows[-1] |= {f"{name} {key}": each for key, each in value.items()}
            elif not isinstance(value, list):  # lists stay in the store
                rows[-1][name] = value
    names = dict.fromkeys(name for row in rows for name in row)
    return to_csv({name: [row.get(name) for row in rows] for name in names} | {"key": [each.key for each in results]})


def table_markdown(table: Table, places: "pd.DataFrame", seeds: int) -> list[str]:
    """Write one table as lines of Markdown, the paper's figures in columns of their own; places with fewer seeds say so."""
    letters, beside = _letters(places, seeds), any(places["paper"])
    titles = [MODELS[model] for model in dict.fromkeys(places["model"])]
    lines = [[table.samples, *titles, *(f"paper: {title}" for title in titles if beside)]]
    lines.append(["---:"] * len(lines[0]))
    for size, row in places.groupby("size", sort=False):
        cells, line = [], list[Any](row.itertuples())
        for place in line:
            interval = f" ({text})" if (text := format_interval(place, table)) else ""
            marks = "".join(f" ({letters[text]})" for text in _notes(place, seeds))
            cells.append(f"{format_value(place.mean, table)}{interval}{marks}")
        lines.append([str(size), *cells, *(f"*{text or '-'}*" for text in row["paper"] if beside)])
    below = [f"Columns headed *paper*: {LABEL}."] if beside else []
    below += [f"({letter}) {text}" for text, letter in letters.items()]
    return [*markdown_table(lines), *(line for text in below for line in ("", text))]


def markdown_table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Write rows of cells as lines of Markdown."""
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def table_latex(table: Table, places: "pd.DataFrame", seeds: int, caption: str) -> list[str]:
    """Write one table as lines of LaTeX, for `array`, `booktabs` and `xcolor`; intervals stand below the means."""
    letters, beside = _letters(places, seeds), any(places["paper"])
    models = list(dict.fromkeys(places["model"]))
    width, titles = len(models), " & ".join(escape_latex(MODELS[model]) for model in models)
    paper = rf" & \multicolumn{{{width}}}{{c}}{{\color{{gray}}{escape_latex(LABEL)}}}" if beside else ""
    lines = [
        r"\begin{table}[htbp]",
        rf"\centering\scriptsize\setlength{{\tabcolsep}}{{3pt}}\caption{{{escape_latex(caption)}}}\par\smallskip",
        rf"\label{{tab:vidfer-{table.number}-{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{r*{{{width}}}{{c}}" + (rf"*{{{width}}}{{>{{\color{{gray}}}}c}}}}" if beside else "}"),
        r"\toprule",
        rf" & \multicolumn{{{width}}}{{c}}{{measured here, {escape_latex(table.unit)}}}{paper} \\",
        rf"\cmidrule(lr){{2-{width + 1}}}" + (rf"\cmidrule(lr){{{width + 2}-{2 * width + 1}}}" if beside else ""),
        " & ".join([escape_latex(table.samples), titles, *([titles] if beside else [])]) + r" \\",
        r"\midrule",
    ]
    for size, row in places.groupby("size", sort=False):
        cells, line = [str(size)], list[Any](row.itertuples())
        for place in line:
            marks = ",".join(letters[text] for text in _notes(place, seeds))
            value = format_value(place.mean, table, none="--")
            cells.append(value + (rf"\textsuperscript{{{marks}}}" if marks else ""))
        lines.append(" & ".join(cells + [text or "--" for text in row["paper"] if beside]) + r" \\")
        if row["low"].notna().any():
            small = [format_interval(place, table).replace(" to ", "--") for place in line]
            small = [rf"{{\tiny {text}}}" if text else "" for text in small] + [""] * (width if beside else 0)
            lines.append(" & ".join(["", *small]) + r" \\[2pt]")
    notes = [rf"\par\smallskip {letter}: {escape_latex(text)}" for text, letter in letters.items()]
    return [*lines, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]


def format_value(value: float, table: Table, none: str = "-") -> str:
    """Write a value with the table's decimals, or three significant digits, never with an exponent; `none` for NaN."""
    if math.isnan(value):
        return none
    if table.digits is not None:
        return f"{value:.{table.digits}f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0}f}"


def format_interval(place: Any, table: Table) -> str:  # noqa: ANN401 - a line of a frame
    """Write the interval as `low to high`, cut off at what is possible, with the mean's decimals; empty where there is none."""
    if math.isnan(place.low):
        return ""
    digits = len(format_value(place.mean, table).partition(".")[2])
    return f"{max(place.low, table.low):.{digits}f} to {min(place.high, table.high):.{digits}f}"


def escape_latex(text: str) -> str:
    """Escape what LaTeX would read as commands."""
    return text.translate(_ESCAPES)


def _stems(table: Table) -> tuple[str, str]:
    """Return the file names of a table and its figure, without suffix."""
    return f"table{table.number}_{table.name}", f"figure{table.figure}_{table.name}"


def _heading(rerun: Rerun, table: Table, level: int) -> list[str]:
    companion = "" if table.number.isdigit() else " (a companion that the paper lacks)"
    title = f"{'#' * level} Table {table.number}{companion}. {table.title}, {table.unit}"
    return [title, "", f"{rerun.title(table)}.", ""]


def _interval_note(seeds: int) -> str:
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
    yield from ["", DISPLAYED, "", *_conditions(rerun), "", *_models(rerun), ""]
    if missing := sum(result.metrics is None for result in rerun.results):
        yield f"{missing} of {len(rerun.results)} cells are missing; each place says why. The same command tries them again."
        yield ""
    for table in rerun.tables:
        stem, figure = _stems(table)
        yield from [*_heading(rerun, table, 2), f"![{table.title}]({figure}.png)", ""]
        yield from table_markdown(table, rerun.places(table), rerun.seeds)
        files = [f"[{end}]({stem}.{end})" for end in ("csv", "md", "tex")]
        yield from ["", f"Files: {', '.join(files)}, [svg]({figure}.svg).", ""]
    yield "Every single cell is in [cells.csv](cells.csv); [tables.tex](tables.tex) joins the LaTeX tables."


def _conditions(rerun: Rerun) -> Iterator[str]:
    for task, source in rerun.sources.items():
        samples = "images" if task == DENOISE else "clips"
        done = rerun.measured(task)
        data = "; ".join(dict.fromkeys(str(metrics["data"]) for metrics in done)) or source
        counts = " or ".join(map(str, sorted({int(metrics["n_test"]) for metrics in done})))
        before = [rerun.reference(table) for table in rerun.tables if table.task == task and table.before]
        notes = [f", n = {counts} test {samples}" if counts else "", *(f"; {each[1]}" for each in before if each)]
        yield f"- {comparison(task).capitalize()}: {data}{''.join(notes)}."
    yield f"- {_interval_note(rerun.seeds)}"
    done = [metrics for task in CLASSIFY.values() for metrics in rerun.measured(task)]
    if done and any(table.of == "5" for table in rerun.tables):
        clips = " or ".join(map(str, sorted({int(metrics["feature_clips"]) for metrics in done})))
        yield (
            "- Execution time: CPU-seconds of the predictions for as many clips as the row says, on one thread, from stored "
            f"features, on {' and '.join(sorted({str(metrics['processor']) for metrics in done}))}. Table 5b adds as many times "
            f"what the features of a clip cost, from its file, a mean of {clips} test clips, models loaded: one measurement, "
            "which intervals do not cover. Faces of paired clips are given as images, so that only their embeddings cost."
        )
    if done:
        yield "- Precision and recall are means over the classes; RMSE is over clips and classes, 35.0 % for equal shares."
    yield f"- Versions: {', '.join(f'{name} {version}' for name, version in versions().items())}."


def _models(rerun: Rerun) -> list[str]:
    rows = [["comparison", "model", "reads, or is", "parameters", "features of a clip, CPU-s"], ["---"] * 5]
    for task in rerun.sources:
        for model in rerun.models:
            done = rerun.measured(task, model)
            if about := rerun.about[task].get(model):
                counts = sorted({int(metrics["params"]) for metrics in done})
                costs = sorted({round(float(each["feature_seconds"]), 4) for each in done if "feature_seconds" in each})
                numbers = [" or ".join(f"{count:,}" for count in counts), " or ".join(f"{cost:g}" for cost in costs)]
                rows.append([comparison(task), MODELS[model], about, *(text or "-" for text in numbers)])
            elif reason := rerun.left_out.get(task, {}).get(model):
                rows.append([comparison(task), MODELS[model], f"left out: {reason}", "-", "-"])
    return markdown_table(rows)


def _letters(places: "pd.DataFrame", seeds: int) -> dict[str, str]:
    texts = dict.fromkeys(text for place in places.itertuples() for text in _notes(place, seeds))
    return {text: string.ascii_lowercase[at] if at < 26 else str(at - 25) for at, text in enumerate(texts)}


def _notes(place: Any, seeds: int) -> list[str]:  # noqa: ANN401 - a line of a frame
    few = f"{place.seeds} of {seeds} seeds: " if 0 < place.seeds < seeds else ""
    return [f"{few}{reason}" for reason in place.reasons]


def _lines(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines).rstrip() + "\n").encode()
