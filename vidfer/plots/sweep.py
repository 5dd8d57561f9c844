"""Figures of a sweep: its trials, and how much each parameter matters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from vidfer.plots.figure import BLUE, GRAY, ORANGE, Width, one_line, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(
    numbers: Sequence[int], scores: Sequence[float], metric: str, title: str, *, maximize: bool, width: Width = "single"
) -> "Figure":
    """Draw the score of each finished trial by its number, and the best so far."""
    order = np.argsort(numbers)
    x, y = np.asarray(numbers)[order], np.asarray(scores)[order]
    best = (np.maximum if maximize else np.minimum).accumulate(y)
    with styled(width, 2.6) as figure:
        axes = figure.subplots()
        axes.step(x, best, where="post", color=ORANGE, linewidth=1.2, label="best so far")
        axes.plot(x, y, "o", markersize=4, color=BLUE, label="trial")
        axes.set(xlabel="trial", ylabel=f"{metric}, held-out training data")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(y=0.1)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        figure.suptitle(one_line(title, 56))
    return figure


def plot_importances(shares: Mapping[str, float], metric: str, title: str, *, width: Width = "single") -> "Figure":
    """Draw the share, in [0, 1], of the metric's variance that each parameter explains by itself, the largest above."""
    names = sorted(shares, key=shares.__getitem__)
    values = [shares[name] for name in names]
    with styled(width, 1.1 + 0.28 * len(names)) as figure:
        axes = figure.subplots()
        bars = axes.barh(range(len(names)), values, 0.6, color=BLUE)
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=2, fontsize=7, color=GRAY)
        axes.set_yticks(range(len(names)), [one_line(name, 24) for name in names])
        axes.set(xlim=(0, 1.1), xlabel=f"share of the variance of {metric}")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.tick_params(axis="y", length=0)
        figure.suptitle(one_line(title, 56))
    return figure
