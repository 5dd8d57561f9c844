"""Measurements as tables of Markdown, and these tables in a page of the documentation."""

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Final

from .figures import Figure, Measurement, Results, digits

_PART: Final = re.compile(r"(<!-- bench: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_HEADER: Final = "| what | cost | floor | ratio | required |\n|---|---|---|---|---|"


def tables(results: Results) -> str:
    """Return a table for each group of measurements, and the machine."""
    parts = [machine(results)]
    for group, members in groupby(results.measurements, key=lambda each: each.group):
        parts.append(f"{group}\n\n{table(list(members))}")
    return "\n\n".join(parts) + "\n"


def machine(results: Results) -> str:
    """Return one paragraph on the machine and the versions."""
    facts = results.machine
    versions = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in _PLACE and value)
    memory = f", {facts['memory_gb']:.0f} GB" if facts.get("memory_gb") else ""
    return f"Measured on {facts['measured']}: {facts['cpu']}, {facts['cores']} cores{memory}, {facts['system']}; {versions}."


_PLACE: Final = ("measured", "cpu", "cores", "memory_gb", "system")


def table(measurements: "list[Measurement]") -> str:
    """Return a table with a row for each measurement: medians, in brackets the range and the number of rounds."""
    return "\n".join([_HEADER, *map(_row, measurements)])


def refresh(page: str, *runs: Results) -> str:
    """Write what stands between `<!-- bench: GROUP -->` and `<!-- end -->` anew; GROUP `machine` is that of the first run.

    Groups of further runs get their machine above their table; a group that no run measured is said not to be.

    Raises:
        ValueError: A mark has no end.
    """
    texts = {"machine": machine(runs[0])}
    for run in runs:
        for group in dict.fromkeys(each.group for each in run.measurements):
            rows = table([each for each in run.measurements if each.group == group])
            texts[group] = rows if run is runs[0] else f"{machine(run)}\n\n{rows}"
    if "scaling" in texts:  # the plot is drawn when its figures are there
        texts["scaling"] += "\n\n![CPU seconds over frames and over clips on logarithmic axes](results/scaling.svg)"

    return fill(page, texts)


def fill(page: str, texts: Mapping[str, str]) -> str:
    """Write each text between its marks `<!-- bench: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: A mark has no end.
    """

    def write(part: re.Match[str]) -> str:
        return f"{part[1]}\n{texts.get(part[2], 'Not measured yet.')}\n\n{part[4]}"

    marks, found = len(re.findall(r"<!-- bench: ", page)), len(_PART.findall(page))
    if marks != found:
        raise ValueError(f"one of {marks} marks such as '<!-- bench: cold -->' is not followed by '<!-- end -->'")
    return _PART.sub(write, page)


def _row(each: Measurement) -> str:
    facts = "; ".join(
        f"{value if isinstance(value, str) else f'{value:g}'} {name}" for name, value in each.facts.items()
    )
    name = f"{each.name} ({facts})" if facts else each.name
    verdicts = "<br>".join(
        f"{bar}: {'met' if met else f'**missed** ({digits(value)})'}" for bar, value, met in each.verdicts()
    )
    return f"| {name} | {_cell(each.figures)} | {_cell(each.floors)} | {_cell(each.ratios)} | {verdicts} |"


def _cell(figures: Mapping[str, Figure]) -> str:
    return "<br>".join(f"{name} {figure}" for name, figure in figures.items())
