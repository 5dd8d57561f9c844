"""The paper's figures 5 to 10, rerun: what was measured here on the left, what the paper reports apart on the right.

References:
    Okabe, Ito: Color universal design. 2008: the colours.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from vidfer.evaluation.plots import new_figure, save_figure
from vidfer.paper.tables import LABEL, MODELS, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_STYLES: Final = dict(zip(MODELS, zip(_COLORS, "os^DvP", strict=True), strict=True))
_GRAY: Final = "#666666"
_LOG_RATIO: Final = 20  # values further apart than this are drawn on a logarithmic axis
_HALF: Final = 60  # where an axis of shares ends, in %, if nothing lies above


def draw_table(entries: Sequence[Entry], place: Path, title: str, reference: tuple[float, str] | None = None) -> None:
    """Draw a table over the number of samples, with the intervals, beside the paper's figures, as `place` with both suffixes.

    The panels share an axis only where both are shares: elsewhere the paper's values lie far from what can be measured.
    `reference` is a value to compare with, in the table's unit, and what it is.
    """
    table = entries[0].table
    beside = any(entry.paper for entry in entries)
    figure = new_figure(9.6 if beside else 6.4, 4.3)
    ratios = (3, 2) if beside else (1,)
    panels = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
    _draw_ours(panels[0], entries)
    if reference:
        panels[0].axhline(reference[0], linestyle=":", color=_GRAY, linewidth=1.2, label=reference[1])
    if beside:
        _draw_paper(panels[1], entries)
    sizes = sorted({entry.size for entry in entries})
    margin = 0.5 * _spread(sizes)
    for axes in panels:
        axes.set_xticks(sizes)
        axes.set(xlim=(sizes[0] - margin, sizes[-1] + margin), xlabel=f"number of {table.samples}")
        axes.grid(alpha=0.3)
        if table.unit == "%":
            axes.set_ylim(0, 100 if max(_drawn(entries), default=100) > _HALF else _HALF)
    panels[0].set_ylabel(f"{table.axis or table.title} ({table.unit})")
    found = zip(*panels[0].get_legend_handles_labels(), strict=True)
    legend = dict(sorted(((label, each) for each, label in found), key=lambda item: item[0] not in MODELS.values()))
    if legend:
        columns = 7 if beside else 4  # as the width allows
        figure.legend(
            legend.values(), legend.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize="small"
        )
    wrapped = [line for part in title.splitlines() for line in wrap(part, 118 if beside else 84)]
    figure.suptitle("\n".join(wrapped), fontsize="medium")
    save_figure(figure, place)


def _draw_ours(axes: "Axes", entries: Sequence[Entry]) -> None:
    width = _spread(sorted({entry.size for entry in entries}))
    models = list(dict.fromkeys(entry.model for entry in entries))
    for at, model in enumerate(models):
        color, mark = _STYLES[model]
        shift = width * 0.09 * (at - (len(models) - 1) / 2)
        row = [(entry, entry.mean) for entry in entries if entry.model == model and entry.mean is not None]
        x, means = [entry.size + shift for entry, _ in row], [mean for _, mean in row]
        ends = [entry.shown or (mean, mean) for entry, mean in row]
        bars = [
            [max(0.0, mean - low) for mean, (low, _) in zip(means, ends, strict=True)],
            [max(0.0, high - mean) for mean, (_, high) in zip(means, ends, strict=True)],
        ]
        axes.plot(x, means, color=color, linewidth=0.8, alpha=0.6)
        axes.errorbar(
            x, means, bars, fmt=mark, color=color, markersize=5, linewidth=1.2, capsize=2, label=MODELS[model]
        )
    positive = [entry.mean for entry in entries if entry.mean]
    if not positive:
        axes.text(0.5, 0.5, "nothing could be measured", transform=axes.transAxes, ha="center", color=_GRAY)
    elif entries[0].table.digits is None and max(positive) > _LOG_RATIO * min(positive):
        axes.set_yscale("log")
    several = any(entry.shown for entry in entries)
    what = "mean and 95 % interval over seeds" if several else "one seed, hence no interval"
    axes.set_title(f"measured here: {what}", fontsize="small")


def _draw_paper(axes: "Axes", entries: Sequence[Entry]) -> None:
    for model in dict.fromkeys(entry.model for entry in entries):
        color, mark = _STYLES[model]
        row = [entry for entry in entries if entry.model == model and entry.paper]
        x, y = [entry.size for entry in row], [float(entry.paper) for entry in row]
        axes.plot(x, y, f"--{mark}", color=color, alpha=0.45, markersize=5, markerfacecolor="none", linewidth=1)
    axes.set_facecolor("#f2f2f2")
    axes.set_title(LABEL, fontsize="small", color=_GRAY)
    axes.tick_params(colors=_GRAY)
    if entries[0].table.unit != "%":
        axes.set_ylabel(f"{entries[0].table.unit}, on a scale of its own", color=_GRAY, fontsize="small")


def _drawn(entries: Sequence[Entry]) -> Iterator[float]:
    """Yield the largest values that are drawn, the paper's among them."""
    for entry in entries:
        if entry.mean is not None:
            yield entry.shown[1] if entry.shown else entry.mean
        if entry.paper:
            yield float(entry.paper)


def _spread(sizes: Sequence[int]) -> float:
    """Return how far the points of one size may spread, so that they stay apart from the next and near their tick."""
    return min([(sizes[-1] - sizes[0]) / 5, *(b - a for a, b in pairwise(sizes))]) or sizes[0]
