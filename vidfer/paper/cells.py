"""Cells of the tables: each is trained and tested once, kept by content, and never done again."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vidfer.paper.tables import CLASSIFY
from vidfer.pipeline.store import Artifact, Store, StoreError, recipe_key
from vidfer.types import ClipError, VidferError

STAGE: Final = "cells"

Compute = Callable[[str, int, int], dict[str, Any]]
"""From model, number of samples and seed to the cell's figures; pickled where several processes work."""


@dataclass(frozen=True)
class Cell:
    """What one training and its test are known by.

    Args:
        task: `classify` or `denoise`.
        model: One of `MODELS`.
        size: Number of training samples.
        seed: Which samples, and the training's chance.
    """

    task: str
    model: str
    size: int
    seed: int

    def __str__(self) -> str:
        what = "clips" if self.task == CLASSIFY else "images"
        return f"{self.model} on {self.size} {what}, seed {self.seed}"


@dataclass(frozen=True)
class Maker:
    """How the cells of a task come about.

    Args:
        compute: What does the work, by one thread, so that the figures do not depend on how many cells are computed at once.
        version: Bumped by hand when the same cell would give other figures.
        data: Digest of the data, by content.
        settings: Everything else that decides the figures, by model, as JSON.
        limit: How many training samples there are; None where only `compute` knows.
        source: What the data are, for people.
        about: What each model reads or is, for people.
    """

    compute: Compute
    version: int
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    source: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's key is made of."""
        from vidfer.pipeline.versions import tool_versions

        return {
            "stage": STAGE,
            "version": self.version,
            "params": {"task": cell.task, "model": cell.model, "size": cell.size, "seed": cell.seed},
            "inputs": {},
            "source": self.data,
            "settings": self.settings.get(cell.model),
            "tools": tool_versions("torch"),
        }


@dataclass(frozen=True)
class Result:
    """What became of a cell.

    Args:
        cell: Which one.
        figures: What it measured; None where it could not be computed.
        reason: Why not.
        status: `ok`; `unavailable`, where data or model do not allow it; `crashed`, where its process died.
        stored: Whether it was found in the store.
        key: Of its artifact.
    """

    cell: Cell
    figures: Mapping[str, Any] | None = None
    reason: str = ""
    status: str = "ok"
    stored: bool = False
    key: str = ""


def list_cells(tasks: Mapping[str, Sequence[int]], models: Sequence[str], seeds: int) -> list[Cell]:
    """List cells seed by seed, so that an interrupted run has whole tables of fewer seeds.

    Args:
        tasks: The numbers of samples, by task.
        models: The models.
        seeds: How many seeds, from 0 on.
    """
    return [
        Cell(task, model, size, seed)
        for seed in range(seeds)
        for task, sizes in tasks.items()
        for size in sizes
        for model in models
    ]


def find_cells(cells: Sequence[Cell], makers: Mapping[str, Maker], store: Path) -> dict[Cell, Result]:
    """Look cells up in the store, and leave out those for which there are too few samples.

    Args:
        cells: The cells.
        makers: By task.
        store: Folder of artifacts.

    Returns:
        The results of those that need not be computed.
    """
    known, shelf = {}, Store(store)
    for cell in cells:
        maker = makers[cell.task]
        if maker.limit is not None and cell.size > maker.limit:
            reason = f"there are only {maker.limit} samples to train on"
            known[cell] = Result(cell, reason=reason, status="unavailable")
        elif artifact := shelf.find(STAGE, recipe_key(maker.recipe(cell))):
            known[cell] = Result(cell, _figures(artifact), stored=True, key=artifact.key)
    return known


def run_cells(cells: Sequence[Cell], makers: Mapping[str, Maker], store: Path, jobs: int = 1) -> Iterator[Result]:
    """Compute cells and yield each as it is finished.

    It is in the store before it is yielded. What cannot be computed is not stored, so that it is tried again.

    Args:
        cells: The cells.
        makers: By task.
        store: Folder of artifacts.
        jobs: How many cells at once; above 1 in processes of their own, of which one that dies loses only its cell.

    Raises:
        StoreError: The store is full or cannot be written.
    """
    from vidfer.pipeline.workers import run_all

    for position, done in run_all(_Work(makers, store), cells, jobs, lambda *_: None):
        if isinstance(done, ClipError):
            yield Result(cells[position], reason=f"{done.status}: {done.message}", status="crashed")
        else:
            yield Result(cells[position], **done)


def _figures(artifact: Artifact) -> dict[str, Any]:
    figures: dict[str, Any] = artifact.json("figures.json")
    return figures


@dataclass(frozen=True)
class _Work:
    makers: Mapping[str, Maker]
    store: Path

    def __call__(self, cell: Cell, progress: Callable[[str, float], None]) -> dict[str, Any]:
        maker = self.makers[cell.task]
        start = time.process_time()
        try:
            figures = maker.compute(cell.model, cell.size, cell.seed)
        except StoreError:
            raise
        except VidferError as error:
            return {"reason": str(error), "status": "unavailable"}
        if wrong := sorted(
            name for name, value in figures.items() if isinstance(value, float) and not math.isfinite(value)
        ):
            return {"reason": f"the training diverged: {', '.join(wrong)} is no finite number", "status": "unavailable"}
        told = figures | {"processor": processor_name(), "cpu_seconds": round(time.process_time() - start, 3)}
        recipe = maker.recipe(cell)
        store = Store(self.store)
        with store.draft(STAGE, recipe_key(recipe)) as draft:
            draft.write_json("figures.json", told)
            artifact = store.publish(draft.seal(recipe))
        return {"figures": _figures(artifact), "key": artifact.key}


def processor_name() -> str:
    """Name the processor, for whoever reads the times."""
    import platform

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
