"""What goes to Weights & Biases, and nothing else: settings without folders, figures, plots, weights by digest.

Imports no Lightning.
"""

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.pipeline.extras import require
from vidfer.stages.fit import Settings, decisive_settings
from vidfer.types import VidferError
from vidfer.weights.files import Weights

if TYPE_CHECKING:
    import wandb

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else the client tells its maker of faults, offline, too

STEP: Final = "trainer/global_step"
"""What curves are drawn over; Lightning's name."""

ID_VARIABLES: Final = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")
"""By these, a sweep's agent makes what it starts the run that it waits for."""

_ALIAS = 12  # digits of a key or digest


def require_client(wanted: bool) -> None:
    """Raise a UsageError if Weights & Biases' client is wanted, and not installed."""
    if wanted:
        require("Weights & Biases", "wandb")


def client_settings(*, console: bool, machine: bool) -> "wandb.Settings":
    """Return the client's settings: whether it sends what is printed, and the command line, host and git commit."""
    import wandb

    return wandb.Settings(console="auto" if console else "off", x_disable_meta=not machine)


@contextmanager
def explained_client() -> Iterator[None]:
    """Turn the client's errors into a VidferError that says what to do, such as without a login or a server."""
    import wandb

    try:
        yield
    except (wandb.errors.Error, TimeoutError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise VidferError(
            f"Weights & Biases: {reason}; log in with `wandb login` (another server than wandb.ai is named by "
            "WANDB_BASE_URL), or keep the run on this machine with WANDB_MODE=offline"
        ) from error


def sent_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings of task, data and epochs by their names on the command line, files by their digests."""
    found = decisive_settings(settings)
    length = {name: found["trainer"].get(name) for name in ("max_epochs", "max_steps")}
    return without_paths(dict(_flat({**found, "trainer": length})))


def without_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what may name a folder or a file of this machine, and what is not set."""
    return {
        name: value
        for name, value in values.items()
        if value is not None
        and not name.endswith(("root", "store", "folder"))
        and not (isinstance(value, str) and (os.sep in value or Path(value).suffix in (".safetensors", ".csv")))
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def identity(key: str | None, inputs: Mapping[str, Weights]) -> dict[str, Any]:
    """Return a training's key, and the digests of the weights that its data are read with, as settings of its run."""
    own = {} if key is None else {"key": key}
    return own | {f"inputs.{kind}": weights.card["blake3"] for kind, weights in inputs.items()}


def weights_artifact(weights: Weights) -> "wandb.Artifact":
    """Return weights and their card as an artifact, named by their kind: equal ones are one version at Weights & Biases."""
    import wandb

    card = weights.card
    about: dict[str, Any] = {name: card[name] for name in ("blake3", "arch", "validation") if name in card}
    artifact = wandb.Artifact(card["kind"], "weights", metadata=about)
    for path in weights.files:
        artifact.add_file(str(path), name=f"weights{path.suffix}")
    return artifact


def log_weights(run: "wandb.Run", weights: Weights, key: str | None, inputs: Mapping[str, Weights]) -> None:
    """Send a training's weights under their digest, and its key, as aliases; name those that it read, which needs the server."""
    aliases = [each[:_ALIAS] for each in (weights.card["blake3"], key) if each]
    if not run.offline:
        for each in inputs.values():
            run.use_artifact(weights_artifact(each), aliases=[each.card["blake3"][:_ALIAS]])
    run.log_artifact(weights_artifact(weights), aliases=aliases)


def add_settings(run: Any, settings: Mapping[str, Any]) -> None:  # noqa: ANN401 - the client's run, whose methods lack types
    """Add settings to a run, but for those that a sweep's agent set."""
    there = run.config.keys()
    run.config.update({name: value for name, value in settings.items() if name not in there})


def log_curves(run: "wandb.Run", metrics: Path) -> None:
    """Send the rows of a finished training's `metrics.csv`, as the training would have."""
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    with metrics.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = {name: float(text) for name, text in row.items() if text and name != "step"}
            run.log({**values, STEP: int(row["step"])})
