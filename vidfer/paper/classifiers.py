"""Cells of the paper's tables of classifiers: a model, a number of training clips, a seed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from vidfer.inference.torch_networks import one_thread
from vidfer.models.classifiers.base import Classifier
from vidfer.paper.cells import CLASSIFY, Experiment
from vidfer.paper.feature_times import feature_seconds
from vidfer.pipeline.digest import recipe_key
from vidfer.tasks.fit import RECIPES, Recipe, fit, predict_all
from vidfer.types import EMOTIONS
from vidfer.weights.files import weights_digest

VERSION: Final = 2  # bumped by hand when the same cell would give other metrics
STEPS: Final = 300  # of every training, whatever the number of clips; a few more where whole epochs do not divide it
BATCH: Final = 16  # clips a step
_VECTORS: Final = ("dbn", "gan", "mlp")
INPUTS: Final = {  # what each model reads; in the comparison `paper` as we read the paper, which does not say
    "paper": {
        "cnn": "face images",
        "rcnn": "face images with landmarks",
        "lstm": "face embeddings in order",
        "dbn": "face embeddings and sound vectors",
        "rnn": "face embeddings in order",
        "gan": "face embeddings and sound vectors",
    },
    "faces": dict.fromkeys(("lstm", "rnn"), "face embeddings in order") | dict.fromkeys(_VECTORS, "face embeddings"),
    "sound": dict.fromkeys(("lstm", "rnn"), "sound vectors in order") | dict.fromkeys(_VECTORS, "sound vectors"),
    "both": dict.fromkeys(_VECTORS, "the means of a clip's face embeddings and of its sound vectors"),
}
_PIXELS: Final = (
    "it reads pixels, and would have to learn from so few clips what the embeddings' network learnt elsewhere"
)
_DEAF: Final = "it reads pixels, and sound has none"
_ONE: Final = "it reads one sequence, and faces and windows of sound have no time in common"
LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "paper": {},
    "faces": dict.fromkeys(("cnn", "rcnn"), _PIXELS),
    "sound": dict.fromkeys(("cnn", "rcnn"), _DEAF),
    "both": dict.fromkeys(("cnn", "rcnn"), _DEAF) | dict.fromkeys(("lstm", "rnn"), _ONE),
}
"""Why others cannot take part."""
_NO_SETTINGS: Final = ("root", "faces_root", "store", "image_model", "denoise_model", "size", "seed")
"""Arguments of data modules that are places, or weights, which the digest of the data has, or what each cell says."""


@dataclass(frozen=True)
class ClipSource:
    """The clips of all cells: `data` and `root` as `build_clip_data` takes them, and the store with their features.

    `options` are more of its arguments, such as the weights that features are computed by, with their values.
    """

    data: str
    root: str | None
    store: str
    options: tuple[tuple[str, Any], ...] = ()

    def module(self, **options: Any) -> ClipDataModule:  # noqa: ANN401 - the module's own
        """Build a data module of these clips."""
        return build_clip_data(self.data, self.root, store=self.store, **dict(self.options), **options)

    def name(self, module: ClipDataModule) -> str:
        """Name a module's clips, and the weights that their features are computed by where these are chosen."""
        words = [module.source]
        for kind, done in (("image", "embedded"), ("denoise", "denoised")):
            if chosen := dict(self.options).get(f"{kind}_model"):
                words.append(f"faces {done} by {Path(chosen).stem} ({weights_digest(kind, chosen)[:8]})")
        return ", ".join(words)


