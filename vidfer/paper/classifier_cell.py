"""One cell of the paper's tables of classifiers: a model, a number of training clips, a seed."""

import time
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import Sample, collate_clips
from vidfer.datamodules.named import build_clip_data
from vidfer.metrics.classification import score
from vidfer.models.classifiers.base import Classifier
from vidfer.tasks.fit import RECIPES, Recipe, answer_all, fit
from vidfer.types import EMOTIONS

VERSION: Final = 1
"""Bumped by hand when the same cell would give other figures."""

STEPS: Final = 300
"""Steps of every training, whatever the model and the number of clips; a few more where whole passes do not divide it."""

BATCH: Final = 16
"""Clips a step."""

INPUTS: Final = {
    "cnn": "face images",
    "rcnn": "face images with landmarks",
    "lstm": "face embeddings in order",
    "rnn": "face embeddings in order",
    "dbn": "face embeddings and sound vectors",
    "gan": "face embeddings and sound vectors",
}
"""What each of the paper's models reads here; the paper does not say."""

_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {"dbn": {"modality": "both"}, "gan": {"modality": "both"}}


def cell_recipe(model: str, size: int = BATCH) -> Recipe:
    """Return how a model of the tables is trained: by its recipe, in `STEPS` steps of `BATCH` clips.

    Args:
        model: One of `INPUTS`.
        size: Number of training clips.
    """
    known = RECIPES[model]
    epochs = -(-STEPS // max(size // BATCH, 1))
    return Recipe(model, known.arguments | _ARGUMENTS.get(model, {}), epochs, known.settings)


def run_classifier_cell(model: str, size: int, seed: int, *, data: str, root: str | None, store: str) -> dict[str, Any]:
    """Train a model on so many clips and test it on people that none of them shows.

    Args:
        model: One of `INPUTS`.
        size: Number of training clips, classes as even as can be.
        seed: Which clips, and the training's chance.
        data: See `build_clip_data`.
        root: Where the data lie; None for the usual place.
        store: Folder of artifacts.

    Returns:
        `precision` and `recall`, means over the classes, `accuracy`, and `rmse` of the class probabilities, as shares; `seconds`
        of CPU for answering `size` clips from stored features; `n_test`, `params`, and `data`, which names the data.

    Raises:
        VidferError: There are fewer clips, or they lack what the model reads.
    """
    recipe = cell_recipe(model, size)
    module = build_clip_data(data, root, size=size, seed=seed, store=store, batch_size=BATCH)
    module.share(_read(data, root, store, recipe.task().reads))
    task = fit(recipe, module, seed=seed)
    probabilities, target = answer_all(task.classifier, module.test_dataloader())
    precision, recall = macro_precision_recall(score(target, probabilities.argmax(1)).confusion)
    people = sorted({clip.person or "unknown" for clip in module.splits()["test"]})
    return {
        "precision": precision,
        "recall": recall,
        "accuracy": float((probabilities.argmax(1) == target).mean()),
        "rmse": probability_rmse(probabilities, target),
        "seconds": inference_seconds(task.classifier, module.samples["test"], size),
        "n_test": len(target),
        "params": sum(weight.numel() for weight in task.classifier.parameters()),
        "data": f"{module.source}, tested on {', '.join(people)}",
    }


@lru_cache(maxsize=4)
def _read(data: str, root: str | None, store: str, reads: tuple[str, ...]) -> ClipDataModule:
    """Read a data set's clips once in a process, whatever the cells draw from them."""
    module = build_clip_data(data, root, store=store, reads=list(reads))
    module.prepare_data()
    module.notify = lambda _line: None  # in the middle of a table's progress
    for stage in ("fit", "test"):
        module.setup(stage)
    return module


def macro_precision_recall(confusion: list[list[int]]) -> tuple[float, float]:
    """Average precision (equation 17) and recall (equation 18) over the classes that occur.

    A class that is never answered has precision 0.

    Args:
        confusion: Counts; rows are targets, columns answers.
    """
    counts = np.array(confusion, float)
    right, occurs = np.diag(counts), counts.sum(1) > 0
    precision = right / np.maximum(counts.sum(0), 1)
    recall = right / np.maximum(counts.sum(1), 1)
    return float(precision[occurs].mean()), float(recall[occurs].mean())


def probability_rmse(probabilities: npt.NDArray[np.float64], target: npt.NDArray[np.int64]) -> float:
    """Root of the mean squared difference between probabilities and the truth, over clips and classes.

    Args:
        probabilities: `(N, 7)`.
        target: Classes `(N,)`.

    Returns:
        In [0, 1]; 0.35 for equal shares.
    """
    truth = np.eye(len(EMOTIONS))[target]
    return float(np.sqrt(((probabilities - truth) ** 2).mean()))


def inference_seconds(classifier: Classifier, samples: list[Sample], count: int) -> float:
    """Measure the CPU time of answering so many clips, one batch, features at hand: the least of three tries.

    Args:
        classifier: In evaluation mode.
        samples: Clips, repeated until there are enough.
        count: How many.
    """
    batch = collate_clips([samples[at % len(samples)] for at in range(count)])
    spent = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.process_time()
            classifier(batch)
            spent.append(time.process_time() - start)
    return min(spent)
