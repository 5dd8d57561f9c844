"""What the tasks share: one step with its metrics, an optimiser under a schedule, and checkpoints inside an epoch."""

from abc import ABC, abstractmethod
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

from vidfer.metrics.classification import macro_recall
from vidfer.models import shares
from vidfer.tasks.optimizers import Optimisation, Schedule
from vidfer.tasks.predictions import ShownPredictions
from vidfer.types import EMOTIONS, VidferError


class MacroRecall(MulticlassConfusionMatrix):
    """`vidfer.metrics.classification.macro_recall` over all batches and processes."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Return the mean recall over the classes that occurred, a scalar."""
        return Tensor(macro_recall(super().compute()))


def classification_metrics(split: str) -> MetricCollection:
    """Build `<split>_acc`, `<split>_uar` and `<split>_f1`: accuracy, unweighted average recall and macro F1."""
    size = len(EMOTIONS)
    return MetricCollection(
        {
            "acc": MulticlassAccuracy(size, average="micro"),
            "uar": MacroRecall(size),
            "f1": MulticlassF1Score(size, average="macro"),
        },
        prefix=f"{split}_",
    )


class BaseTask(lightning.LightningModule, ABC):
    """A network with its loss, metrics and optimiser, whose checkpoints hold torch's random state for a resumed training."""

    _random_state: Tensor | None = None

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ANN401 - each task has its own batch
        """Log loss and metrics of one batch."""
        self._step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Log loss and metrics of one batch."""
        self._step(batch, "test")

    @abstractmethod
    def _step(self, batch: Any, split: str) -> Tensor:  # noqa: ANN401
        """Log loss and metrics of one batch of `train`, `val` or `test`, and return the loss."""

    @abstractmethod
    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it: `kind`, `arch` and `arguments`."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add torch's random state."""
        checkpoint["random_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the tensors of another network; keep the random state until all that precedes the first batch is drawn."""
        own, kept = (
            {name: each.shape for name, each in of.items()} for of in (self.state_dict(), checkpoint["state_dict"])
        )
        if own != kept:
            raise VidferError(
                "the checkpoint is of another network: give the settings of its run (config.yaml in its folder)"
            )
        self._random_state = checkpoint.get("random_state")

    def on_train_epoch_start(self) -> None:
        """Restore the random state before a resumed training shuffles its next epoch."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
            self._random_state = None

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Restore the random state before a training resumed within an epoch augments its first batch."""
        if self.trainer.training:
            BaseTask.on_train_epoch_start(self)
        return batch


class ClassificationTask(BaseTask):
    """A task with seven classes, measured by accuracy, UAR and macro F1; a subclass calls `save_hyperparameters`."""

    def __init__(
        self, optimisation: Optimisation, schedule: Schedule, label_smoothing: float, class_weighting: float
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 0.5 or not 0 <= class_weighting <= 1:
            found = f"{label_smoothing} and {class_weighting}"
            raise VidferError(f"label_smoothing lies in [0, 0.5] and class_weighting in [0, 1], not at {found}")
        self.optimisation, self.schedule = optimisation, schedule
        self.label_smoothing, self.class_weighting = label_smoothing, class_weighting
        self.metrics: Any = nn.ModuleDict({split: classification_metrics(split) for split in ("val", "test")})
        self.losses: Any = nn.ModuleDict({split: MeanMetric() for split in ("val", "test")})

    def weigh_classes(self, shares: Tensor) -> Tensor:
        """Compute the classes' weights `(7,)` from their shares of the training data: 1 on average over the data.

        A class of which there is nothing weighs 1, too: its weight is only that of its part in label smoothing.
        """
        there = shares > 0
        weight = torch.where(there, shares, 1.0) ** -self.class_weighting
        return torch.where(there, weight / (weight * shares).sum(), 1.0)

    def logits(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Compute logits `(B, 7)` of a batch."""
        logits: Tensor = self(batch)
        return logits

    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the validation and test loss: cross-entropy with label smoothing."""
        return nn.functional.cross_entropy(logits, target, label_smoothing=self.label_smoothing)

    def hand_on(self, name: str, logits: Tensor, target: Tensor, image: Tensor | None) -> None:
        """Hand a batch's predictions to the callbacks that collect them, see `ShownPredictions.take`."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ShownPredictions):
                callback.take(name, logits, target, image)

    def weight_of(self, target: Tensor) -> Tensor | int:
        """Return what samples of these classes, `(B,)`, weigh together in `criterion`, which averages over them."""
        return len(target)

    @abstractmethod
    def training_loss(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Compute the loss of a training batch, a scalar; of several processes', the mean is that of all their samples."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ANN401
        """Return the loss of one batch."""
        with shares.sharing(len(batch["target"])):
            return self._step(batch, "train")

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ANN401
        """Compute the probabilities of one batch's samples, float64 `(B, 7)`."""
        return self.logits(batch).double().softmax(1)

    def _step(self, batch: Any, split: str) -> Tensor:  # noqa: ANN401
        target = batch["target"]
        if split == "train":
            loss = self.training_loss(batch)
            self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(target), sync_dist=True)
            return loss
        logits = self.logits(batch)
        loss = self.criterion(logits, target)
        self.metrics[split].update(logits, target)
        self.hand_on(split, logits, target, batch.get("image"))
        self.losses[split].update(loss, self.weight_of(target))
        self.log_dict(self.metrics[split], on_step=False, on_epoch=True, batch_size=len(target), prog_bar=True)
        self.log(f"{split}_loss", self.losses[split], on_step=False, on_epoch=True, batch_size=len(target))
        return loss

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return the optimiser and its schedule, which steps every batch."""
        optimizer = self.optimisation.build(self.parameters())
        schedule = self.schedule.build(optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
