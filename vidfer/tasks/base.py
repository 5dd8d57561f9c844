"""What the tasks share: one step with its metrics, an optimiser under a schedule, and checkpoints inside an epoch."""

from abc import ABC, abstractmethod
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from vidfer.metrics.training import classification_metrics
from vidfer.tasks.optimizers import Optimisation, Schedule


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
        """Keep the random state until Lightning has drawn all that precedes the first batch."""
        self._random_state = checkpoint.get("random_state")

    def on_train_epoch_start(self) -> None:
        """Restore the random state before a resumed training draws the order of its next epoch."""
        self._restore_random_state()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Restore the random state before the first batch of an epoch that is resumed in its middle is augmented."""
        if self.trainer.training:
            self._restore_random_state()
        return batch

    def _restore_random_state(self) -> None:
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
            self._random_state = None


class ClassificationTask(BaseTask):
    """A task with seven classes, measured by accuracy, UAR and macro F1.

    A subclass calls `save_hyperparameters`, builds its network, and defines a batch's logits and losses.
    """

    def __init__(self, optimisation: Optimisation, schedule: Schedule) -> None:
        super().__init__()
        self.optimisation, self.schedule = optimisation, schedule
        self.metrics: Any = nn.ModuleDict({split: classification_metrics(split) for split in ("val", "test")})

    def logits(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Compute logits `(B, 7)` of a batch."""
        logits: Tensor = self(batch)
        return logits

    @abstractmethod
    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the validation and test loss, a scalar."""

    @abstractmethod
    def training_loss(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Compute the loss of a training batch, a scalar."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ANN401
        """Return the loss of one batch."""
        return self._step(batch, "train")

    def _step(self, batch: Any, split: str) -> Tensor:  # noqa: ANN401
        target = batch["target"]
        if split == "train":
            loss = self.training_loss(batch)
        else:
            logits = self.logits(batch)
            loss = self.criterion(logits, target)
            self.metrics[split].update(logits, target)
            self.log_dict(self.metrics[split], on_step=False, on_epoch=True, batch_size=len(target), prog_bar=True)
        self.log(f"{split}_loss", loss, on_step=False, on_epoch=True, batch_size=len(target), sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return the optimiser and its schedule, which steps every batch."""
        optimizer = self.optimisation.build(self.parameters())
        schedule = self.schedule.build(optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
