"""Figures without pyplot, which would keep them, and their files."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.pipeline.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """Begin a figure, its sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", place: Path) -> None:
    """Write a figure as PNG and as SVG, the same bytes in every run."""
    from matplotlib import rc_context

    for kind, how in (("png", {"dpi": 150}), ("svg", {"metadata": {"Date": None}})):
        with rc_context({"svg.hashsalt": "vidfer"}), replacing(place.with_name(f"{place.name}.{kind}")) as part:
            figure.savefig(part, format=kind, **how)
