"""Small trainings in this process, without a command line: for folds and tables."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import numpy.typing as npt
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from vidfer.datamodules.clips import ClipDataModule
from vidfer.models.classifiers.base import FRAME_FEATURES, Classifier
from vidfer.tasks.clip import ClipTask
from vidfer.types import VidferError
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


def read_recipe(file: Path) -> Recipe:
    """Read the recipe in a file that is laid over configs/classify.yaml, but for its settings of the data."""
    chosen: Any = OmegaConf.to_container(OmegaConf.load(file))
    try:
        settings, epochs = chosen["model"]["init_args"], chosen["trainer"]["max_epochs"]
        return Recipe(settings.pop("classifier"), settings.pop("arguments"), epochs, settings)
    except (KeyError, TypeError) as error:
        needed = "classifier and arguments in model.init_args, and trainer.max_epochs"
        raise VidferError(f"{file} is no recipe of a classifier: it has to give {needed}") from error


RECIPES: Final = {file.stem: read_recipe(file) for file in sorted((Path(__file__).parent / "recipes").glob("*.yaml"))}
"""A recipe for each classifier, from the files that configs/classifiers shows; chosen on people that are tested on nowhere."""


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
            remarks = "many workers|LeafSpec|the logging interval|no `val_dataloader`|validation_step|on_before_batch_transfer"
            warnings.filterwarnings("ignore", f".*({remarks})")
            yield
    finally:
        for each, level in levels.items():
            each.setLevel(level)
