"""`vidfer optimizers`: compare the paper's optimisers on surfaces with known minima and on one real classifier."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.cli.options import add_store_option, count, positive_number
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.store import default_store
from vidfer.types import UsageError

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.paper.optimizers.descents import Outcome
    from vidfer.paper.optimizers.training import Curves

_RAVDESS: Final = Path("data/ravdess_speech")
_PEOPLE: Final = ("1-12", "13-16", "17-20")  # of RAVDESS: trained on, rates tuned on, reported
_SAMPLE_PEOPLE: Final = ("1-3", "4", "5-6")
_CLASSIFIER: Final = {"modality": "sound", "hidden": 128}
_SETTINGS: Final = {"tuned": "tuned", "common": "common to all"}

_EPILOG = """
Each optimiser is compared at the learning rate that the same grid, on the same budget, showed best for it, and on the surfaces
also at one rate common to all. Rates are chosen on starts, and on people, that are then left aside. See docs/optimizers.md.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser(
        "optimizers", help="compare SGD, SGD with momentum, AdaGrad, RMSProp and Adam", epilog=_EPILOG
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for tables and plots")
    parser.add_argument("--steps", type=count, default=2000, metavar="N", help="steps on a surface (default: 2000)")
    parser.add_argument("--starts", type=count, default=64, metavar="N", help="starts on a surface (default: 64)")
    parser.add_argument(
        "--rate", type=positive_number, default=0.01, metavar="R", help="the common rate (default: 0.01)"
    )
    parser.add_argument(
        "--surfaces", type=parse_surfaces, metavar="NAME,NAME", help="of these only, or 'none' (default: all six)"
    )
    parser.add_argument(
        "--data",
        default="",
        metavar="DIR",
        help="recordings in RAVDESS' layout to train on, 'sample' (synthesised), or 'none' "
        f"(default: {_RAVDESS} where it is there, else sample)",
    )
    parser.add_argument("--seeds", type=count, default=5, metavar="N", help="trainings an optimiser (default: 5)")
    parser.add_argument("--epochs", type=count, default=10, metavar="N", help="epochs a training (default: 10)")
    add_store_option(parser)
    parser.set_defaults(run=_run)


def parse_surfaces(text: str) -> tuple[str, ...]:
    """Parse a list of surfaces.

    Args:
        text: Names, such as `beale,camel`, or `none`.

    Returns:
        The names, in their order.

    Raises:
        argparse.ArgumentTypeError: A name is unknown.
    """
    from vidfer.paper.optimizers.surfaces import SURFACES

    names = () if text == "none" else tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in SURFACES:
            raise argparse.ArgumentTypeError(f"no surface '{name}': there are {', '.join(SURFACES)}")
    return names


def compare_surfaces(
    out: Path, names: Sequence[str] | None = None, *, steps: int = 2000, starts: int = 64, rate: float = 0.01
) -> "dict[str, list[Outcome]]":
    """Let every optimiser go down every surface; write `surfaces.csv`, `surfaces.md` and the plots.

    Args:
        out: A folder that exists.
        names: Surfaces; None for all.
        steps: Budget of steps.
        starts: Number of starts.
        rate: The common learning rate.

    Returns:
        The outcomes by surface.
    """
    from vidfer.paper.optimizers.descents import TOLERANCE, compare
    from vidfer.paper.optimizers.plots import draw_descent, draw_paths
    from vidfer.paper.optimizers.surfaces import SURFACES

    begun = time.monotonic()
    found = {}
    for name in SURFACES if names is None else names:
        _say(begun, f"surface {name}")
        found[name] = list(compare(SURFACES[name], steps=steps, starts=starts, common=rate))
    rows = [_surface_row(name, each) for name, outcomes in found.items() for each in outcomes]
    note = (
        f"Starts, of {starts}, from which the function came within {TOLERANCE:g} of its least value in {steps} steps and "
        "stayed there (with 95 % interval), which ended in a local minimum, or diverged; the rest had not arrived. Steps: "
        "median of those that arrived. `*`: the rate is the first or last of the grid."
    )
    _write(out / "surfaces", rows, note, _surface_cells)
    for setting in _SETTINGS:
        chosen = {name: [each for each in outcomes if each.setting == setting] for name, outcomes in found.items()}
        draw_paths(chosen, SURFACES, out / f"paths_{setting}")
        if setting == "tuned":
            draw_descent(chosen, SURFACES, out / "descent")
    return found


def compare_training(out: Path, data: str, store: str, *, seeds: int = 5, epochs: int = 10) -> "list[Curves]":
    """Train one classifier by every optimiser; write `training.csv`, `training.md`, `training_curves.csv` and the plot.

    Args:
        out: A folder that exists.
        data: Folder of recordings in RAVDESS' layout, or `sample`.
        store: Folder of artifacts.
        seeds: Trainings an optimiser.
        epochs: Epochs a training.

    Returns:
        One optimiser's curves after the other.

    Raises:
        VidferError: There are no recordings, or they cannot be read.
    """
    from vidfer.paper.optimizers.plots import draw_training
    from vidfer.paper.optimizers.training import train_by_each
    from vidfer.pipeline.columns import to_csv

    begun = time.monotonic()
    tuning, reported, title = _clips(data, store)
    curves = []
    _say(begun, f"reading {title}")
    for each in train_by_each(tuning, reported, arguments=_CLASSIFIER, epochs=epochs, seeds=seeds):
        curves.append(each)
        _say(begun, f"trained by {each.optimizer}")
    what = f"mlp on sound vectors of {title}, {curves[0].held_out} clips of people held out, {seeds} seeds"
    rows = [_training_row(each, seeds, epochs) for each in curves]
    note = (
        f"{what}, {epochs} epochs, one-cycle schedule. Loss: mean negative log-probability in nats. Intervals of 95 %: "
        "over seeds (Student's t), and over clips (Wilson, of the mean accuracy). `*`: the rate is the first or last of the grid."
    )
    _write(out / "training", rows, note, _training_cells)
    write_atomic(out / "training_curves.csv", to_csv(_curve_columns(curves)))
    draw_training(curves, out / "training", f"{what}; means and 95 % intervals over seeds")
    return curves


def _run(args: argparse.Namespace) -> int:
    data = args.data or (str(_RAVDESS) if _RAVDESS.is_dir() else "sample")
    if data == "none" and args.surfaces == ():
        raise UsageError("nothing is left to compare: give --surfaces or --data")
    with results_folder(args.out) as out:
        if args.surfaces != ():
            compare_surfaces(out, args.surfaces, steps=args.steps, starts=args.starts, rate=args.rate)
            print((out / "surfaces.md").read_text(encoding="utf-8"))
        if data != "none":
            compare_training(out, data, str(args.store or default_store()), seeds=args.seeds, epochs=args.epochs)
            print((out / "training.md").read_text(encoding="utf-8"))
    print(f"tables and plots: {args.out}", file=sys.stderr)
    return 0


def _clips(data: str, store: str) -> "tuple[ClipDataModule, ClipDataModule, str]":
    """Build the data for tuning and for reporting, and say what they are."""
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.datamodules.sample import SampleSoundsDataModule

    sample = data == "sample"
    train, tuned_on, held_out = _SAMPLE_PEOPLE if sample else _PEOPLE
    kind = SampleSoundsDataModule if sample else ClipDataModule
    root = "runs/sample/sounds" if sample else data
    tuning, reported = (
        kind(data="ravdess", root=root, train_people=train, val_people=people, store=store, voice=not sample)
        for people in (tuned_on, held_out)
    )
    return tuning, reported, "sample (synthesised voices: no people)" if sample else Path(data).name


def _surface_row(name: str, outcome: "Outcome") -> dict[str, Any]:
    from vidfer.metrics.classification import wilson_interval
    from vidfer.paper.optimizers.descents import RATES

    low, high = wilson_interval(outcome.reached, outcome.starts)
    return {
        "surface": name,
        "optimizer": outcome.optimizer,
        "rate": outcome.setting,
        "lr": outcome.lr,
        "at_edge": outcome.setting == "tuned" and outcome.lr in (RATES[0], RATES[-1]),
        "starts": outcome.starts,
        "global_minimum": outcome.reached,
        "low": low,
        "high": high,
        "local_minimum": outcome.local,
        "diverged": outcome.diverged,
        "median_steps": outcome.median,
    }


def _surface_cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "surface": row["surface"],
        "optimiser": row["optimizer"],
        "rate": f"{row['rate']} {row['lr']:g}{'*' * row['at_edge']}",
        "global minimum": f"{row['global_minimum']} ({row['low']:.2f} to {row['high']:.2f})",
        "local": str(row["local_minimum"]),
        "diverged": str(row["diverged"]),
        "steps": "" if row["median_steps"] is None else str(row["median_steps"]),
    }


