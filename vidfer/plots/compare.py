"""A comparison as a figure: dots with their intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vidfer.plots.figure import GRAY, one_line, save_figure, styled
from vidfer.results.compare import Comparison
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
"""Of Okabe and Ito (2008), which people with any colour vision tell apart; marks differ, too."""

MARKS: Final = "osD^vPX*"

_PAIRS: Final = 3
"""Pairs of conditions whose differences fit beside the means."""


def draw_comparison(found: Comparison, place: Path) -> None:
    """Draw means of the conditions and, of up to three pairs, differences, as PNG and SVG at a path without suffix."""
    pairs = [pair for _, pair in found.differences.groupby(["first", "second"], sort=False)]
    pairs = pairs if len(pairs) <= _PAIRS else []
    with styled("double", 3.9) as figure:
        axes = figure.subplots(1, 1 + len(pairs), sharey=True, squeeze=False, width_ratios=[1.6, *[1] * len(pairs)])[0]
        conditions = [rows for _, rows in found.means.groupby("condition", sort=False)]
        for at, rows in enumerate(conditions):
            shift = 0.62 * ((at + 0.5) / len(conditions) - 0.5)
            label = f"{one_line(rows['condition'].iloc[0], 30)} (n = {rows['n'].iloc[0]})"
            _draw(axes[0], rows, "mean", shift, COLOURS[at], MARKS[at], label)
        axes[0].set_xlim(left=-0.02 * axes[0].get_xlim()[1])  # marks at 0 are whole
        axes[0].set(xlabel=f"{_quantity(found)}, 95 % interval")
        axes[0].set_yticks(range(len(EMOTIONS)), EMOTIONS)
        axes[0].invert_yaxis()
        for panel, rows in zip(axes[1:], pairs, strict=True):
            _draw(panel, rows, "difference", 0, "#333333", "o", "")
            panel.axvline(0, color=GRAY, linewidth=1, linestyle="--")
            first, second = (one_line(rows[name].iloc[0], 50 // len(pairs)) for name in ("first", "second"))
            panel.set(xlabel="difference, 95 % interval", title=f"{first}\nminus {second}")
        _alike(axes[1:], pairs)
        for panel in axes:
            panel.grid(alpha=0.3, axis="x")
            panel.tick_params(axis="y", length=0)
            for at in range(len(EMOTIONS) - 1):
                panel.axhline(at + 0.5, color="#DDDDDD", linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=min(3, len(conditions)), frameon=False)
        figure.suptitle(one_line(f"{found.by}: displayed expressions", 90))
    save_figure(figure, place)


def _alike(panels: "Sequence[Axes]", pairs: "Sequence[pd.DataFrame]") -> None:
    """Give panels of differences one scale, so that they can be compared."""
    values = [rows[["low", "high", "difference"]].to_numpy(float) for rows in pairs]
    ends = np.abs(np.concatenate([[[0.0] * 3], *values]))
    reach = float(np.nanmax(ends)) or 1.0
    for panel in panels:
        panel.set_xlim(-1.1 * reach, 1.1 * reach)


def _draw(axes: "Axes", rows: "pd.DataFrame", what: str, shift: float, color: str, mark: str, label: str) -> None:
    value, low, high = rows[[what, "low", "high"]].to_numpy(float).T
    reach = np.nan_to_num(np.maximum(0, [value - low, high - value]))  # none of a single participant
    axes.errorbar(
        value,
        np.arange(len(value)) + shift,
        xerr=reach,
        fmt=mark,
        color=color,
        markersize=4,
        linewidth=1.2,
        label=label,
    )


def _quantity(found: Comparison) -> str:
    return {"share-of-time": "share of time", "baseline": "probability against the reference"}.get(
        found.measure, "mean probability"
    )
