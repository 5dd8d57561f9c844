"""Points with their intervals."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_points(
    axes: "Axes", x: ArrayLike, shares: ArrayLike, ends: ArrayLike, label: str, color: str, mark: str = "o"
) -> None:
    """Draw points with their intervals, the ends `(low, high)` of each."""
    low, high = np.transpose(ends)
    # an end equals its share but for rounding where all, or none, are right
    spread = np.maximum(0, [np.subtract(shares, low), np.subtract(high, shares)])
    axes.errorbar(x, shares, spread, markersize=4, linewidth=1, capsize=2, fmt=mark, color=color, label=label)
