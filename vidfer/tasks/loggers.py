"""Where a training's numbers go: the run's own curves first, and Weights & Biases beside them when it is asked for."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import lightning
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from vidfer.pipeline.atomic import replacing
from vidfer.types import UsageError, VidferError

_COUNTERS: Final = ("epoch", "step", "generator_steps")
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
_SENT: Final = ("seed_everything", "model", "data")
_PLACES: Final = ("root", "store")  # where something lies on this machine says nothing about the training


class CurveLogger(CSVLogger):
    """Lightning's `metrics.csv`, except that a folder's earlier rows are kept, where Lightning's logger deletes them.

    At a training's end they are drawn into `curves.png`. Set `closed`, and nothing is written: a look at a run is no part of it.

    Every row is on disk at once, so that a run which goes on from a checkpoint has the whole curve.

    Args:
        save_dir: Folder of all runs.
        name: Folder of the stage's runs, below it.
        version: Folder of this run, below that; `version_0`, `version_1`... if not given.
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
        """Drop the rows from a step on: the resumed run does it again."""
        self.experiment.drop_from(step)


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Take over the columns of the rows that are there already."""
        self.metrics_keys = list(self._rows()[0])

    def drop_from(self, step: int) -> None:
        columns, rows = self._rows()
        path = Path(self.metrics_file_path)
        if not columns:
            return
        with replacing(path) as shorter, shorter.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) < step)

    def _rows(self) -> tuple[list[str], list[dict[str, str]]]:
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return [], []
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if (row["step"] or "").isdigit()]  # the last may be cut off by a power cut
        return list(reader.fieldnames or ()), rows


def draw_curves(metrics: Path, image: Path) -> None:
    """Draw every metric of a `metrics.csv` over its batches, training and validation together; a test is no curve."""
    from matplotlib.figure import Figure

    panels = _panels(metrics)
    if not panels:
        return
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    last = max(points[-1][0] for lines in panels.values() for points in lines.values())
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    for number, (title, lines) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        for (name, points), style in zip(lines.items(), ("-", "--", ":", "-."), strict=False):
            axes.plot(*zip(*points, strict=True), style, label=name, linewidth=1.4, markersize=3)
        if title == "loss" and all(value > 0 for points in lines.values() for _, value in points):
            axes.set_yscale("log")
        axes.set(xlabel="batches", xlim=(0, last), ylabel=_LABELS.get(title, title.replace("_", " ")))
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize="small")
    with replacing(image) as part:
        figure.savefig(part, format=image.suffix[1:], dpi=120)


def _panels(metrics: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    panels: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    if not metrics.is_file():
        return panels
    with metrics.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                split, _, measure = name.partition("_")
                if text and name not in _COUNTERS and split != "test":
                    known = split in ("train", "val")
                    title = measure.removesuffix("_noisy") if known else name
                    panels[title][name.replace("_", " ")].append((int(row["step"]) + 1, float(text)))
    return panels


class WandbCurves(WandbLogger):
    """Lightning's logger with what is safe to choose: numbers and hyper-parameters go out, and nothing that was printed.

    Whether the run goes to a server is the environment's to say (`WANDB_MODE`: `online`, `offline` or `disabled`), and each
    training gets an id of its own, so that none is written over.

    Args:
        project: Where the run is shown.
        name: Name that it is shown under; the server invents one if not given.
        entity: User or team; the login's own if not given.
        group: What it is grouped under.
        tags: What it can be found by.
        notes: What it is about.
        save_dir: Folder of the client's own files, `wandb` below it.
        log_model: Whether the checkpoints are sent, which fit the training data and may tell about them.
        console: Whether what is printed is sent, file names of recordings included.
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
