"""`vidfer tables`: what is asked for, computed, and written."""

import math
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from vidfer.paper.cells import DENOISE, Experiment, Result, list_cells, run_cells
from vidfer.paper.page import format_value
from vidfer.paper.tables import MODELS, TABLES, Rerun, Table, comparison, equal_tables
from vidfer.pipeline.store import Place, default_store
from vidfer.types import UsageError
from vidfer.weights.bundles import read_bundle

Model = Literal["cnn", "rcnn", "lstm", "dbn", "rnn", "gan", "mlp"]
Inputs = Literal["paper", "faces", "sound", "both"]
Number = Literal["1", "2", "3", "4", "5", "6"]


@dataclass(frozen=True)
class RerunOptions:
    """Rerun the paper's tables and figures on named data.

    Every classifier is trained on so many clips and tested on held-out people; every denoiser on twice as many images. A
    finished cell is kept in the store: after an interruption the same command goes on with the next one. The paper's own
    figures are printed beside ours, marked as reported and not reproduced.

    Args:
        data: `paired`, `ravdess`, `crema_d`, `afew`, `folders`, `manifest`, or a folder or CSV file of labelled clips;
            `sample` for generated ones.
        out: Folder for tables and figures.
        root: Where the data lie (default: the usual place below data/).
        sizes: Numbers of training clips; denoisers get twice as many images.
        seeds: Trainings of each cell.
        models: Columns of the tables; the paper lacks `mlp`, which takes part only where all read the same.
        inputs: What classifiers read: `paper`, what the paper's comparison gives to each; or the same for all, in tables of
            their own: `faces`, embeddings; `sound`, vectors of windows; `both`.
        tables: The paper's numbers of tables.
        bundle: Folder of a bundle whose image model embeds the faces, and whose denoiser cleans them before.
        image_model: Weights of the embeddings of faces, by name or `.safetensors` file.
        denoise_model: Weights by which faces are denoised before. Faces of paired clips are denoised only with this option or
            `--bundle`.
        denoise_root: Photographs of table 3, with set5 and set14 beside them, or `sample` (default: data/bsds500; with
            --data sample: `sample`).
        steps: Training steps of every denoiser.
        jobs: Cells at once.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    data: str = field(metadata={"metavar": "NAME|PATH"})
    out: Path
    root: str | None = field(default=None, metadata={"metavar": "DIR"})
    sizes: tuple[int, ...] = (50, 100, 150, 200, 250, 300)
    seeds: int = 5
    models: tuple[Model, ...] = get_args(Model)
    inputs: tuple[Inputs, ...] = ("paper",)
    tables: tuple[Number, ...] = field(default=get_args(Number), metadata={"metavar": "N,..."})
    bundle: Path | None = field(default=None, metadata={"metavar": "DIR"})
    image_model: str | None = field(default=None, metadata={"metavar": "NAME|FILE"})
    denoise_model: str | None = field(default=None, metadata={"metavar": "NAME|FILE"})
    denoise_root: str | None = field(default=None, metadata={"metavar": "DIR"})
    steps: int = 150
    jobs: int = 1
    store: str | None = None

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds", "steps", "jobs"):
            value = getattr(self, name)
            if (least := min(value) if isinstance(value, tuple) else value) < 1:
                raise UsageError(f"--{name}: {least} is not a whole number from 1 on")
        for name, order in (
            ("sizes", sorted(self.sizes)),
            ("models", MODELS),
            ("inputs", get_args(Inputs)),
            ("tables", get_args(Number)),
        ):
            object.__setattr__(self, name, tuple(each for each in order if each in getattr(self, name)))

    @property
    def weights(self) -> dict[str, Any]:
        """The arguments of data modules that say by which weights features are computed: the bundle's, and what is given.

        Raises:
            UsageError: The bundle has no image model.
        """
        found: dict[str, Any] = {}
        if self.bundle is not None:
            bundle = read_bundle(self.bundle)
            if "image" not in bundle.names:
                raise UsageError(f"--bundle: {self.bundle} has no image model, which embeddings are computed by")
            found = {name: bundle.settings[name] for name in ("denoise", "denoise_threshold")}
            found |= {"image_model": bundle.names["image"], "denoise_model": bundle.names.get("denoise")}
        given = {"image_model": self.image_model, "denoise_model": self.denoise_model}
        return found | {name: value for name, value in given.items() if value is not None}

    @property
    def command(self) -> str:
        """The command, with the options that decide what is measured."""
        words = ["vidfer", "tables"]
        for name, value in vars(self).items():
            if value is not None and name not in ("out", "jobs", "store"):
                text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                words += [f"--{name.replace('_', '-')}", text]
        return f"{shlex.join(words)} --out DIR"


def prepare_experiments(options: RerunOptions, store: Place, tables: Sequence[Table]) -> dict[str, Experiment]:
    """Find the data of the tables' tasks."""
    from vidfer.paper.classifiers import ClipSource, classifier_experiments
    from vidfer.paper.denoising import denoiser_experiment

    tasks = {table.task for table in tables}
    experiments: dict[str, Experiment] = {}
    if tasks - {DENOISE}:
        source = ClipSource(options.data, options.root, str(store), tuple(options.weights.items()))
        experiments |= classifier_experiments(source, options.inputs)
    if DENOISE in tasks:
        photos = options.denoise_root or ("sample" if options.data == "sample" else "data/bsds500")
        experiments[DENOISE] = denoiser_experiment(photos, options.steps)
    return experiments