def _training_row(curves: "Curves", seeds: int, epochs: int) -> dict[str, Any]:
    from vidfer.metrics.classification import wilson_interval

    (loss, loss_half), (accuracy, half) = curves.over_seeds("val_loss"), curves.over_seeds("val_acc")
    low, high = wilson_interval(round(accuracy[-1] * curves.held_out), curves.held_out)
    return {
        "optimizer": curves.optimizer,
        "lr": curves.lr,
        "at_edge": curves.lr in (min(curves.grid), max(curves.grid)),
        "seeds": seeds,
        "epochs": epochs,
        "clips": curves.held_out,
        "train_loss": curves.over_seeds("train_loss")[0][-1],
        "loss": loss[-1],
        "loss_half": loss_half[-1],
        "accuracy": accuracy[-1],
        "accuracy_half": half[-1],
        "low": low,
        "high": high,
    }


def _training_cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "optimiser": row["optimizer"],
        "rate": f"{row['lr']:g}{'*' * row['at_edge']}",
        "training loss": f"{row['train_loss']:.3f}",
        "loss, held out (± over seeds)": f"{row['loss']:.3f} ± {row['loss_half']:.3f}",
        "accuracy, held out (± over seeds)": f"{row['accuracy']:.3f} ± {row['accuracy_half']:.3f}",
        "95 % over clips": f"{row['low']:.3f} to {row['high']:.3f}",
    }


