"""Loggers of trainings: the run's own curves, and Weights & Biases beside them on request."""

import os
import sys
from argparse import Namespace
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightning
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from vidfer.pipeline.atomic import replacing, results_folder
from vidfer.tasks.charts import Faces, Predictions, log_predictions
from vidfer.tasks.tracking import (
    ID_VARIABLES,
    add_settings,
    client_settings,
    explained_client,
    identity,
    log_weights,
    sent_settings,
    without_paths,
)  # fmt: skip
from vidfer.types import UsageError
from vidfer.weights.files import find_weights, trained_weights

if TYPE_CHECKING:
    import pandas as pd

_LABELS: Final = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "acc": "accuracy",
    "uar": "mean recall",
    "f1": "macro F1",
    "wasserstein": "Wasserstein estimate",
    "gradient_penalty": "gradient penalty (unweighted)",
    "adversarial_loss": "adversarial loss (unweighted)",
}


class CurveLogger(CSVLogger):
    """Lightning's `metrics.csv`, except that a folder's earlier rows are kept; drawn into `curves.png` at a training's end.

    Every row is written at once, so that a resumed run has the whole curve. Nothing is written while `closed` is set.

    Args:
        save_dir: Folder of all runs.
        name: Folder of the stage's runs, below it.
        version: Folder of this run below that; `version_0`, `version_1`... if not given.
    """

    def __init__(self, save_dir: str, name: str, version: str | None = None) -> None:
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=1)
        self.closed = False

    def _get_next_version(self) -> int:
        """Take a number by making its folder, so that no training that starts at the same moment has it, too."""
        number = super()._get_next_version()
        if self.closed or getattr(rank_zero_only, "rank", None):
            return number
        with results_folder(Path(self.root_dir), "give another folder by --trainer.logger.init_args.save_dir") as root:
            while True:
                try:
                    (root / f"version_{number}").mkdir()
                    return number
                except FileExistsError:
                    number += 1

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:  # noqa: ANN401 - as Lightning's
        """Return the writer of the file."""
        if self._experiment is None:
            Path(self.root_dir).mkdir(parents=True, exist_ok=True)
            self._experiment = _Writer(log_dir=self.log_dir)
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Write a row."""
        if not self.closed:
            super().log_metrics(metrics, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Draw what was logged."""
        if self._experiment is not None and not self.closed:
            draw_curves(Path(self.log_dir) / "metrics.csv", Path(self.log_dir) / "curves.png")

    @rank_zero_only
    def drop_from(self, step: int) -> None:
        """Drop the rows from a step on, which a resumed run repeats."""
        path = Path(self.log_dir) / "metrics.csv"
        if not (rows := _read(path)).columns.empty:
            with replacing(path) as shorter:
                rows[rows["step"].astype(int) < step].to_csv(shorter, index=False, lineterminator="\r\n")


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Take over the columns of the rows that are there already."""
        self.metrics_keys = list(_read(Path(self.metrics_file_path)).columns)


def _read(metrics: Path) -> "pd.DataFrame":
    """Read a `metrics.csv` as text, without a last row that a power cut left incomplete."""
    import pandas as pd

    if not metrics.is_file() or not metrics.stat().st_size:
        return pd.DataFrame()
    rows = pd.read_csv(metrics, dtype=str, keep_default_na=False).fillna("")  # "nan" is a value
    return rows[rows["step"].str.isdigit()]


def draw_curves(metrics: Path, image: Path) -> None:
    """Draw every metric of a `metrics.csv` but a test's over the batches, training and validation in one panel."""
    from matplotlib.figure import Figure

    if not (panels := _panels(metrics)):
        return
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    last = max(steps.max() for lines in panels.values() for steps, _ in lines.values())
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    for number, (title, lines) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        for (name, (steps, values)), style in zip(lines.items(), ("-", "--", ":", "-."), strict=False):
            axes.plot(steps, values, style, label=name, linewidth=1.4)
        if title == "loss" and all((values > 0).all() for _, values in lines.values()):
            axes.set_yscale("log")
        axes.set(xlabel="batches", xlim=(0, last), ylabel=_LABELS.get(title, title.replace("_", " ")))
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize="small")
    with replacing(image) as part:
        figure.savefig(part, format=image.suffix[1:], dpi=120)


def _panels(metrics: Path) -> "dict[str, dict[str, tuple[pd.Series[int], pd.Series[float]]]]":
    """Collect each panel's lines by name, each as batches and values."""
    panels: dict[str, dict[str, tuple[pd.Series[int], pd.Series[float]]]] = defaultdict(dict)
    rows = _read(metrics)
    for name in rows.columns.difference(["epoch", "step", "generator_steps"], sort=False):
        split, _, measure = name.partition("_")
        logged = rows[rows[name] != ""]
        if split != "test" and not logged.empty:
            title = measure.removesuffix("_noisy") if split in ("train", "val") else name
            panels[title][name.replace("_", " ")] = logged["step"].astype(int) + 1, logged[name].astype(float)
    return panels


