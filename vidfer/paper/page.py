"""The rerun as files: every table and figure, every cell, and the page that joins them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidfer.paper.aggregate import Entry, fill_table
from vidfer.paper.cells import Result
from vidfer.paper.figures import draw_table
from vidfer.paper.render import cells_csv, table_csv, table_latex, table_markdown
from vidfer.paper.reported import LABEL
from vidfer.paper.tables import CLASSIFY, DENOISE, MODELS, Table
from vidfer.pipeline.atomic import write_atomic

_PACKAGES = ("torch", "numpy", "timm", "opensmile")


@dataclass(frozen=True)
class Rerun:
    """All that was measured, and what has to be said about it.

    Args:
        tables: Which tables.
        models: Their columns.
        sizes: Their rows, by task.
        seeds: How many seeds each place should have.
        results: Every cell.
        sources: What the data are, by task.
        about: What each model reads or is, by task and model.
        command: What was typed.
    """

    tables: Sequence[Table]
    models: Sequence[str]
    sizes: Mapping[str, Sequence[int]]
    seeds: int
    results: Sequence[Result]
    sources: Mapping[str, str]
    about: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    command: str = "vidfer tables"

    def entries(self, table: Table) -> list[Entry]:
        """Fill a table."""
        return fill_table(table, self.results, self.models, self.sizes[table.task])

    def title(self, table: Table) -> str:
        """Name a table, its unit and its data."""
        tested = sorted({entry.n_test for entry in self.entries(table) if entry.n_test})
        number = f"; n = {' or '.join(tested)}" if tested else ""
        return f"{table.title} ({table.unit}): {self.sources[table.task]}{number}; seeds: {self.seeds}"

    def reference(self, table: Table) -> tuple[float, str] | None:
        """Return a value to compare with, and what it is: of guessing, or of what the denoisers were given."""
        if table.chance is not None:
            return table.chance, "equal shares for every class"
        done = [each.figures for each in self.results if each.cell.task == table.task and each.figures]
        before = [float(figures[table.before]) for figures in done if table.before in figures]
        return (sum(before) / len(before), f"before denoising: {before[0]:.2f} {table.unit}") if before else None


def write_rerun(rerun: Rerun, out: Path) -> list[Path]:
    """Write all files into a folder; the same cells give the same bytes.

    Args:
        rerun: What was measured.
        out: The folder; it is made if it is not there.

    Returns:
        `tables.md` first, then the others.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = {"cells.csv": cells_csv(rerun.results)}
    figures = []
    for table in rerun.tables:
        entries, title = rerun.entries(table), rerun.title(table)
        stem = table_stem(table)
        files[f"{stem}.csv"] = table_csv(entries)
        files[f"{stem}.md"] = _lines([*_heading(table, title, 1), *table_markdown(entries, rerun.seeds)])
        caption = f"{_origin(table)}. {title}. {_interval_note(rerun.seeds)}"
        files[f"{stem}.tex"] = table_latex(entries, rerun.seeds, caption).encode()
        figures.append(figure_stem(table))
        heading = f"Figure {table.figure}. {title.replace(': ', chr(10), 1)}"
        draw_table(entries, out / figures[-1], heading, rerun.reference(table))
    files["tables.tex"] = _document(rerun.tables).encode()
    files["tables.md"] = _lines(_page(rerun))
    for name, data in files.items():
        write_atomic(out / name, data)
    names = [
        "tables.md",
        *sorted({*files} - {"tables.md"}),
        *(f"{name}{end}" for name in figures for end in (".png", ".svg")),
    ]
    return [out / name for name in names]


def table_stem(table: Table) -> str:
    """Return the name of a table's files, without suffix."""
    return f"table{table.number}_{table.name}"


def figure_stem(table: Table) -> str:
    """Return the name of a figure's files, without suffix."""
    return f"figure{table.figure}_{table.name}"


def _heading(table: Table, title: str, level: int) -> list[str]:
    companion = "" if table.number.isdigit() else " (a companion that the paper lacks)"
    return [f"{'#' * level} Table {table.number}{companion}. {table.title}, {table.unit}", "", f"{title}.", ""]


def _origin(table: Table) -> str:
    """Say which of the paper's tables a table reruns: LaTeX numbers captions by itself."""
    if table.number.isdigit():
        return f"The paper's table {table.number}, rerun"
    return f"Companion of the paper's table {table.number.rstrip('b')}, which the paper lacks"