def _curve_columns(curves: "Sequence[Curves]") -> dict[str, list[Any]]:
    rows = [
        {"optimizer": each.optimizer, "lr": each.lr, "seed": seed, "epoch": epoch + 1}
        | {name: values[seed, epoch] for name, values in each.runs.items()}
        for each in curves
        for seed in range(len(each.runs["val_loss"]))
        for epoch in range(each.runs["val_loss"].shape[1])
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _write(place: Path, rows: Sequence[Mapping[str, Any]], note: str, cells: Any) -> None:  # noqa: ANN401 - a function
    """Write a table as CSV, and as Markdown that is as wide in a terminal."""
    from vidfer.pipeline.columns import to_csv

    write_atomic(place.with_suffix(".csv"), to_csv({name: [row[name] for row in rows] for name in rows[0]}))
    shown = [cells(row) for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in shown[0]}
    lines = [{name: name for name in widths}, {name: "-" * width for name, width in widths.items()}, *shown]
    table = "\n".join(
        "| " + " | ".join(f"{row[name]:{width}}" for name, width in widths.items()) + " |" for row in lines
    )
    write_atomic(place.with_suffix(".md"), f"{note}\n\n{table}\n".encode())


def _say(begun: float, what: str) -> None:
    print(f"  {time.monotonic() - begun:4.0f} s: {what}", file=sys.stderr, flush=True)
