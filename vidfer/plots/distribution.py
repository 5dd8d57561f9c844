"""How displayed expressions are distributed over clips, persons or conditions, as stacked bars."""

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.patches import Patch

from vidfer.plots.figure import GRAY, WIDTHS, Width, ink_on, one_line, styled
from vidfer.results.colours import COLOURS
from vidfer.results.compare_units import MEANINGS, Measure
from vidfer.results.distribution import Distribution

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 60
"""Bars that fit a page."""

_SMALLEST: Final = {"single": 0.14, "double": 0.06}
"""Shares that are wide enough for their number."""


def plot_distribution(
    found: Distribution, measure: Measure = "probability", title: str = "", *, width: Width = "double"
) -> "Figure":
    """Draw a bar for each group, stacked by expression, with the numbers in %, and the mean of all groups below.

    Args:
        found: Of which the first `MOST` groups are drawn.
        measure: What was averaged.
        title: Above all; shortened where it is too long.
        width: Of one or two columns of a journal.
    """
    rows = found.groups.head(MOST)
    names = list(COLOURS)
    shares = rows[names].to_numpy(float)
    labels = list(rows["label"])
    room = 18 if width == "single" else 34
    texts = [one_line(str(label), room) for label in labels]
    counts = [str(n) for n in rows["n"]]
    if len(found.groups) > 1:
        shares = np.vstack([shares, found.groups[names].to_numpy(float).mean(0)])
        texts, counts = [*texts, "mean of all"], [*counts, ""]
    y = np.arange(len(texts), dtype=float)
    y[len(rows) :] += 0.4
    step = 0.2 if len(rows) <= MOST / 2 else 0.135
    with styled(width, 1.35 + step * len(texts)) as figure:
        axes = figure.subplots()
        left = np.zeros(len(texts))
        for name, column in zip(names, shares.T, strict=True):
            axes.barh(y, column, 0.8, left, color=COLOURS[name], edgecolor="white", linewidth=0.4)
            for at in np.flatnonzero(column >= _SMALLEST[width]):
                place = left[at] + column[at] / 2, y[at]
                size = 6 if step > 0.15 else 5
                axes.text(
                    *place,
                    f"{100 * column[at]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=size,
                    color=ink_on(COLOURS[name]),
                )
            left += column
        axes.set(xlim=(0, 1), ylim=(y[-1] + 0.6, -0.6), xlabel=_what(measure, width))
        axes.set_yticks(y, texts, fontsize=7 if step > 0.15 else 6)
        axes.set_xticks(np.linspace(0, 1, 6), [f"{percent} %" for percent in range(0, 101, 20)])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _count(axes, found, y, counts)
        more = f" ({MOST} of {len(found.groups)})" if len(found.groups) > MOST else ""
        figure.suptitle(one_line(title, int(WIDTHS[width] * 13) - len(more)) + more)
        keys = [Patch(facecolor=COLOURS[name], edgecolor=GRAY, linewidth=0.3, label=name) for name in names]
        columns = 4 if width == "single" else 7
        figure.legend(
            handles=keys, loc="outside lower center", ncols=columns, frameon=False, handlelength=1.2, columnspacing=1.0
        )
    return figure


def _count(axes: "Axes", found: Distribution, y: "npt.NDArray[np.floating]", counts: list[str]) -> None:
    """Write how many units each bar averages at its right."""
    if found.unit == "person" and found.by == "clip" and set(counts) <= {"1", ""}:
        return
    for place, count in zip(y, counts, strict=True):
        axes.text(1.01, place, count, transform=axes.get_yaxis_transform(), va="center", fontsize=6, color=GRAY)
    plural = "people" if found.unit == "person" else f"{found.unit}s"
    axes.text(1.01, 1.0, f"n\n{plural}", transform=axes.transAxes, va="bottom", fontsize=6, color=GRAY)


def _what(measure: Measure, width: Width) -> str:
    """Name what was averaged, in a line or two."""
    text = MEANINGS[measure]
    if width == "single" and len(text) > 48:
        head, _, tail = text.partition(" over " if " over " in text else ", ")
        return f"{head}\nover {tail}"
    return text