def _page(rerun: Rerun) -> Iterator[str]:
    yield from ["# The paper's tables, rerun", "", f"    {rerun.command}", ""]
    yield (
        f"Every figure outside the columns and panels marked *{LABEL}* was measured here, by the command above. The paper's "
        "figures cannot all be true (rounding an image to 8 bits alone limits PSNR to 58.9 dB) and its tables name no data: "
        "they stand beside ours and decided nothing."
    )
    yield from ["", *_what(rerun), "", *_models(rerun), *_missing(rerun), ""]
    for table in rerun.tables:
        yield from _heading(table, rerun.title(table), 2)
        yield from [f"![{table.title}]({figure_stem(table)}.png)", ""]
        yield from table_markdown(rerun.entries(table), rerun.seeds)
        files = [f"[{end}]({table_stem(table)}.{end})" for end in ("csv", "md", "tex")]
        yield from ["", f"Files: {', '.join(files)}, [svg]({figure_stem(table)}.svg).", ""]
    yield "Every single cell is in [cells.csv](cells.csv); [tables.tex](tables.tex) joins the LaTeX tables."


def _what(rerun: Rerun) -> Iterator[str]:
    for task, source in rerun.sources.items():
        kind = "Classifiers" if task == CLASSIFY else "Denoisers"
        done = [result.figures for result in rerun.results if result.cell.task == task and result.figures]
        data = "; ".join(dict.fromkeys(str(figures["data"]) for figures in done))
        counts = sorted({int(figures["n_test"]) for figures in done})
        tested = (
            f", n = {' or '.join(map(str, counts))} test {'clips' if task == CLASSIFY else 'images'}" if counts else ""
        )
        before = [
            each for table in rerun.tables if table.task == task and table.before and (each := rerun.reference(table))
        ]
        yield f"- {kind}: {data or source}{tested}{''.join(f'; {said}' for _, said in before)}."
    yield f"- {_interval_note(rerun.seeds)}"
    if any(table.name == "time" for table in rerun.tables):
        yield (
            "- Execution time: CPU-seconds of answering as many clips as the row says, by one thread, features at hand"
            f"{_on(rerun.results)}."
        )
    if CLASSIFY in rerun.sources:
        yield "- Precision and recall are means over the classes; RMSE is over clips and classes, 35.0 % for equal shares."
    yield f"- Versions: {', '.join(f'{name} {version}' for name, version in versions().items())}."


def _interval_note(seeds: int) -> str:
    if seeds < 2:
        return "One seed only: there is no interval, and differences between models may be chance."
    return (
        f"Mean and 95 % interval (Student's t) over {seeds} seeds: other training samples and another start each, the same "
        "test samples. The interval does not cover the choice of the test samples."
    )


def _on(results: Sequence[Result]) -> str:
    names = sorted(
        {str(result.figures["processor"]) for result in results if result.figures and result.cell.task == CLASSIFY}
    )
    return f", on {' and '.join(names)}" if names else ""


def versions() -> dict[str, str]:
    """Return the versions that stand in the page."""
    import platform

    from vidfer import __version__
    from vidfer.pipeline.versions import tool_versions

    found = {name: version for name, version in tool_versions(*_PACKAGES).items() if version}
    return {"vidfer": __version__, "Python": platform.python_version(), **found}


def _models(rerun: Rerun) -> Iterator[str]:
    tasks = [task for task in (CLASSIFY, DENOISE) if task in rerun.sources]
    heads = {CLASSIFY: ["classifier reads", "parameters"], DENOISE: ["denoiser", "parameters"]}
    columns = ["model", *(head for task in tasks for head in heads[task])]
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for model in rerun.models:
        cells = [MODELS[model]]
        for task in tasks:
            counts = sorted(
                {
                    _params(each)
                    for each in rerun.results
                    if each.figures and (each.cell.task, each.cell.model) == (task, model)
                }
            )
            cells += [rerun.about.get(task, {}).get(model, "-"), " or ".join(f"{count:,}" for count in counts) or "-"]
        yield f"| {' | '.join(cells)} |"


def _params(result: Result) -> int:
    figures: Mapping[str, Any] = result.figures or {}
    return int(figures["params"])


def _missing(rerun: Rerun) -> Iterator[str]:
    missing = [result for result in rerun.results if result.figures is None]
    if missing:
        yield ""
        yield (
            f"{len(missing)} of {len(rerun.results)} cells are missing; each place says why. The same command tries them again."
        )


def _document(tables: Sequence[Table]) -> str:
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[landscape,margin=15mm]{geometry}",
            r"\usepackage{array,booktabs,xcolor}",
            r"\begin{document}",
            *(rf"\input{{{table_stem(table)}}}" for table in tables),
            r"\end{document}",
            "",
        ]
    )


def _lines(lines: Sequence[str] | Iterator[str]) -> bytes:
    return ("\n".join(lines).rstrip() + "\n").encode()
