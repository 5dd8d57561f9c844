"""Figures of an evaluation, as PNG and SVG at a path without suffix, in the colours of Okabe, Ito (2008)."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidfer.evaluation.robustness import CORRUPTIONS
from vidfer.metrics.calibration import Coverage
from vidfer.metrics.classification import Reliability
from vidfer.plots.agreement import draw_bins, draw_counts
from vidfer.plots.figure import BLUE, GRAY, ORANGE, new_figure, new_panels, save_figure
from vidfer.plots.points import draw_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_reliability(diagrams: Mapping[str, Reliability], place: Path) -> None:
    """Draw accuracy over confidence with the counts of the bins below, a column for each diagram by its title."""
    figure = new_figure(4.2 * len(diagrams), 5.0)
    grid = figure.subplots(2, len(diagrams), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1))
    for (title, each), (upper, lower) in zip(diagrams.items(), grid.T, strict=True):
        draw_bins(upper, each)
        upper.set(title=f"{title}: ECE {100 * each.ece:.1f} %, n = {each.count.sum()}", xlim=(0, 1), ylim=(0, 1))
        draw_counts(lower, each)
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
    axes.fill_between(share, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 % interval")
    axes.plot(share, accuracy, "o-", color=BLUE, markersize=3, linewidth=1.4)
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
    axes.axhline(clean["accuracy"], linestyle="--", linewidth=1, color=GRAY, label="clean")
    axes.axhspan(clean["low"], clean["high"], color=GRAY, alpha=0.15, linewidth=0)
    for denoised, label, color, mark, shift in (
        (False, "corrupted, 95 % interval", ORANGE, "o", 0.0),
        (True, "the same, denoised", BLUE, "s", 0.12),
    ):
        series = [row for row in rows if row["denoised"] is denoised]
        if series:
            x = [levels.index(row["severity"]) + shift for row in series]
            shares = [row["accuracy"] for row in series]
            axes.plot(x, shares, color=color, linewidth=1)
            draw_points(axes, x, shares, [(row["low"], row["high"]) for row in series], label, color, mark)
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axes.grid(alpha=0.3)


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
        counts = (np.array(record[name]) for name in ("count", "right", "confidence"))
        draw_bins(axes, Reliability(np.linspace(0, 1, record["bins"] + 1), *counts))
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence: mean of a bin", ylabel="accuracy, 95 % interval")
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :].strip().replace(ink, "currentColor")
