"""The paper's tables as they are rerun: which metric of which cells, in what unit, and what stands in each place."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from vidfer.metrics.classification import mean_interval
from vidfer.paper.cells import CLASSIFY, DENOISE, Result
from vidfer.types import VidferError

if TYPE_CHECKING:
    import pandas as pd

MODELS: Final = {
    "cnn": "CNN", "rcnn": "R-CNN", "lstm": "LSTM", "dbn": "DBN", "rnn": "RNN", "gan": "GAN-SGDMA", "mlp": "MLP",
}  # fmt: skip
"""The paper's columns, and one that it lacks: a committee of perceptrons, where all read the same."""
EQUAL: Final = {
    "faces": "all read face embeddings",
    "sound": "all read sound vectors",
    "both": "all read face embeddings and sound vectors",
}
"""Comparisons beside the paper's, in which every classifier reads the same."""
LABEL: Final = "paper (reported, not reproduced)"  # over every column and panel that holds the paper's own figures


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the paper, or a companion that the paper lacks: `number` 3b with `figure` 7b, or 4-faces with 8-faces.

    Printed is the metric `key` of the cells of `task`, times `scale`, in `unit`, with so many decimal `digits` (None for three
    significant digits); intervals only between `low` and `high`, the least and largest possible value. `chance` is what equal
    probabilities for every class, or guessing, would reach, None where that means nothing; `before` names the same metric of a
    denoiser's input. `name` is for files, `axis` for axes, where the title is too long.
    """

    number: str
    figure: str
    name: str
    title: str
    axis: str = ""
    task: str = CLASSIFY["paper"]
    key: str
    unit: str = "%"
    scale: float = 1.0
    low: float = 0.0
    high: float = math.inf
    digits: int | None = 1
    chance: float | None = None
    before: str = ""

    @property
    def samples(self) -> str:
        """What the sizes count."""
        return "training images" if self.task == DENOISE else "training clips"

    @property
    def of(self) -> str:
        """The number of the paper's table that this one is, or accompanies."""
        return self.number.partition("-")[0].rstrip("b")


def _share(number: str, figure: str, name: str, title: str, chance: float | None = None) -> Table:
    return Table(number=number, figure=figure, name=name, title=title, key=name, scale=100, high=100, chance=chance)


TABLES: Final = (  # 1 to 6 with figures 5 to 10, and companions of tables 3 and 5
    _share("1", "5", "precision", "Precision, mean over the classes"),
    _share("2", "6", "recall", "Recall, mean over the classes", 100 / 7),
    Table(
        number="3", figure="7", name="psnr", title="Peak signal-to-noise ratio of denoisers", axis="PSNR", task=DENOISE,
        key="psnr", unit="dB", low=-math.inf, digits=2, before="psnr_noisy",
    ),
    _share("4", "8", "accuracy", "Accuracy", 100 / 7),
    Table(number="5", figure="9", name="time", title="Execution time", key="seconds", unit="s", digits=None),
    Table(
        number="5b", figure="9b", name="time_from_files", title="Execution time, features included", key="seconds_from_files",
        unit="s", digits=None,
    ),
    _share("6", "10", "rmse", "RMSE of the class probabilities", 100 * (6 / 49) ** 0.5),
    Table(
        number="3b", figure="7b", name="pixel_rmse", title="RMSE of the denoisers' pixels", axis="RMSE of pixels",
        task=DENOISE, key="rmse", unit="on 0-255", digits=2,
    ),
)  # fmt: skip


def equal_tables(inputs: str) -> tuple[Table, ...]:
    """Return the companions of the tables of classifiers in which every one reads the same: one of `EQUAL`."""
    return tuple(
        replace(
            table,
            number=f"{table.number}-{inputs}",
            figure=f"{table.figure}-{inputs}",
            title=f"{table.title}; {EQUAL[inputs]}",
            axis=table.axis or table.title,
            task=CLASSIFY[inputs],
        )
        for table in TABLES
        if table.task != DENOISE
    )


