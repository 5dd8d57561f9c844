"""The paper's figures 5 to 10, rerun: measured here on the left, the paper's values on the right; colours of Okabe and Ito."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from vidfer.paper.tables import LABEL, MODELS, Table
from vidfer.plots.figure import GRAY, new_figure, save_figure
from vidfer.plots.points import draw_points

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_STYLES: Final[dict[Any, tuple[str, str]]] = dict(zip(MODELS, zip(_COLORS, "os^DvPX", strict=True), strict=True))
_LOG_RATIO: Final = 20  # values further apart than this are drawn on a logarithmic axis
_HALF: Final = 60  # where an axis of shares ends, in %, if nothing lies above


def draw_table(
    table: Table, places: "pd.DataFrame", path: Path, title: str, reference: tuple[float, str] | None = None
) -> None:
    """Draw the places of a table over the number of samples, beside the paper's figures, as `path` with `.png` and `.svg`.

    The panels share an axis only where both are shares: elsewhere the paper's values lie far from what can be measured.
    `reference` is a value to compare with, in the table's unit, and what it is.
    """
    beside = any(places["paper"])
    figure = new_figure(9.6 if beside else 6.4, 4.3)
    ratios = (3, 2) if beside else (1,)
    panels = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
    _draw_ours(panels[0], table, places)
    if reference:
        panels[0].axhline(reference[0], linestyle=":", color=GRAY, linewidth=1.2, label=reference[1])
    if beside:
        _draw_paper(panels[1], table, places)
    sizes = sorted(set(places["size"]))
    margin = 0.5 * _spread(sizes)
    for axes in panels:
        axes.set_xticks(sizes)
        axes.set(xlim=(sizes[0] - margin, sizes[-1] + margin), xlabel=f"number of {table.samples}")
        axes.grid(alpha=0.3)
    if table.unit == "%":
        drawn = [*places["mean"].dropna(), *places["high"].dropna(), *map(float, filter(None, places["paper"]))]
        for axes in panels:
            axes.set_ylim(0, 100 if max(drawn, default=100) > _HALF else _HALF)
    panels[0].set_ylabel(f"{table.axis or table.title} ({table.unit})")
    handles = zip(*panels[0].get_legend_handles_labels(), strict=True)
    if found := sorted(handles, key=lambda item: item[1] not in MODELS.values()):
        columns = 7 if beside else 4  # as the width allows
        figure.legend(
            *zip(*found, strict=True), loc="outside lower center", ncols=columns, frameon=False, fontsize="small"
        )
    wrapped = [line for part in title.splitlines() for line in wrap(part, 118 if beside else 84)]
    figure.suptitle("\n".join(wrapped), fontsize="medium")
    save_figure(figure, path)


def _draw_ours(axes: "Axes", table: Table, places: "pd.DataFrame") -> None:
    width = _spread(sorted(set(places["size"])))
    models = list(dict.fromkeys(places["model"]))
    for at, model in enumerate(models):
        color, mark = _STYLES[model]
        row = places[(places["model"] == model) & places["mean"].notna()]
        means, x = row["mean"], row["size"] + width * 0.09 * (at - (len(models) - 1) / 2)
        axes.plot(x, means, color=color, linewidth=0.8, alpha=0.6)
        if len(row):
            ends = row[["low", "high"]].clip(table.low, table.high).apply(lambda end, mean=means: end.fillna(mean))
            draw_points(
                axes, x.tolist(), means.tolist(), ends.to_numpy().tolist(), mark=mark, color=color, label=MODELS[model]
            )
    positive = places["mean"][places["mean"] > 0]
    if not len(positive):
        axes.text(0.5, 0.5, "nothing could be measured", transform=axes.transAxes, ha="center", color=GRAY)
    elif table.digits is None:
        if positive.max() > _LOG_RATIO * positive.min():
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)  # times that differ by a thousandth look equal
    several = places["low"].notna().any()
    what = "mean and 95 % interval over seeds" if several else "one seed, hence no interval"
    axes.set_title(f"measured here: {what}", fontsize="small")


def _draw_paper(axes: "Axes", table: Table, places: "pd.DataFrame") -> None:
    for model, row in places[places["paper"] != ""].groupby("model", sort=False):
        color, mark = _STYLES[model]
        y = row["paper"].astype(float)
        axes.plot(
            row["size"], y, f"--{mark}", color=color, alpha=0.45, markersize=5, markerfacecolor="none", linewidth=1
        )
    axes.set_facecolor("#f2f2f2")
    axes.set_title(LABEL, fontsize="small", color=GRAY)
    axes.tick_params(colors=GRAY)
    if table.unit != "%":
        axes.set_ylabel(f"{table.unit}, on a scale of its own", color=GRAY, fontsize="small")


def _spread(sizes: Sequence[int]) -> float:
    """Return how far the points of one size may spread, so that they stay apart from the next and near their tick."""
    return min([(sizes[-1] - sizes[0]) / 5, *(b - a for a, b in pairwise(sizes))]) or sizes[0]
