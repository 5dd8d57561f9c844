"""Fits without a command line: for folds and tables, where many small trainings follow one another."""

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

from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import Classifier
from vidfer.tasks.clip import ClipTask


@dataclass(frozen=True)
class Recipe:
    """How a classifier of clips is trained.

    Args:
        classifier: Its name, see `vidfer.models.classifiers`.
        arguments: Its constructor's arguments.
        epochs: Passes over the training clips.
        settings: The other arguments of `ClipTask`, as far as they are not its defaults.
    """

    classifier: str
    arguments: dict[str, Any] = field(default_factory=dict)
    epochs: int = 20
    settings: dict[str, Any] = field(default_factory=dict)

    def task(self) -> ClipTask:
        """Build the task, untrained."""
        return ClipTask(self.classifier, self.arguments, **self.settings)


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
    recipe: Recipe,
    data: lightning.LightningDataModule,
    *,
    seed: int = 0,
    callbacks: Sequence[lightning.Callback] = (),
) -> ClipTask:
    """Train a classifier in this process, on the processor, leaving no files.

    Args:
        recipe: What to train, and how.
        data: The clips.
        seed: Seed of the weights and of everything else that chance decides.
        callbacks: Who looks on.

    Returns:
        The task, in evaluation mode.
    """
    torch.manual_seed(seed)
    task = recipe.task()
    train_here(task, data, epochs=recipe.epochs, callbacks=callbacks)
    return task.eval()


def train_here(
    task: lightning.LightningModule,
    data: lightning.LightningDataModule | DataLoader[Any],
    *,
    epochs: int = 1,
    callbacks: Sequence[lightning.Callback] = (),
) -> None:
    """Train any task in this process, on the processor, quietly and without files.

    The caller seeds torch. An epoch of a loader has as many steps as the loader has batches, so that one epoch over so many
    batches is a training of so many steps.

    Args:
        task: Changed in place, and left in training mode.
        data: A data module, or a loader of training batches.
        epochs: Passes over the training data.
        callbacks: Lightning's.
    """
    with _quiet():
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, callbacks=list(callbacks),
        )  # fmt: skip
        if isinstance(data, DataLoader):
            trainer.fit(task, train_dataloaders=data)
        else:
            trainer.fit(task, datamodule=data)


def answer_all(
    classifier: Classifier, loader: DataLoader[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Answer for all clips of a loader.

    Args:
        classifier: In evaluation mode.
        loader: Batches of labelled clips.

    Returns:
        Probabilities `(N, 7)` and classes `(N,)`, in the loader's order.
    """
    probabilities, target = [], []
    batch: ClipBatch
    with torch.inference_mode():
        for batch in loader:
            probabilities.append(classifier(batch).double().exp())
            target.append(batch["target"])
    return torch.cat(probabilities).numpy(), torch.cat(target).numpy()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's remarks on devices and workers to itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*")
            warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
            warnings.filterwarnings("ignore", ".*no `val_dataloader`.*|.*validation_step.*")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
