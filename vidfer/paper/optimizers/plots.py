"""Figures of the optimisers' comparison, each as PNG and as SVG, in colours that colour-blind people tell apart.

References:
    Okabe, Ito: Color universal design. 2008: the colours.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vidfer.evaluation.plots import save_figure
from vidfer.paper.optimizers.descents import TOLERANCE, Outcome
from vidfer.paper.optimizers.surfaces import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vidfer.paper.optimizers.training import Curves

STYLES: Final = {
    "sgd": ("SGD", "#000000", (0, (4, 1.5))),
    "sgdma": ("SGDMA", "#D55E00", "-"),
    "adagrad": ("AdaGrad", "#009E73", (0, (6, 1.5, 1, 1.5))),
    "rmsprop": ("RMSProp", "#CC79A7", (0, (1.5, 1))),
    "adam": ("Adam", "#0072B2", "-"),
}
"""Name, colour and line of each optimiser."""

_FLOOR = 1e-6  # heights below it look the same
_COLUMNS = 3


def draw_paths(outcomes: Mapping[str, Sequence[Outcome]], surfaces: Mapping[str, Surface], place: Path) -> None:
    """Draw every optimiser's path from the surface's own start over the surface's contours, a panel for each surface.

    Args:
        outcomes: For each surface one outcome an optimiser.
        surfaces: The surfaces by name.
        place: Path without suffix; `.png` and `.svg` are written.
    """
    figure = _figure(13.5, 8.6)
    rows = -(-len(outcomes) // _COLUMNS)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False)
    for spare in panels.flat[len(outcomes) :]:
        spare.set_axis_off()
    for (name, found), axes in zip(outcomes.items(), panels.flat, strict=False):
        surface = surfaces[name]
        _contours(axes, surface)
        for outcome in found:
            label, color, line = STYLES[outcome.optimizer]
            x, y = _drawable(outcome.path, surface)
            axes.plot(x, y, color=color, linestyle=line, linewidth=1.5, label=f"{label}, rate {outcome.lr:g}")
            axes.plot(x[-1:], y[-1:], "o", color=color, markersize=5, markeredgecolor="white", zorder=6)
        _marks(axes, surface)
        axes.set_title(f"{surface.title}\n{surface.formula}", fontsize="small")
        axes.set(xlabel="x", ylabel="y", xlim=surface.window[:2], ylim=surface.window[2:])
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
            ncols=3,
            fontsize=7,
            frameon=False,
            columnspacing=1.0,
            handlelength=2.2,
        )
    _legend_of_marks(figure, panels.flat[0])
    steps = len(next(iter(outcomes.values()))[0].path) - 1
    setting = next(iter(outcomes.values()))[0].setting
    figure.suptitle(
        f"{steps} steps from one start, each optimiser at "
        + ("the rate tuned for it on other starts" if setting == "tuned" else "the same rate")
        + "; contours: log10 of the height above the least value",
        fontsize="medium",
    )
    save_figure(figure, place)


def draw_descent(outcomes: Mapping[str, Sequence[Outcome]], surfaces: Mapping[str, Surface], place: Path) -> None:
    """Draw the height above the least value over steps, the median over all starts, a panel for each surface.

    Args:
        outcomes: For each surface one outcome an optimiser.
        surfaces: The surfaces by name.
        place: Path without suffix; `.png` and `.svg` are written.
    """
    figure = _figure(13.5, 8.2)
    panels = figure.subplots(-(-len(outcomes) // _COLUMNS), _COLUMNS, squeeze=False)
    for spare in panels.flat[len(outcomes) :]:
        spare.set_axis_off()
    for (name, found), axes in zip(outcomes.items(), panels.flat, strict=False):
        top = 100 * max(float(outcome.gaps[0]) for outcome in found)
        for outcome in found:
            label, color, line = STYLES[outcome.optimizer]
            height = outcome.gaps.numpy()
            height = np.where(height <= 1e3 * top, np.maximum(height, _FLOOR), np.nan)
            arrived = f"{label} {outcome.lr:g}: {outcome.reached}/{outcome.starts}"
            axes.plot(np.arange(len(height)), height, color=color, linestyle=line, linewidth=1.5, label=arrived)
        axes.set(xscale="symlog", yscale="log", xlim=(0, None), ylim=(_FLOOR / 2, top))
        axes.set_title(surfaces[name].title, fontsize="small")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=7, frameon=False)
        axes.axhline(TOLERANCE, color="#666666", linewidth=0.8, linestyle=":")
        axes.grid(alpha=0.3)
        axes.set_xlabel("steps")
    for axes in panels[:, 0]:
        axes.set_ylabel("height above the least value")
    figure.suptitle(
        "Median over the starts; beside each optimiser the rate tuned for it on other starts, and how many starts arrived "
        "(below the dotted line)",
        fontsize="medium",
    )
    save_figure(figure, place)


def draw_training(curves: Sequence["Curves"], place: Path, title: str) -> None:
    """Draw training loss, and loss and accuracy on people held out, over epochs: means and 95 % intervals over seeds.

    Args:
        curves: One for each optimiser.
        place: Path without suffix; `.png` and `.svg` are written.
        title: The figure's.
    """
    figure = _figure(13.5, 4.6)
    panels = figure.subplots(1, 3, squeeze=False)[0]
    for axes, what, label in zip(
        panels,
        ("train_loss", "val_loss", "val_acc"),
        ("training loss", "loss on people held out", "accuracy on people held out (share)"),
        strict=True,
    ):
        for each in curves:
            name, color, line = STYLES[each.optimizer]
            mean, half = each.over_seeds(what)
            epochs = np.arange(1, len(mean) + 1)
            axes.plot(epochs, mean, color=color, linestyle=line, linewidth=1.6, label=f"{name}, rate {each.lr:g}")
            axes.fill_between(epochs, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)
        axes.set(xlabel="epoch", ylabel=label, xlim=(1, None))
        axes.grid(alpha=0.3)
    panels[2].legend(loc="lower right", fontsize="small", framealpha=0.8)
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, place)


def _contours(axes: "Axes", surface: Surface) -> None:
    x0, x1, y0, y1 = surface.window
    x, y = np.meshgrid(np.linspace(x0, x1, 401), np.linspace(y0, y1, 401))
    gap = surface.gap(torch.from_numpy(np.stack([x, y], axis=-1))).numpy()
    height = np.log10(np.maximum(gap, 1e-3))
    levels = np.linspace(max(-2.0, float(height.min())), float(height.max()), 19)
    filled = axes.contourf(x, y, height, levels, cmap="Greys_r", alpha=0.55, extend="min")
    filled.set_rasterized(True)  # a picture in the SVG, which would else take megabytes
    axes.contour(x, y, height, levels, colors="white", linewidths=0.5, alpha=0.8, linestyles="solid")
    ticks = np.arange(np.ceil(levels[0]), np.floor(levels[-1]) + 1)
    axes.figure.colorbar(filled, ax=axes, pad=0.02, aspect=30, ticks=ticks)


def _drawable(path: torch.Tensor, surface: Surface) -> tuple["np.ndarray", "np.ndarray"]:
    """Cut a path where it leaves for good: far points, drawn to scale, are of no use to a renderer."""
    x0, x1, y0, y1 = surface.window
    points = path.numpy()
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    inside = (np.abs(points - centre) <= 20 * half).all(axis=1)
    end = len(points) if inside.all() else int(np.argmin(inside))
    return points[:end, 0], points[:end, 1]


def _marks(axes: "Axes", surface: Surface) -> None:
    for points, shape, size, color in (
        (surface.saddles, "X", 8, "white"),
        (surface.local, "v", 9, "#56B4E9"),
        (surface.minima, "*", 15, "#F0E442"),
        ((surface.start,), "s", 8, "white"),
    ):
        for x, y in points:
            axes.plot(x, y, shape, markersize=size, color=color, markeredgecolor="black", zorder=5, linestyle="none")


def _legend_of_marks(figure: "Figure", axes: "Axes") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=shape, color=color, markeredgecolor="black", markersize=9, linestyle="none", label=label)
        for shape, color, label in (
            ("s", "white", "start"),
            ("*", "#F0E442", "global minimum"),
            ("v", "#56B4E9", "local minimum"),
            ("X", "white", "saddle"),
            ("o", "#666666", "end of a path"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize="small")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