def comparison(task: str) -> str:
    """Name what the models of a task are, and what makes them comparable."""
    if task == DENOISE:
        return "denoisers"
    return next(
        (f"classifiers; {EQUAL[name]}" for name in EQUAL if CLASSIFY[name] == task), "classifiers, as in the paper"
    )


@cache
def reported_tables() -> dict[tuple[str, int], dict[str, str]]:
    """Return the paper's own figures as printed, digit by digit, by model, for each table and number of samples.

    They are in %, dB (table 3) and s (table 5). None was reproduced, none is used as ours, and they cannot all be true (Cherian,
    Vaidhehi, Arshey: Optimized video facial expression recognition using generative adversarial networks with stochastic
    gradient descent momentum, tables 1 to 6).
    """
    text = files("vidfer.paper").joinpath("reported.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["table"], int(row["size"])): {model: row[model] for model in MODELS if model in row} for row in rows}


@dataclass(frozen=True)
class Rerun:
    """What was measured, and on what, by task: `sizes`, `sources` (the data in words), and by model `about` and `left_out`."""

    tables: Sequence[Table]
    models: Sequence[str]
    sizes: Mapping[str, Sequence[int]]
    seeds: int
    results: Sequence[Result]
    sources: Mapping[str, str]
    about: Mapping[str, Mapping[str, str]]
    command: str
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def columns(self, task: str) -> list[str]:
        """List the models that can take part in a task."""
        return [model for model in self.models if model in self.about[task]]

    def places(self, table: Table) -> "pd.DataFrame":
        """Fill a table: a line for each place, row by row, with `model`, its column, and `size`, its row.

        `mean` is over as many `seeds`, with its 95 % interval from `low` to `high`, which may exceed what is possible, in the
        table's unit; NaN where there is none. `n_test` is text, a range where cells differ; `reasons` say why seeds are missing;
        `paper` is what the paper reports, as printed there, or nothing.

        Raises:
            VidferError: A cell lacks the table's metric.
        """
        import pandas as pd

        rows = []
        for size, model in product(self.sizes[table.task], self.columns(table.task)):
            place = (table.task, model, size)
            found = [each for each in self.results if (each.cell.task, each.cell.model, each.cell.size) == place]
            done = [each.metrics for each in found if each.metrics is not None]
            if any(table.key not in metrics for metrics in done):
                raise VidferError(
                    f"a cell of {model} has no {table.key}: raise its version, so that it is computed anew"
                )
            values = [table.scale * float(metrics[table.key]) for metrics in done]
            low, high = mean_interval(values) or (math.nan, math.nan)
            counts = sorted({int(metrics["n_test"]) for metrics in done})
            row = {
                "model": model,
                "size": size,
                "seeds": len(values),
                "mean": sum(values) / len(values) if values else math.nan,
                "low": float(low),
                "high": float(high),
                "n_test": " to ".join(str(count) for count in dict.fromkeys((*counts[:1], *counts[-1:]))),
                "data": "; ".join(dict.fromkeys(str(metrics["data"]) for metrics in done)),
                "reasons": tuple(dict.fromkeys(each.reason for each in found if each.reason)),
                "paper": reported_tables().get((table.number, size), {}).get(model, ""),
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def measured(self, task: str, model: str | None = None) -> list[Mapping[str, Any]]:
        """List the metrics of those cells of a task, or of one model in it, that could be computed."""
        own = [each for each in self.results if each.cell.task == task and model in (None, each.cell.model)]
        return [each.metrics for each in own if each.metrics is not None]

    def title(self, table: Table) -> str:
        """Name a table, its unit and its data."""
        tested = sorted(set(self.places(table).n_test) - {""})
        number = f"; n = {' or '.join(tested)}" if tested else ""
        return f"{table.title} ({table.unit}): {self.sources[table.task]}{number}; seeds: {self.seeds}"

    def reference(self, table: Table) -> tuple[float, str] | None:
        """Return a value to compare with, and what it is: of guessing, or of the denoisers' input."""
        if table.chance is not None:
            return table.chance, "equal probabilities for every class"
        before = [float(metrics[table.before]) for metrics in self.measured(table.task) if table.before in metrics]
        return (sum(before) / len(before), f"before denoising: {before[0]:.2f} {table.unit}") if before else None
