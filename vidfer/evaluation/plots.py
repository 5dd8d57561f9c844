"""Figures of an evaluation, as PNG and SVG at a path without suffix, in the colours of Okabe, Ito (2008)."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from vidfer.evaluation.robustness import CORRUPTIONS
from vidfer.metrics.calibration import Coverage
from vidfer.metrics.classification import Reliability, wilson_interval
from vidfer.plots.figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"
_GRAY: Final = "#666666"


def draw_reliability(diagrams: Mapping[str, Reliability], place: Path) -> None:
    """Draw accuracy over confidence with the counts of the bins below, a column for each diagram by its title."""
    figure = new_figure(4.2 * len(diagrams), 5.0)
    grid = figure.subplots(2, len(diagrams), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1))
    for (title, each), (upper, lower) in zip(diagrams.items(), grid.T, strict=True):
        confidence, count, right = (values[each.count > 0] for values in (each.confidence, each.count, each.right))
        ends = [wilson_interval(hits, n) for hits, n in zip(right.tolist(), count.tolist(), strict=True)]
        upper.plot((0, 1), (0, 1), "--", color=_GRAY, linewidth=1, label="perfect calibration")
        draw_points(upper, confidence, right / count, ends, "accuracy, 95 % interval", _BLUE)
        upper.set(title=f"{title}: ECE {100 * each.ece:.1f} %, n = {count.sum()}", xlim=(0, 1), ylim=(0, 1))
        width = each.edges[1] - each.edges[0]
        bars = lower.bar(each.edges[:-1], each.count, width, align="edge", color=_BLUE, edgecolor="white")
        lower.bar_label(bars, [str(n) if n else "" for n in each.count], fontsize=6, padding=1)
        lower.set(xlabel="confidence: mean of a bin")
    grid[1, 0].set_ylim(0, 1.25 * max(each.count.max() for each in diagrams.values()))  # room for the numbers
    grid[0, 0].set_ylabel("accuracy (share)")
    grid[0, 0].legend(loc="upper left", frameon=False, fontsize="small")
    grid[1, 0].set_ylabel("predictions")
    save_figure(figure, place)


def draw_coverage(curve: Sequence[Coverage], place: Path, title: str) -> None:
    """Draw accuracy over the share of images kept, with the thresholds beside the points."""
    figure = new_figure(5.6, 4.0)
    axes = figure.subplots()
    filled = [each for each in curve if each.n]
    _, _, share, accuracy, low, high = np.array([astuple(each) for each in filled], float).T
    axes.fill_between(share, low, high, color=_BLUE, alpha=0.2, linewidth=0, label="95 % interval")
    axes.plot(share, accuracy, "o-", color=_BLUE, markersize=3, linewidth=1.4)
    before = float("inf")
    for x, y, each in zip(share, accuracy, filled, strict=True):
        if abs(x - before) >= 0.06:
            before = x
            axes.annotate(f"{each.threshold:g}", (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=7)
    axes.set(xlim=(0, 1.03), ylim=(low.min() - 0.05, 1.02))
    axes.set_title(f"{title}, n = {max(each.n for each in filled)}", fontsize="medium")
    axes.set(xlabel="kept (share of images)", ylabel="accuracy of these (share)")
    note = "numbers: smallest confidence kept"
    axes.legend(loc="lower left", frameon=False, fontsize="small", title=note, title_fontsize="small")
    axes.grid(alpha=0.3)
    save_figure(figure, place)


def draw_robustness(rows: Sequence[Mapping[str, Any]], place: Path, title: str) -> None:
    """Draw accuracy over severity with that on clean images, a panel for each corruption, from the rows of `robustness.csv`."""
    names = list(dict.fromkeys(row["corruption"] for row in rows[1:]))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure, panels = new_panels(len(names), columns, max(4.4, 3.0 * columns), 2.6 * lines + 0.9, sharey=True)
    for name, axes in zip(names, panels, strict=True):
        _panel(axes, [row for row in rows if row["corruption"] == name], rows[0])
        axes.set(title=CORRUPTIONS[name].title, xlabel=CORRUPTIONS[name].unit, ylim=(0, 1))
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy (share)")
    entries = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, place)


def _panel(axes: "Axes", rows: Sequence[Mapping[str, Any]], clean: Mapping[str, Any]) -> None:
    levels = list(dict.fromkeys(row["severity"] for row in rows))
    axes.axhline(clean["accuracy"], linestyle="--", linewidth=1, color=_GRAY, label="clean")
    axes.axhspan(clean["low"], clean["high"], color=_GRAY, alpha=0.15, linewidth=0)
    for denoised, label, color, mark, shift in (
        (False, "corrupted, 95 % interval", _ORANGE, "o", 0.0),
        (True, "the same, denoised", _BLUE, "s", 0.12),
    ):
        series = [row for row in rows if row["denoised"] is denoised]
        if series:
            x = [levels.index(row["severity"]) + shift for row in series]
            shares = [row["accuracy"] for row in series]
            axes.plot(x, shares, color=color, linewidth=1)
            draw_points(axes, x, shares, [(row["low"], row["high"]) for row in series], label, color, mark)
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axes.grid(alpha=0.3)


def draw_points(
    axes: "Axes", x: ArrayLike, shares: ArrayLike, ends: ArrayLike, label: str, color: str, mark: str = "o"
) -> None:
    """Draw points with their intervals, the ends `(low, high)` of each."""
    low, high = np.transpose(ends)
    # an end equals its share but for rounding where all, or none, are right
    spread = np.maximum(0, [np.subtract(shares, low), np.subtract(high, shares)])
    axes.errorbar(x, shares, spread, markersize=4, linewidth=1, capsize=2, fmt=mark, color=color, label=label)


def new_panels(
    count: int, columns: int, width: float, height: float, *, sharey: bool = False
) -> "tuple[Figure, list[Axes]]":
    """Begin a figure of so many panels, row by row."""
    figure = new_figure(width, height)
    panels = list(figure.subplots(-(-count // columns), columns, sharey=sharey, squeeze=False).flat)
    for spare in panels[count:]:
        spare.set_axis_off()
    return figure, panels[:count]


def reliability_svg(title: str, record: Mapping[str, Any]) -> str:
    """Draw a reliability diagram of a `calibration_record` as an SVG element that takes the colour of the text around it."""
    from matplotlib import rc_context

    ink = "#010203"  # stands for the text's colour
    look: Any = {
        **{"svg.hashsalt": title, "svg.fonttype": "none", "font.size": 9, "axes.facecolor": "none"},
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
    }
    with rc_context(look):
        figure = new_figure(3.2, 3.0)
        axes = figure.subplots()
        bins = [each for each in zip(record["confidence"], record["right"], record["count"], strict=True) if each[2]]
        confidence, right, count = zip(*bins, strict=True)
        axes.plot((0, 1), (0, 1), "--", color=_GRAY, linewidth=1)
        ends = [wilson_interval(hits, n) for hits, n in zip(right, count, strict=True)]
        draw_points(axes, confidence, np.divide(right, count), ends, "", _BLUE)
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence: mean of a bin", ylabel="accuracy, 95 % interval")
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :].strip().replace(ink, "currentColor")
