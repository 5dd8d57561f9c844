"""Figures of the optimisers' comparison, each as `place` with suffixes `.png` and `.svg`, in the colours of Okabe and Ito."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vidfer.paper.optimizers.surfaces import SURFACES, TOLERANCE, Outcome, Point, Surface
from vidfer.plots.figure import GRAY, new_panels, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vidfer.paper.optimizers.training import Curves

STYLES: Final = {  # name, colour and line of each optimiser
    "sgd": ("SGD", "#000000", (0, (4, 1.5))),
    "sgdma": ("SGDMA", "#D55E00", "-"),
    "adagrad": ("AdaGrad", "#009E73", (0, (6, 1.5, 1, 1.5))),
    "rmsprop": ("RMSProp", "#CC79A7", (0, (1.5, 1))),
    "adam": ("Adam", "#0072B2", "-"),
}
_FLOOR = 1e-6  # heights below it look the same
_COLUMNS = 3


def draw_paths(outcomes: Mapping[str, Sequence[Outcome]], place: Path) -> None:
    """Draw every optimiser's path from the surface's own start over the surface's contours, a panel for each surface."""
    figure, panels = new_panels(len(outcomes), _COLUMNS, 13.5, 8.6)
    for (name, found), axes in zip(outcomes.items(), panels, strict=True):
        surface = SURFACES[name]
        _contours(axes, surface)
        for outcome in found:
            x, y = _drawable(outcome.path, surface)
            color = _curve(axes, outcome.row["optimizer"], x, y, f", rate {outcome.row['lr']:g}")
            axes.plot(x[-1:], y[-1:], "o", color=color, markersize=5, markeredgecolor="white", zorder=6)
        for _, points, shape, size, color in _marks(surface):
            for point in points:
                axes.plot(*point, shape, markersize=size, color=color, markeredgecolor="black", zorder=5)
        axes.set_title(f"{surface.title}\n{surface.formula}", fontsize="small")
        axes.set(xlabel="x", ylabel="y", xlim=surface.window[:2], ylim=surface.window[2:])
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=7, frameon=False, columnspacing=1.0,
            handlelength=2.2,
        )  # fmt: skip
    marks = [*_marks(SURFACES["saddle"])[::-1], ("end of a path", (), "o", 9, "#666666")]
    handles = [
        panels[0].plot([], [], shape, markersize=9, color=color, markeredgecolor="black", label=label)[0]
        for label, _, shape, _, color in marks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    first = next(iter(outcomes.values()))[0]
    rate = "the rate tuned for it on other starts" if first.row["rate"] == "tuned" else "the same rate"
    figure.suptitle(
        f"{len(first.path) - 1} steps from one start, each optimiser at {rate}; contours: log10 of the height above the least "
        "value",
        fontsize="medium",
    )
    save_figure(figure, place)


def draw_descent(outcomes: Mapping[str, Sequence[Outcome]], place: Path) -> None:
    """Draw the height above the least value over steps, the median over all starts, a panel for each surface."""
    figure, panels = new_panels(len(outcomes), _COLUMNS, 13.5, 8.2)
    for (name, found), axes in zip(outcomes.items(), panels, strict=True):
        top = 100 * max(float(outcome.gaps[0]) for outcome in found)
        for outcome in found:
            height = outcome.gaps.numpy()
            height = np.where(height <= 1e3 * top, np.maximum(height, _FLOOR), np.nan)
            text = " {lr:g}: {global_minimum}/{starts}".format(**outcome.row)
            _curve(axes, outcome.row["optimizer"], np.arange(len(height)), height, text)
        axes.set(xscale="symlog", yscale="log", xlim=(0, None), ylim=(_FLOOR / 2, top), xlabel="steps")
        axes.set_title(SURFACES[name].title, fontsize="small")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=7, frameon=False)
        axes.axhline(TOLERANCE, color=GRAY, linewidth=0.8, linestyle=":")
        axes.grid(alpha=0.3)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel("height above the least value")
    figure.suptitle(
        "Median over the starts; beside each optimiser the rate tuned for it on other starts, and how many starts arrived "
        "(below the dotted line)",
        fontsize="medium",
    )
    save_figure(figure, place)


def draw_training(curves: Sequence["Curves"], place: Path, title: str) -> None:
    """Draw training loss, and loss and accuracy on held-out people, over epochs: means and 95 % intervals over seeds."""
    labels = {
        "train_loss": "training loss",
        "val_loss": "loss on held-out people",
        "val_acc": "accuracy on held-out people (share)",
    }
    figure, panels = new_panels(len(labels), _COLUMNS, 13.5, 4.6)
    for axes, (what, label) in zip(panels, labels.items(), strict=True):
        for each in curves:
            mean, half = each.over_seeds(what)
            epochs = np.arange(1, len(mean) + 1)
            color = _curve(axes, each.optimizer, epochs, mean, f", rate {each.lr:g}")
            ends = np.clip((mean - half, mean + half), 0, 1 if what == "val_acc" else None)  # what is possible
            axes.fill_between(epochs, *ends, color=color, alpha=0.15, linewidth=0)
        axes.set(xlabel="epoch", ylabel=label, xlim=(1, None))
        axes.grid(alpha=0.3)
    panels[-1].legend(loc="lower right", fontsize="small", framealpha=0.8)
    figure.suptitle(title, fontsize="medium")
    save_figure(figure, place)


def _curve(axes: "Axes", optimizer: str, x: "np.ndarray", y: "np.ndarray", text: str) -> str:
    """Draw a curve in an optimiser's style, labelled by its name and a text; return its colour."""
    label, color, line = STYLES[optimizer]
    axes.plot(x, y, color=color, linestyle=line, linewidth=1.5, label=f"{label}{text}")
    return color


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
    """Cut a path where it goes far out of the window, whose far points would only burden the SVG."""
    points, (low, high) = path.numpy(), np.reshape(surface.window, (2, 2)).T
    inside = (np.abs(points - (low + high) / 2) <= 10 * (high - low)).all(axis=1)
    end = len(points) if inside.all() else int(np.argmin(inside))
    return points[:end, 0], points[:end, 1]


def _marks(surface: Surface) -> list[tuple[str, tuple[Point, ...], str, float, str]]:
    return [  # label, points, shape, size and colour
        ("saddle", surface.saddles, "X", 8, "white"),
        ("local minimum", surface.local, "v", 9, "#56B4E9"),
        ("global minimum", surface.minima, "*", 15, "#F0E442"),
        ("start", (surface.start,), "s", 8, "white"),
    ]
