"""Learning curves as a file that a resumed run goes on with."""

import csv
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only


class CurveLogger(CSVLogger):
    """Lightning's `metrics.csv`, except that a folder's earlier rows are kept, where Lightning's logger deletes them.

    Every row is on disk at once, so that a run which goes on from a checkpoint has the whole curve.

    Args:
        save_dir: Folder of all runs.
        name: Folder of the stage's runs, below it.
        version: Folder of this run, below that; `version_0`, `version_1`... if not given.
    """

    def __init__(self, save_dir: str, name: str, version: str | None = None) -> None:
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=1)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:  # noqa: ANN401 - as Lightning's
        """Return the writer of the file."""
        if self._experiment is None:
            Path(self.root_dir).mkdir(parents=True, exist_ok=True)
            self._experiment = _Writer(log_dir=self.log_dir)
        return self._experiment

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
            rows = list(reader)
        return list(reader.fieldnames or ()), rows
