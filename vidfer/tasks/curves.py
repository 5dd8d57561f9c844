"""Learning curves as a file that a resumed run goes on with."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

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
        """Drop the rows of steps that are about to be done again.

        Args:
            step: First step of the resumed run.
        """
        self.experiment.drop_from(step)


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Learn the columns of the rows that are there already."""
        self.metrics_keys = list(self._rows()[0])

    def drop_from(self, step: int) -> None:
        columns, rows = self._rows()
        path = Path(self.metrics_file_path)
        if not columns:
            return
        shorter = path.with_suffix(".tmp")
        with shorter.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) < step)
        shorter.replace(path)

    def _rows(self) -> tuple[list[str], list[dict[str, str]]]:
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return [], []
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if (row["step"] or "").isdigit()]  # the last may be cut off by a power cut
        return list(reader.fieldnames or ()), rows


def draw_curves(metrics: Path, image: Path) -> None:
    """Draw every metric of a training over its batches, training and validation together; a test is no curve.

    Args:
        metrics: A `metrics.csv`; without rows, nothing is drawn.
        image: Where to: a `.png` or `.svg`.
    """
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
    figure.savefig(image, dpi=120)


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
