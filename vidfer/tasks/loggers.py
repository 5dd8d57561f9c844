"""Loggers of trainings: the run's own curves, and Weights & Biases beside them on request."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightning
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from vidfer.pipeline.atomic import replacing
from vidfer.types import UsageError, VidferError

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
    """Lightning's logger, which sends numbers and hyper-parameters only unless more is chosen; `WANDB_MODE` says where to.

    Args:
        project: Project that the run is shown in.
        name: Name that it is shown under; the server invents one if not given.
        entity: User or team; the login's own if not given.
        group: Group of runs.
        tags: Tags to find it by.
        notes: Description.
        save_dir: Folder of the client's own files, `wandb` below it.
        log_model: Send the checkpoints, which may reveal training data.
        console: Send what is printed, file names of recordings included.
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
        console: bool = False,
    ) -> None:
        import wandb

        settings = wandb.Settings(console="auto" if console else "off")
        super().__init__(
            project=project, name=name, save_dir=save_dir, log_model=log_model,
            entity=entity, group=group, tags=tags, notes=notes, settings=settings,
        )  # fmt: skip
        self._wandb_init.pop("anonymous")  # the client warns of it on every start


def require_client(chosen: object) -> None:
    """Raise a VidferError if the configuration of the loggers needs Weights & Biases' client, and it is not installed."""
    if "Wandb" in repr(chosen):
        try:
            version("wandb")
        except PackageNotFoundError as error:
            raise VidferError("Weights & Biases needs its client: pip install 'vidfer[wandb]'") from error


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
    """Add a subcommand's configuration to the run at Weights & Biases, under the command line's names, as in a sweep."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            sent = {name: config.get(name) for name in ("seed_everything", "model", "data")}
            sent["trainer"] = {"max_epochs": config["trainer"]["max_epochs"]}
            there = logger.experiment.config.keys()  # a sweep's own
            logger.experiment.config.update({name: value for name, value in _flat(sent) if name not in there})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and not name.endswith(("root", "store")):  # paths on this machine
            yield f"{prefix}{name}", value
