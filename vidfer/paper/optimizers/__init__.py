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
    reported. See docs/reference/optimizers.md.

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
    """

    out: Path
    steps: int = 2000
    starts: int = 64
    rate: float = 0.01
    surfaces: tuple[Name, ...] = get_args(Name)[:-1]
    data: str = field(default="", metadata={"metavar": "DIR"})
    seeds: int = 5
    epochs: int = 10
    store: str | None = None

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
    """Compare the optimisers, write tables and plots into the folder `options.out`, and return the tables as Markdown."""
    data = options.data or (str(_RAVDESS) if _RAVDESS.is_dir() else "sample")
    texts = []
    if "none" not in options.surfaces:
        texts.append(_compare_surfaces(options, notify))
    if data != "none":
        texts.append(_compare_training(options, data, notify))
    return texts


def _compare_surfaces(options: OptimizerOptions, notify: Callable[[str], None]) -> str:
    from vidfer.paper.optimizers.plots import draw_descent, draw_paths
    from vidfer.paper.optimizers.surfaces import SURFACES, TOLERANCE, Outcome, compare

    found: dict[str, list[Outcome]] = {}
    for name in options.surfaces:
        notify(f"surface {name}")
        found[name] = list(compare(SURFACES[name], steps=options.steps, starts=options.starts, common=options.rate))
    for rate in ("tuned", "common"):
        chosen = {name: [each for each in outcomes if each.row["rate"] == rate] for name, outcomes in found.items()}
        draw_paths(chosen, options.out / f"paths_{rate}")
        if rate == "tuned":
            draw_descent(chosen, options.out / "descent")
    note = (
        f"Starts, of {options.starts}, from which the function came within {TOLERANCE:g} of its least value in "
        f"{options.steps} steps and stayed there (with 95 % interval), which ended in a local minimum, or diverged; the rest "
        "had not arrived. Steps: median of those that arrived. `*`: the rate is the first or last of the grid."
    )
    rows = [{"surface": name, **each.row} for name, outcomes in found.items() for each in outcomes]
    columns = {
        "surface": "{surface}",
        "optimiser": "{optimizer}",
        "rate": "{rate} {lr:g}{edge}",
        "global minimum": "{global_minimum} ({low:.2f} to {high:.2f})",
        "local": "{local_minimum}",
        "diverged": "{diverged}",
        "steps": "{median_steps}",
    }
    return _write_table(options.out / "surfaces", note, rows, columns)


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
    columns = {
        "optimiser": "{optimizer}",
        "rate": "{lr:g}{edge}",
        "training loss": "{train_loss:.3f}",
        "loss, held out (± over seeds)": "{loss:.3f} ± {loss_half:.3f}",
        "accuracy, held out (± over seeds)": "{accuracy:.3f} ± {accuracy_half:.3f}",
        "95 % over clips": "{low:.3f} to {high:.3f}",
    }
    return _write_table(options.out / "training", note, [each.row() for each in curves], columns)


def _write_table(place: Path, note: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Write rows as CSV, and by formats of columns as Markdown that is aligned in a terminal, too; return the latter."""
    _write_csv(place, rows)
    lines = [list(columns)]
    for row in rows:
        values = {name: "" if value is None else value for name, value in row.items()}
        lines.append([each.format(**values, edge="*" * row["at_edge"]) for each in columns.values()])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    table = [" | ".join(map(str.ljust, line, widths)) for line in lines]
    text = "\n".join([note, "", *(f"| {line} |" for line in table), ""])
    write_atomic(place.with_suffix(".md"), text)
    return text


def _write_csv(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_atomic(place.with_suffix(".csv"), to_csv({name: [row[name] for row in rows] for name in rows[0]}))
