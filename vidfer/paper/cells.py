"""Cells of the tables: each is one training with its test, kept by content and never computed twice."""

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome, tool_versions
from vidfer.pipeline.store import Draft, Place, Store, StoreError
from vidfer.pipeline.workers import run_all
from vidfer.types import ClipError, VidferError

STAGE: Final = "cells"
DENOISE: Final = "denoise"
CLASSIFY: Final = {"paper": "classify"} | {name: f"classify {name}" for name in ("faces", "sound", "both")}
"""Tasks of classifiers, by what they read: what the paper's comparison gives to each, or the same for all."""


@dataclass(frozen=True)
class Cell:
    """A training with its test; `seed` also decides which `size` training samples are drawn."""

    task: str
    model: str
    size: int
    seed: int

    def __str__(self) -> str:
        samples = "images" if self.task == DENOISE else "clips"
        return f"{self.task}: {self.model} on {self.size} {samples}, seed {self.seed}"


@dataclass(frozen=True)
class Experiment:
    """How the cells of a task are computed, and all that decides their metrics.

    `compute` maps model, number of samples and seed to metrics, on one CPU thread, and is pickled for several processes.
    `version` is bumped by hand when the same cell would give other metrics, `data` is a digest of the data's content, and
    `settings` are, by model, all else that decides, as JSON. There are `limit` training samples; None where only `compute` can
    tell. `source` names the data, `about` says of each model that can take part what it reads or is, and `left_out` of others why
    they cannot.
    """

    compute: Callable[[str, int, int], dict[str, Any]]
    version: int
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    source: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's key is made of."""
        return {
            "stage": STAGE,
            "version": self.version,
            "params": vars(cell),
            "inputs": {},
            "source": self.data,
            "settings": self.settings.get(cell.model),
            "tools": tool_versions("torch"),
        }


@dataclass(frozen=True)
class Result:
    """A cell's metrics, or the `reason` why there are none; `status` is `ok`, `unavailable` or `crashed`."""

    cell: Cell
    metrics: Mapping[str, Any] | None = None
    reason: str = ""
    status: str = "ok"
    stored: bool = False
    key: str = ""


def list_cells(sizes: Mapping[str, Sequence[int]], models: Mapping[str, Sequence[str]], seeds: int) -> list[Cell]:
    """List cells seed by seed, so that an interrupted run has whole tables of fewer seeds; sizes and models are by task."""
    return [
        Cell(task, model, size, seed)
        for seed in range(seeds)
        for task in sizes
        for size in sizes[task]
        for model in models[task]
    ]


def run_cells(
    cells: Sequence[Cell], experiments: Mapping[str, Experiment], store: Place, jobs: int = 1
) -> Iterator[Result]:
    """Yield the results of cells: first those that need no work, then each as soon as it is computed and stored.

    What cannot be computed is not stored, so that the next run tries it again. With `jobs` above 1, cells run in processes of
    their own, of which one that dies loses only its cell.
    """
    shelf, due = Store(store), []
    for cell in cells:
        experiment = experiments[cell.task]
        if experiment.limit is not None and cell.size > experiment.limit:
            reason = f"there are only {experiment.limit} samples to train on"
            yield Result(cell, reason=reason, status="unavailable")
        elif artifact := shelf.find(STAGE, recipe_key(experiment.recipe(cell))):
            yield Result(cell, artifact.json("metrics.json"), stored=True, key=artifact.key)
        else:
            due.append(cell)
    for position, done in run_all(partial(_compute, experiments, store), due, jobs, lambda *_: None):
        if isinstance(done, ClipError):
            yield Result(due[position], reason=f"{done.status}: {done.message}", status="crashed")
        else:
            yield Result(due[position], **done)


def _compute(
    experiments: Mapping[str, Experiment], store: Place, cell: Cell, _progress: Callable[[str, float], None]
) -> dict[str, Any]:
    experiment = experiments[cell.task]

    def make(draft: Draft) -> Outcome:
        start = time.process_time()
        try:
            metrics = experiment.compute(cell.model, cell.size, cell.seed)
        except ClipError as error:  # the cached step would store a clip's failure
            raise VidferError(str(error)) from error
        infinite = [name for name, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)]
        if infinite:
            raise VidferError(f"the training diverged: {', '.join(sorted(infinite))} is no finite number")
        spent = round(time.process_time() - start, 3)
        draft.write_json("metrics.json", metrics | {"processor": processor(), "cpu_seconds": spent})
        return Outcome()

    try:
        artifact = cached(Store(store), experiment.recipe(cell), make)
    except StoreError:
        raise
    except VidferError as error:
        return {"reason": str(error), "status": "unavailable"}
    return {"metrics": artifact.json("metrics.json"), "key": artifact.key}


def processor() -> str:
    """Name the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