def classifier_experiments(source: ClipSource, comparisons: Sequence[str]) -> dict[str, Experiment]:
    """Prepare the cells of some of `INPUTS`, by task: generate, find and digest the clips, and time their features."""
    module = source.module(seed=0)
    digest = module.content_digest()  # prepares the data, too
    left_out = _NO_SETTINGS if module.hparams.get("denoise_model") else (*_NO_SETTINGS, "denoise", "denoise_threshold")
    reading = {name: value for name, value in module.hparams.items() if name not in left_out}
    shared = {"steps": STEPS, "batch": BATCH, "reading": reading}
    costs = feature_seconds(source.module(reads=["image"]), recipe_key({"data": digest, "reading": reading}))
    return {
        CLASSIFY[inputs]: Experiment(
            compute=partial(run_classifier_cell, inputs=inputs, source=source, costs=costs),
            version=VERSION,
            data=digest,
            settings={model: _settings(model, inputs) | shared for model in INPUTS[inputs]},
            limit=len(module.splits()["train"]),
            source=source.name(module),
            about=INPUTS[inputs],
            left_out=LEFT_OUT[inputs],
        )
        for inputs in comparisons
    }


def cell_recipe(model: str, inputs: str, size: int = BATCH) -> Recipe:
    """Return how a model of `INPUTS` is trained on `size` clips: by its recipe, in `STEPS` steps of `BATCH` clips."""
    known = RECIPES[model]
    modality = {"faces": "frames", "paper": "both" if model in _VECTORS else "frames"}.get(inputs, inputs)
    arguments = known.arguments if model in ("cnn", "rcnn") else known.arguments | {"modality": modality}
    return Recipe(model, arguments, -(-STEPS // max(size // BATCH, 1)), known.settings)


def run_classifier_cell(
    model: str, size: int, seed: int, *, inputs: str, source: ClipSource, costs: Mapping[str, float]
) -> dict[str, Any]:
    """Train a model of `INPUTS` on so many clips, classes balanced where possible, and test it on held-out people.

    `precision` (equation 17) and `recall` (equation 18) are means over the classes that occur, where a class that is never
    predicted has precision 0; `rmse` is of the class probabilities; all three and `accuracy` are in [0, 1]. `seconds` are of
    CPU for the predictions of `size` clips from stored features, `feature_seconds` of a clip's features as `costs` say (see
    `feature_seconds`), and `seconds_from_files` those of both for `size` clips.
    """
    from sklearn.metrics import precision_recall_fscore_support

    recipe = cell_recipe(model, inputs, size)
    with one_thread():
        module = source.module(size=size, seed=seed, batch_size=BATCH)
        reads = recipe.task().reads
        module.share(_read(source, reads))
        task = fit(recipe, module, seed=seed)
        probabilities, target = predict_all(task.classifier, module.test_dataloader())
        seconds = inference_seconds(task.classifier, module.samples["test"], size)
    preds = probabilities.argmax(1)
    precision, recall, _, _ = precision_recall_fscore_support(
        target, preds, labels=np.unique(target), average="macro", zero_division=0
    )
    people = sorted({clip.person or "unknown" for clip in module.splits()["test"]})
    features = sum(costs[name] for name in reads)
    return {
        "precision": float(precision),
        "recall": float(recall),
        "accuracy": float((preds == target).mean()),
        "rmse": probability_rmse(probabilities, target),
        "seconds": seconds,
        "seconds_from_files": seconds + size * features,
        "feature_seconds": features,
        "feature_clips": costs["n"],
        "n_test": len(target),
        "params": sum(weight.numel() for weight in task.classifier.parameters()),
        "data": f"{source.name(module)}, tested on {', '.join(people)}",
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
def _read(source: ClipSource, reads: tuple[str, ...]) -> ClipDataModule:
    """Read a data set's clips once in a process, whatever the cells draw from them."""
    module = source.module(reads=list(reads))
    module.prepare_data()
    module.notify = lambda _line: None  # in the middle of a table's progress
    for stage in ("fit", "test"):
        module.setup(stage)
    return module


def _settings(model: str, inputs: str) -> dict[str, Any]:
    """Return all settings of a training, defaults of the network and of the task included: they may be changed, too."""
    task = cell_recipe(model, inputs).task()
    accepted = signature(type(task.classifier)).parameters.values()
    defaults = {each.name: each.default for each in accepted if each.default is not each.empty}
    return {**task.hparams, "arguments": {**defaults, **(task.hparams["arguments"] or {})}}
