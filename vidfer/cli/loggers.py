"""Where a training's numbers go: the run's own curves first, and Weights & Biases beside them when it is asked for."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import lightning
from lightning.pytorch.loggers import Logger, WandbLogger

from vidfer.tasks.curves import CurveLogger
from vidfer.types import UsageError, VidferError

_SENT: Final = ("seed_everything", "model", "data")
_PLACES: Final = ("root", "store")  # where something lies on this machine says nothing about the training


def require_client(chosen: object) -> None:
    """Look for the client of Weights & Biases, which is no part of a plain installation, where it is needed.

    Args:
        chosen: What is chosen of loggers, not built yet.

    Raises:
        VidferError: It is needed, and not installed.
    """
    if "Wandb" in repr(chosen):
        try:
            version("wandb")
        except PackageNotFoundError as error:
            raise VidferError("Weights & Biases needs its client: pip install 'vidfer[wandb]'") from error


def arrange_loggers(chosen: Logger | list[Logger] | bool | None, beside: WandbLogger | None) -> Any:  # noqa: ANN401
    """Put the run's own curves first, whose folder is the run's, and Weights & Biases after them.

    Args:
        chosen: What `trainer.logger` asks for.
        beside: What `wandb` asks for.

    Returns:
        What the trainer takes: all of them in order; or what was chosen, where that is no logger.

    Raises:
        UsageError: Weights & Biases is asked for twice, in place of the curves, or with an id of its own making.
    """
    if beside is None and not isinstance(chosen, (Logger, list)):
        return chosen
    loggers = chosen if isinstance(chosen, list) else [chosen] if isinstance(chosen, Logger) else []
    arranged = sorted([*loggers, *([beside] if beside else [])], key=lambda each: not isinstance(each, CurveLogger))
    found = [each for each in arranged if isinstance(each, WandbLogger)]
    if len(found) > 1:
        raise UsageError("Weights & Biases is asked for twice, by wandb and by trainer.logger: leave one out")
    if found and not isinstance(arranged[0], CurveLogger):
        raise UsageError(
            "Weights & Biases takes numbers, but no checkpoints and weights: keep the CurveLogger in trainer.logger, and "
            "ask for both by --config configs/wandb.yaml"
        )
    if found and found[0].version is not None:
        raise UsageError(
            f"'{found[0].version}' would be the id of the run at Weights & Biases, which a second training would write over: "
            "to name the run's folder, use --config configs/wandb.yaml and --trainer.logger.init_args.version=NAME"
        )
    return arranged


def start_wandb(trainer: lightning.Trainer) -> None:
    """Start the run at Weights & Biases, if there is to be one, before any work is done.

    Args:
        trainer: The trainer about to start.

    Raises:
        VidferError: There is no login, or the server cannot be reached.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            try:
                _ = logger.experiment
            except (wandb.errors.Error, TimeoutError) as error:
                reason = " ".join(str(error).split()).rstrip(".")
                raise VidferError(
                    f"Weights & Biases: {reason}; log in with `wandb login` (another server than wandb.ai is named by "
                    "WANDB_BASE_URL), or keep the run on this machine with WANDB_MODE=offline"
                ) from error


def send_settings(trainer: lightning.Trainer, config: Mapping[str, Any]) -> None:
    """Add what was chosen to the run at Weights & Biases, under the names that the command line has for it.

    The task's hyper-parameters are there under their plain names (`lr`), which Lightning sends; a sweep's parameters under these.

    Args:
        trainer: The trainer about to start.
        config: The configuration of the subcommand.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            epochs = {"max_epochs": config["trainer"]["max_epochs"]}
            sent = {**{name: config.get(name) for name in _SENT}, "trainer": epochs}
            there = logger.experiment.config.keys()  # a sweep's own
            logger.experiment.config.update({name: value for name, value in _flat(sent) if name not in there})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and not name.endswith(_PLACES):
            yield f"{prefix}{name}", value
