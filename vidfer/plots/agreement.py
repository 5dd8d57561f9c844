"""Predictions of a run against the truth: a confusion matrix, and a reliability diagram."""

from textwrap import wrap
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from vidfer.metrics.classification import Reliability, reliability, wilson_interval
from vidfer.plots.figure import BLUE, GRAY, WIDTHS, Width, ink_on, one_line, styled
from vidfer.plots.points import draw_points
from vidfer.results.truth import UNCERTAIN, Judged
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS: Final = 10
"""Bins of equal width of the confidence of clips, which are few."""


def confusion(judged: Judged) -> "npt.NDArray[np.int64]":
    """Count truths `(7)` by answers: `EMOTIONS`, and `uncertain` as an eighth column where there is any."""
    columns = [*EMOTIONS, UNCERTAIN] if UNCERTAIN in judged.answers else list(EMOTIONS)
    counts = np.zeros((len(EMOTIONS), len(columns)), np.int64)
    np.add.at(counts, (judged.target, np.array([columns.index(answer) for answer in judged.answers])), 1)
    return counts


def plot_confusion(judged: Judged, title: str = "", *, width: Width = "single") -> "Figure":
    """Draw truths as rows and answers as columns: counts, on the share of each truth's clips as colour.

    Above stand n, the accuracy with its Wilson 95 % interval, and what is left out. `uncertain` is no right answer.
    """
    counts = confusion(judged)
    support = counts.sum(1)
    shares = counts / np.maximum(support, 1)[:, None]
    large = width == "double"
    with styled(width, 4.9 if large else 3.9) as figure:
        axes = figure.subplots()
        blues = colormaps["Blues"]
        edges = [np.arange(size + 1) - 0.5 for size in counts.shape]
        known = np.where(support[:, None] > 0, shares, np.nan)
        axes.pcolormesh(edges[1], edges[0], known, cmap=blues, vmin=0, vmax=1)  # a vector in SVG, as no image is
        axes.invert_yaxis()
        axes.set_facecolor("#EEEEEE")
        for (row, column), count in np.ndenumerate(counts):
            if support[row]:
                color = ink_on(to_hex(blues(shares[row, column]))) if count else GRAY
                text = f"{count}\n{100 * shares[row, column]:.0f} %" if large and count else f"{count}"
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
            elif not column:
                place = (counts.shape[1] - 1) / 2, row
                axes.text(*place, "no clip", ha="center", va="center", fontsize=6.5, color="#555555")
        columns = [*EMOTIONS, UNCERTAIN][: counts.shape[1]]
        axes.set_xticks(range(len(columns)), columns, rotation=0 if large else 45, ha="center" if large else "right")
        axes.set_yticks(range(len(EMOTIONS)), [f"{name} ({n})" for name, n in zip(EMOTIONS, support, strict=True)])
        axes.set(xlabel="answer; colour: share of the row", ylabel="truth (n)")
        axes.tick_params(length=0, pad=2)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        right = int(counts[range(len(EMOTIONS)), range(len(EMOTIONS))].sum())
        _title(figure, [title, _accuracy(right, len(judged.target)), judged.left_out], width)
    return figure


def plot_reliability(judged: Judged, title: str = "", *, width: Width = "single") -> "Figure":
    """Draw accuracy over confidence, the probability of the most probable expression, and the counts of the bins below.

    The expected calibration error (ECE) is over `BINS` bins. An answer `uncertain` counts as the most probable expression.
    """
    found = reliability(judged.probabilities, judged.target, BINS)
    with styled(width, 4.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        draw_bins(upper, found)
        draw_counts(lower, found)
        upper.set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="accuracy (share)")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        lower.set(ylim=(0, 1.3 * found.count.max()), ylabel="clips", xlabel="confidence, mean of a bin")
        accuracy = _accuracy(int(found.right.sum()), int(found.count.sum()))
        error = f"ECE {100 * found.ece:.1f} % ({BINS} bins)"
        lines = [f"{accuracy}; {error}"] if width == "double" else [accuracy, error]
        _title(figure, [title, *lines, judged.left_out], width)
    return figure


def draw_bins(axes: "Axes", found: Reliability) -> None:
    """Draw the accuracy of each bin with its Wilson 95 % interval over the mean confidence, and the diagonal."""
    confidence, count, right = (values[found.count > 0] for values in (found.confidence, found.count, found.right))
    ends = [wilson_interval(hits, n) for hits, n in zip(right.tolist(), count.tolist(), strict=True)]
    axes.plot((0, 1), (0, 1), "--", color=GRAY, linewidth=1, label="perfect calibration")
    draw_points(axes, confidence, right / count, ends, "accuracy, 95 % interval", BLUE)


def draw_counts(axes: "Axes", found: Reliability) -> None:
    """Draw how many predictions each bin has."""
    width = found.edges[1] - found.edges[0]
    bars = axes.bar(found.edges[:-1], found.count, width, align="edge", color=BLUE, edgecolor="white")
    axes.bar_label(bars, [str(n) if n else "" for n in found.count], fontsize=6, padding=1)


def _accuracy(right: int, n: int) -> str:
    low, high = wilson_interval(right, n)
    clips = "clip" if n == 1 else "clips"
    return f"accuracy {right / n:.2f} (95 % interval {low:.2f}-{high:.2f}), n = {n} {clips}"


def _title(figure: "Figure", lines: list[str], width: Width) -> None:
    """Write lines above all, the first shortened and the others wrapped to the figure's width."""
    room = int(WIDTHS[width] * 16)
    texts = [one_line(lines[0], room), *(part for line in lines[1:] for part in wrap(line, room))]
    figure.suptitle("\n".join(filter(None, texts)), fontsize=7.5 if width == "double" else 7)
