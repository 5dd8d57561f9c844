"""Cells of the paper's tables of classifiers: a model, a number of training clips, a seed."""

import time
from collections.abc import Sequence
from functools import lru_cache, partial
from inspect import signature
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import Sample, collate_clips
from vidfer.datamodules.paired import build_clip_data
from vidfer.inference.models import one_thread
from vidfer.models.classifiers.base import Classifier
from vidfer.paper.cells import Experiment
from vidfer.tasks.fit import RECIPES, Recipe, fit, predict_all
from vidfer.types import EMOTIONS

VERSION: Final = 1  # bumped by hand when the same cell would give other metrics
STEPS: Final = 300  # of every training, whatever the number of clips; a few more where whole epochs do not divide it
BATCH: Final = 16  # clips a step
INPUTS: Final = {  # what each of the paper's models reads here; the paper does not say
    "cnn": "face images",
    "rcnn": "face images with landmarks",
    "lstm": "face embeddings in order",
    "rnn": "face embeddings in order",
    "dbn": "face embeddings and sound vectors",
    "gan": "face embeddings and sound vectors",
}
_NO_SETTINGS: Final = ("root", "faces_root", "store", "image_model", "size", "seed")  # places, or what each cell says


def classifier_experiment(data: str, root: str | None, store: Path) -> Experiment:
    """Prepare the cells of classifiers on `data`, as `build_clip_data` takes it: generate, find and digest the clips."""
    module = build_clip_data(data, root, store=str(store), seed=0)
    digest = module.content_digest()  # prepares the data, too
    reading = {name: value for name, value in module.hparams.items() if name not in _NO_SETTINGS}
    shared = {"steps": STEPS, "batch": BATCH, "reading": reading}
    return Experiment(
        compute=partial(run_classifier_cell, data=data, root=root, store=str(store)),
        version=VERSION,
        data=digest,
        settings={model: _settings(model) | shared for model in INPUTS},
        limit=len(module.splits()["train"]),
        source=module.source,
        about=INPUTS,
    )


def cell_recipe(model: str, size: int = BATCH) -> Recipe:
    """Return how one of `INPUTS` is trained on `size` clips: by its recipe, in `STEPS` steps of `BATCH` clips."""
    known = RECIPES[model]
    modality = {"modality": "both"} if model in ("dbn", "gan") else {}
    return Recipe(model, known.arguments | modality, -(-STEPS // max(size // BATCH, 1)), known.settings)


def run_classifier_cell(model: str, size: int, seed: int, *, data: str, root: str | None, store: str) -> dict[str, Any]:
    """Train one of `INPUTS` on so many clips, classes balanced where possible, and test it on held-out people.

    `precision` (equation 17) and `recall` (equation 18) are means over the classes that occur, where a class that is never
    predicted has precision 0; `rmse` is of the class probabilities; all three and `accuracy` are in [0, 1]. `seconds` are of
    CPU for the predictions of `size` clips from stored features.
    """
    from sklearn.metrics import precision_recall_fscore_support

    recipe = cell_recipe(model, size)
    with one_thread():
        module = build_clip_data(data, root, size=size, seed=seed, store=store, batch_size=BATCH)
        module.share(_read(data, root, store, recipe.task().reads))
        task = fit(recipe, module, seed=seed)
        probabilities, target = predict_all(task.classifier, module.test_dataloader())
        seconds = inference_seconds(task.classifier, module.samples["test"], size)
    preds = probabilities.argmax(1)
    precision, recall, _, _ = precision_recall_fscore_support(
        target, preds, labels=np.unique(target), average="macro", zero_division=0
    )
    people = sorted({clip.person or "unknown" for clip in module.splits()["test"]})
    return {
        "precision": float(precision),
        "recall": float(recall),
        "accuracy": float((preds == target).mean()),
        "rmse": probability_rmse(probabilities, target),
        "seconds": seconds,
        "n_test": len(target),
        "params": sum(weight.numel() for weight in task.classifier.parameters()),
        "data": f"{module.source}, tested on {', '.join(people)}",
    }


def probability_rmse(probabilities: npt.NDArray[np.float64], target: npt.NDArray[np.int64]) -> float:
    """Compute the RMSE between probabilities `(N, 7)` and one-hot targets `(N,)`, in [0, 1]; 0.35 for equal shares."""
    return float(np.sqrt(((probabilities - np.eye(len(EMOTIONS))[target]) ** 2).mean()))


def inference_seconds(classifier: Classifier, samples: Sequence[Sample], count: int) -> float:
    """Measure the CPU time in s of the predictions for `count` clips, `samples` repeated, in one batch: the least of three."""
    batch = collate_clips(list(islice(cycle(samples), count)))
    spent = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.process_time()
            classifier(batch)
            spent.append(time.process_time() - start)
    return min(spent)


@lru_cache(maxsize=4)
def _read(data: str, root: str | None, store: str, reads: tuple[str, ...]) -> ClipDataModule:
    """Read a data set's clips once in a process, whatever the cells draw from them."""
    module = build_clip_data(data, root, store=store, reads=list(reads))
    module.prepare_data()
    module.notify = lambda _line: None  # in the middle of a table's progress
    for stage in ("fit", "test"):
        module.setup(stage)
    return module


def _settings(model: str) -> dict[str, Any]:
    """Return all settings of a training, defaults of the network and of the task included: they may be changed, too."""
    task = cell_recipe(model).task()
    accepted = signature(type(task.classifier)).parameters.values()
    defaults = {each.name: each.default for each in accepted if each.default is not each.empty}
    return {**task.hparams, "arguments": {**defaults, **(task.hparams["arguments"] or {})}}