def rerun_tables(
    options: RerunOptions, notify: Callable[[str], None], progress: Callable[[float, float, str], None]
) -> Rerun:
    """Compute those cells of the tables that the store does not have.

    `notify` gets a line on each cell that cannot be computed, `progress` the cells done, all cells, and the last one's name.

    Raises:
        UsageError: None of the models can take part in one of the comparisons.
    """
    store = options.store or default_store()
    tables = chosen_tables(options)
    experiments = prepare_experiments(options, store, tables)
    twice = {DENOISE: 2}  # as the paper has it
    sizes = {task: [size * twice.get(task, 1) for size in options.sizes] for task in experiments}
    models = {task: [model for model in options.models if model in experiments[task].about] for task in experiments}
    if empty := [task for task in models if not models[task]]:
        raise UsageError(f"--models: {', '.join(options.models)} can take no part in {comparison(empty[0])}")
    cells = list_cells(sizes, models, options.seeds)
    results: dict[object, Result] = {}
    for result in run_cells(cells, experiments, store, options.jobs):
        results[result.cell] = result
        progress(len(results), len(cells), str(result.cell))
        if result.reason:
            notify(f"{result.cell}: {result.status}: {result.reason}")
    return Rerun(
        tables=tables,
        models=options.models,
        sizes=sizes,
        seeds=options.seeds,
        results=[results[cell] for cell in cells],
        sources={task: experiment.source for task, experiment in experiments.items()},
        about={task: experiment.about for task, experiment in experiments.items()},
        left_out={task: experiment.left_out for task, experiment in experiments.items()},
        command=options.command,
    )


def chosen_tables(options: RerunOptions) -> list[Table]:
    """List the tables that are asked for, each with its companions: the paper's first, then those of equal inputs."""
    paper = [table for table in TABLES if table.task == DENOISE or "paper" in options.inputs]
    equal = [table for inputs in options.inputs if inputs != "paper" for table in equal_tables(inputs)]
    return [table for table in (*paper, *equal) if table.of in options.tables]


def overview(rerun: Rerun) -> list[str]:
    """Say in a few lines what was measured at the largest size of each table."""
    width = max(len(f"{table.title}, {table.unit}") for table in rerun.tables)
    lines = list(rerun.sources.values())
    taking_part = {model for table in rerun.tables for model in rerun.columns(table.task)}
    models = [model for model in rerun.models if model in taking_part]
    titles = "".join(f"{MODELS[model]:>11}" for model in models)
    lines.append(f"{'measured here, means':{width}} {'n':>5}{titles}")
    for table in rerun.tables:
        size, means = _largest(rerun, table)
        cells = "".join(f"{format_value(means[model], table) if model in means else '':>11}" for model in models)
        lines.append(f"{f'{table.title}, {table.unit}':{width}} {size:>5}{cells}")
    return lines


def summary(rerun: Rerun, page: Path) -> dict[str, Any]:
    """Return what the command's last line says as JSON; `page` is the path of `tables.md`."""
    missing = Counter(result.reason for result in rerun.results if result.metrics is None)
    tables = {}
    for table in rerun.tables:
        size, means = _largest(rerun, table)
        rounded = {model: None if math.isnan(mean) else round(mean, 6) for model, mean in means.items()}
        tables[table.number] = {"metric": table.key, "unit": table.unit, "size": size, "mean": rounded}
    return {
        "out": str(page),
        "data": dict(rerun.sources),
        "seeds": rerun.seeds,
        "cells": len(rerun.results),
        "stored": sum(result.stored for result in rerun.results),
        "missing": missing,
        "tables": tables,
    }


def _largest(rerun: Rerun, table: Table) -> tuple[int, dict[str, float]]:
    """Return the largest size at which a table has a value, or that was wanted, with its means by model."""
    places = rerun.places(table)
    size = max(places["size"][places["mean"].notna()], default=max(rerun.sizes[table.task]))
    last = places[places["size"] == size]
    return int(size), dict(zip(last["model"], last["mean"], strict=True))
