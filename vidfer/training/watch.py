"""A pipeline at Weights & Biases: its trainings are the runs of one group, and one of them is the trial of a sweep."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.pipeline.digest import recipe_key
from vidfer.results.truth import UNCERTAIN
from vidfer.tasks.charts import confusion_chart
from vidfer.tasks.tracking import (
    add_settings,
    client_settings,
    explained_client,
    identity,
    log_curves,
    log_weights,
    sent_settings,
)
from vidfer.training.config import Configuration
from vidfer.training.steps import Step, weights_of
from vidfer.types import DISPLAYED, EMOTIONS
from vidfer.weights.files import find_weights, trained_weights

if TYPE_CHECKING:
    import wandb

_METRICS = "metrics.csv"


def trial_of(steps: Sequence[Step]) -> str | None:
    """Return the training that a sweep's agent waits for, the last one; None where no agent started this process."""
    trained = [step.name for step in steps if step.section is not None and step.recipe and step.fold is None]
    return trained[-1] if trained and os.environ.get("WANDB_SWEEP_ID") else None


def watch_options(
    configuration: Configuration, step: Step, inputs: Mapping[str, Path], trial: str | None
) -> dict[str, Any] | None:
    """Return the arguments of `vidfer.tasks.loggers.WandbCurves` for a step; None where nothing is to be sent.

    The group is the pipeline's name and a digest of its configuration: what is run again, or goes on, joins its group. `inputs`
    are the weights files that the training reads its data with, by kind.
    """
    if configuration.wandb is None or (step.section is None and (step.name != "evaluate" or trial)):
        return None  # the trial of a sweep is chosen by what is held out for it, not by the evaluation
    given = dict(configuration.wandb)
    return {
        "project": given.pop("project", None) or os.environ.get("WANDB_PROJECT") or "vidfer",
        "name": None if step.label == trial else step.label,  # the server names a sweep's trials
        "group": f"{configuration.name}-{_digest(configuration)}",
        "weights": given.pop("weights", True),
        "key": step.key,
        "inputs": {kind: str(path) for kind, path in inputs.items()},
        "machine": False,  # the command line names the store
        "trial": step.label == trial,
        **given,
    }


def _digest(configuration: Configuration) -> str:
    sections = {each.name: each.settings or each.use for each in configuration.sections}
    rest = {"settings": dict(configuration.settings), "test_clips": list(configuration.test_clips)}
    return recipe_key({"sections": sections, **rest})[:8]


def show_stored(step: Step, options: Mapping[str, Any]) -> None:
    """Send the curves of a training that is stored already: the trial that asked for it needs its figures.

    Raises:
        VidferError: There is no login, or no server.
    """
    weights = trained_weights(weights_of(step))
    inputs = {kind: find_weights(kind, path) for kind, path in options["inputs"].items()}
    with explained_client(), _start(options) as run:
        add_settings(run, sent_settings(step.recipe["params"]) | identity(step.key, inputs))
        log_curves(run, weights.path.with_name(_METRICS))
        if options["weights"]:
            log_weights(run, weights, step.key, inputs)


def show_evaluation(step: Step, options: Mapping[str, Any]) -> None:
    """Send the figures of a bundle with their counts and intervals, but no names of persons or clips.

    Raises:
        VidferError: There is no login, or no server.
    """
    found = step.artifact.json("evaluation.json") if step.artifact else {}
    parts = {name: found.get(name) for name in ("denoise", "image")}
    for number, clips in enumerate(found.get("clips", [])):
        parts |= {f"clips.{number}.{name}": part for name, part in clips["parts"].items()}
    with explained_client(), _start(options) as run:
        add_settings(run, {"key": step.key})
        run.summary.update({"about": DISPLAYED})
        run.log({f"{name}.{key}": value for name, part in parts.items() for key, value in _shown(name, part or {})})


def _shown(name: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _figures(part)
    if counts := part.get("confusion"):
        columns = (*EMOTIONS, UNCERTAIN, "none")[: len(counts[0])]
        yield "confusion", confusion_chart(counts, columns, f"{name}, n = {sum(map(sum, counts))}")


def _figures(part: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in part.items():
        if isinstance(value, int | float):
            yield name, value
        elif name.endswith("_ci95") and value is not None:
            yield from ((f"{name}.low", value[0]), (f"{name}.high", value[1]))


def _start(options: Mapping[str, Any]) -> "wandb.Run":
    """Start a run of this process."""
    import wandb

    names = ("project", "name", "group", "entity", "tags", "notes")
    return wandb.init(
        **{name: options.get(name) for name in names},
        dir=options.get("save_dir", "runs"),
        settings=client_settings(console=False, machine=options["machine"]),
    )
