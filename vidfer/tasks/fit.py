"""Small trainings in this process, without a command line: for folds and tables."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from vidfer.datamodules.clips import ClipDataModule
from vidfer.models.classifiers.base import FRAME_FEATURES, Classifier
from vidfer.tasks.clip import ClipTask
from vidfer.weights.files import embedding_width


@dataclass(frozen=True)
class Recipe:
    """How a classifier of clips is trained: its name, its constructor's arguments, and `ClipTask`'s other `settings`."""

    classifier: str
    arguments: dict[str, Any] = field(default_factory=dict)
    epochs: int = 20
    settings: dict[str, Any] = field(default_factory=dict)

    def task(self, num_frame_features: int = FRAME_FEATURES) -> ClipTask:
        """Build the task, untrained, for faces' embeddings of this length."""
        width = {"num_frame_features": num_frame_features}
        return ClipTask(self.classifier, self.arguments, **{**self.settings, **width})


RECIPES = {
    "linear": Recipe("linear", settings={"lr": 0.005, "weight_decay": 0.02}),
    "mlp": Recipe("mlp", {"hidden": 128, "members": 8}, 40, settings={"weight_decay": 0.01, "nesterov": True}),
    "gan": Recipe("gan", {"hidden": 128, "adversarial": 0.1}, 40, settings={"weight_decay": 0.01}),
    "dbn": Recipe("dbn", settings={"lr": 0.1, "weight_decay": 0.01, "nesterov": True}),
    "cnn": Recipe("cnn", epochs=30, settings={"lr": 0.05}),
    "rcnn": Recipe("rcnn", epochs=30, settings={"lr": 0.05}),
    "lstm": Recipe("lstm", epochs=30, settings={"lr": 0.05}),
    "rnn": Recipe("rnn", epochs=30),
    "fusion": Recipe("fusion", settings={"weight_decay": 0.01}),
}
"""A recipe for each classifier, chosen on people that are tested on nowhere."""


def fit(
    recipe: Recipe, data: ClipDataModule, *, seed: int = 0, callbacks: Sequence[lightning.Callback] = ()
) -> ClipTask:
    """Train a classifier on the processor, without files, from a seed; returns the task in evaluation mode."""
    torch.manual_seed(seed)
    task = recipe.task(embedding_width(data.features.image_model))
    train_here(task, data, epochs=recipe.epochs, callbacks=callbacks)
    return task.eval()


def train_here(
    task: lightning.LightningModule,
    data: lightning.LightningDataModule | DataLoader[Any],
    *,
    epochs: int = 1,
    callbacks: Sequence[lightning.Callback] = (),
) -> None:
    """Train any task in place on the processor, without output or files; the caller seeds torch."""
    with _quiet():
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, callbacks=list(callbacks),
        )  # fmt: skip
        trainer.fit(task, data)


def predict_all(
    classifier: Classifier, loader: DataLoader[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Compute probabilities `(N, 7)` of a loader's clips by a classifier in evaluation mode, and collect the classes `(N,)`."""
    with torch.inference_mode():
        found = [(classifier(batch).double().exp(), batch["target"]) for batch in loader]
    probabilities, target = (torch.cat(each).numpy() for each in zip(*found, strict=True))
    return probabilities, target


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's remarks on devices and workers."""
    levels = {each: each.level for each in map(logging.getLogger, ("lightning.pytorch", "lightning.fabric"))}
    for each in levels:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            remarks = "many workers|LeafSpec|the logging interval|no `val_dataloader`|validation_step"
            warnings.filterwarnings("ignore", f".*({remarks})")
            yield
    finally:
        for each, level in levels.items():
            each.setLevel(level)