class WandbCurves(WandbLogger):
    """Lightning's logger, which sends figures and plots only, and no pixels, unless more is chosen; `WANDB_MODE` says where to.

    Args:
        project: Project that the run is shown in.
        name: Name that it is shown under; the server invents one if not given.
        entity: User or team; the login's own if not given.
        group: Group of runs.
        tags: Tags to find it by.
        notes: Description.
        save_dir: Folder of the client's own files, `wandb` below it.
        log_model: Send the checkpoints, which may reveal training data.
        weights: Send the trained weights and their card as an artifact.
        plots: Send the counts and precision-recall curves of held-out samples.
        faces: Send some held-out faces with true and predicted expressions, `blurred`, or `shown` as they are, or `none`.
        key: Key of the training, which is sent.
        inputs: Weights that the data are read with, by kind; their digests are sent.
        console: Send what is printed, file names of recordings included.
        machine: Let the client send the command line, the host's name and git commit.
        trial: Be the run of a sweep whose agent started this process, if one did.
    """

    def __init__(
        self,
        project: str = "vidfer",
        name: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        save_dir: str = "runs",
        log_model: bool = False,
        weights: bool = False,
        plots: bool = True,
        faces: Faces = "none",
        key: str | None = None,
        inputs: dict[str, str] | None = None,
        console: bool = False,
        machine: bool = True,
        trial: bool = True,
    ) -> None:
        if not trial:
            for variable in ID_VARIABLES:
                os.environ.pop(variable, None)
        super().__init__(
            project=project, name=name, save_dir=save_dir, log_model=log_model, entity=entity, group=group, tags=tags,
            notes=notes, settings=client_settings(console=console, machine=machine),
        )  # fmt: skip
        self._wandb_init.pop("anonymous")  # the client warns of it on every start
        self._weights, self._key = weights, key
        self._plots, self._faces = plots, faces
        self._inputs = {kind: find_weights(kind, named) for kind, named in (inputs or {}).items()}

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Send a task's hyper-parameters, and what identifies the training, but no folders."""
        given = params if isinstance(params, dict) else vars(params)
        super().log_hyperparams(without_paths(given) | identity(self._key, self._inputs))

    @property
    def shows_predictions(self) -> bool:
        """Whether anything is made of predictions."""
        return self._plots or self._faces != "none"

    @rank_zero_only
    def log_predictions(self, found: Predictions) -> None:
        """Send what was chosen of a split's predictions."""
        log_predictions(self.experiment, found, plots=self._plots, faces=self._faces)

    @rank_zero_only
    def finish_training(self, weights: Path) -> None:
        """Send the exported weights, if that was chosen."""
        if self._weights:
            with explained_client():
                log_weights(self.experiment, trained_weights(weights), self._key, self._inputs)


def arrange_loggers(chosen: Logger | list[Logger] | bool | None, beside: WandbLogger | None) -> Any:  # noqa: ANN401
    """Put `trainer.logger`'s curves first, whose folder is the run's, and Weights & Biases after them.

    Raises:
        UsageError: Weights & Biases is requested twice, in place of the curves, or with an id that a second run would have, too.
    """
    if beside is None and not isinstance(chosen, (Logger, list)):
        return chosen
    given = [*(chosen if isinstance(chosen, list) else [chosen]), beside]
    loggers = [each for each in given if isinstance(each, Logger)]
    arranged = sorted(loggers, key=lambda each: not isinstance(each, CurveLogger))
    found = [each for each in arranged if isinstance(each, WandbLogger)]
    if len(found) > 1:
        raise UsageError("Weights & Biases is asked for twice, by wandb and by trainer.logger: leave one out")
    if found and not isinstance(arranged[0], CurveLogger):
        raise UsageError(
            "Weights & Biases has no folder for checkpoints: keep the CurveLogger in trainer.logger, see configs/wandb.yaml"
        )
    if found and found[0].version is not None:
        raise UsageError(
            f"'{found[0].version}' would be the id of the run at Weights & Biases, which a second training would write over: "
            "to name the run's folder, use --config configs/wandb.yaml and --trainer.logger.init_args.version=NAME"
        )
    return arranged


def start_wandb(trainer: lightning.Trainer) -> None:
    """Start the run at Weights & Biases, if one is requested; raises a VidferError without a login or a server."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            with explained_client():
                _ = logger.experiment


def fail_wandb() -> None:
    """Let the run at Weights & Biases, if one was started, end as failed: the client sees uncaught exceptions only."""
    if (client := sys.modules.get("wandb")) is not None and client.run is not None:
        client.run.finish(exit_code=1)


def send_settings(trainer: lightning.Trainer, config: Mapping[str, Any], hparams: Mapping[str, Any]) -> None:
    """Add a subcommand's configuration to the run at Weights & Biases, under the command line's names, as in a sweep.

    `hparams` are the task's, with the values that it chose itself, such as a learning rate that suits the optimiser.
    """
    model = config["model"]
    used = {name: hparams.get(name, value) for name, value in model["init_args"].items()}
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            add_settings(logger.experiment, sent_settings({**config, "model": {**model, "init_args": used}}))


def send_weights(trainer: lightning.Trainer, weights: Path) -> None:
    """Add a training's exported weights to its run at Weights & Biases, if that is requested."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbCurves):
            logger.finish_training(weights)
