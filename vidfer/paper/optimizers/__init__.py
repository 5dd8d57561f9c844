"""The paper's five optimisers compared, on surfaces with known minima and on a classifier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.pipeline.store import default_store
from vidfer.types import UsageError

Name = Literal["rosenbrock", "beale", "himmelblau", "camel", "styblinski_tang", "saddle", "none"]

_RAVDESS: Final = Path("data/ravdess_speech")


@dataclass(frozen=True)
class OptimizerOptions:
    """Compare SGD, SGD with momentum, AdaGrad, RMSProp and Adam.

    Each optimiser is compared at the learning rate that the same grid, on the same budget, showed best for it, and on the
    surfaces also at one rate common to all. Rates are chosen on other starts, and on other people, than those that are
    reported. See docs/optimizers.md.

    Args:
        out: Folder for tables and plots.
        steps: Steps on a surface.
        starts: Starts on a surface.
        rate: The common learning rate.
        surfaces: Of rosenbrock, beale, himmelblau, camel, styblinski_tang, saddle; or `none` (default: all six).
        data: Recordings in RAVDESS' layout to train on, `sample` (synthesised), or `none` (default: data/ravdess_speech where
            it is there, else sample).
        seeds: Trainings of each optimiser.
        epochs: Epochs of a training.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).

    Raises:
        UsageError: A number is out of range, or nothing is left to compare.
    """

    out: Path
    steps: int = 2000
    starts: int = 64
    rate: float = 0.01
    surfaces: tuple[Name, ...] = get_args(Name)[:-1]
    data: str = field(default="", metadata={"metavar": "DIR"})
    seeds: int = 5
    epochs: int = 10
    store: Path | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "starts", "seeds", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name}: {getattr(self, name)} is not a whole number from 1 on")
        if not 0 < self.rate < float("inf"):
            raise UsageError(f"--rate: {self.rate:g} is not a number above zero")
        if "none" in self.surfaces and len(self.surfaces) > 1:
            raise UsageError("--surfaces: 'none' stands alone")
        if "none" in self.surfaces and self.data == "none":
            raise UsageError("nothing is left to compare: give --surfaces or --data")


def compare_optimizers(options: OptimizerOptions, notify: Callable[[str], None]) -> list[str]:
    """Compare the optimisers, and write tables and plots into the folder `options.out`, which exists.

    Args:
        options: What is compared.
        notify: Called with a line at each step of the work.

    Returns:
        The tables as Markdown.

    Raises:
        VidferError: There are no recordings, or they cannot be read.
    """
    data = options.data or (str(_RAVDESS) if _RAVDESS.is_dir() else "sample")
    texts = []
    if "none" not in options.surfaces:
        texts.append(_compare_surfaces(options, notify))
    if data != "none":
        texts.append(_compare_training(options, data, notify))
    return texts


def _compare_surfaces(options: OptimizerOptions, notify: Callable[[str], None]) -> str:
    from vidfer.paper.optimizers.descents import TOLERANCE, Outcome, compare
    from vidfer.paper.optimizers.plots import draw_descent, draw_paths
    from vidfer.paper.optimizers.surfaces import SURFACES

    found: dict[str, list[Outcome]] = {}
    for name in options.surfaces:
        notify(f"surface {name}")
        found[name] = list(compare(SURFACES[name], steps=options.steps, starts=options.starts, common=options.rate))
    for setting in ("tuned", "common"):
        chosen = {name: [each for each in outcomes if each.setting == setting] for name, outcomes in found.items()}
        draw_paths(chosen, options.out / f"paths_{setting}")
        if setting == "tuned":
            draw_descent(chosen, options.out / "descent")
    note = (
        f"Starts, of {options.starts}, from which the function came within {TOLERANCE:g} of its least value in "
        f"{options.steps} steps and stayed there (with 95 % interval), which ended in a local minimum, or diverged; the rest "
        "had not arrived. Steps: median of those that arrived. `*`: the rate is the first or last of the grid."
    )
    rows = [{"surface": name, **each.row()} for name, outcomes in found.items() for each in outcomes]
    shown = [
        {
            "surface": row["surface"],
            "optimiser": row["optimizer"],
            "rate": f"{row['rate']} {row['lr']:g}{'*' * row['at_edge']}",
            "global minimum": f"{row['global_minimum']} ({row['low']:.2f} to {row['high']:.2f})",
            "local": str(row["local_minimum"]),
            "diverged": str(row["diverged"]),
            "steps": "" if row["median_steps"] is None else str(row["median_steps"]),
        }
        for row in rows
    ]
    return _write_table(options.out / "surfaces", note, rows, shown)


def _compare_training(options: OptimizerOptions, data: str, notify: Callable[[str], None]) -> str:
    from vidfer.paper.optimizers.plots import draw_training
    from vidfer.paper.optimizers.training import build_data, train_by_each

    tuning, reported, title = build_data(data, str(options.store or default_store()))
    tuning.notify = reported.notify = notify
    curves = []
    for each in train_by_each(tuning, reported, epochs=options.epochs, seeds=options.seeds):
        curves.append(each)
        notify(f"trained by {each.optimizer}")
    what = f"mlp on sound vectors of {title}, {curves[0].held_out} clips of held-out people, {options.seeds} seeds"
    draw_training(curves, options.out / "training", f"{what}; means and 95 % intervals over seeds")
    _write_csv(options.out / "training_curves", [row for each in curves for row in each.epoch_rows()])
    note = (
        f"{what}, {options.epochs} epochs, one-cycle schedule. Loss: mean negative log-probability in nats. Intervals of 95 %: "
        "over seeds (Student's t), and over clips (Wilson, of the mean accuracy). `*`: the rate is the first or last of the grid."
    )
    rows = [each.row() for each in curves]
    shown = [
        {
            "optimiser": row["optimizer"],
            "rate": f"{row['lr']:g}{'*' * row['at_edge']}",
            "training loss": f"{row['train_loss']:.3f}",
            "loss, held out (± over seeds)": f"{row['loss']:.3f} ± {row['loss_half']:.3f}",
            "accuracy, held out (± over seeds)": f"{row['accuracy']:.3f} ± {row['accuracy_half']:.3f}",
            "95 % over clips": f"{row['low']:.3f} to {row['high']:.3f}",
        }
        for row in rows
    ]
    return _write_table(options.out / "training", note, rows, shown)


def _write_table(place: Path, note: str, rows: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, str]]) -> str:
    """Write a table as CSV, and as Markdown whose columns are aligned in a terminal, too; return the latter."""
    _write_csv(place, rows)
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in shown[0]}
    lines = [{name: name for name in widths}, {name: "-" * width for name, width in widths.items()}, *shown]
    table = [" | ".join(f"{line[name]:{width}}" for name, width in widths.items()) for line in lines]
    text = "\n".join([note, "", *(f"| {line} |" for line in table), ""])
    write_atomic(place.with_suffix(".md"), text)
    return text


def _write_csv(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_atomic(place.with_suffix(".csv"), to_csv({name: [row[name] for row in rows] for name in rows[0]}))
