"""Checkpoints in the middle of an epoch."""

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint


class IntervalCheckpoint(ModelCheckpoint):
    """Keeps the newest checkpoints, one every so often, wherever in an epoch, and one at each epoch's end.

    Lightning's own intervals are not kept under manual optimisation: `train_time_interval` is ignored there, and
    `every_n_train_steps` counts the steps of all optimisers and misses multiples when two of them step at once.

    Args:
        interval: Time between checkpoints, such as `0:05:00`.
        keep: How many of the newest stay; `last.ckpt` is a link to the newest.
    """

    def __init__(self, interval: timedelta = timedelta(minutes=5), keep: int = 2) -> None:
        super().__init__(
            monitor="step",
            mode="max",
            save_top_k=keep,
            save_last="link",
            filename="{step:07d}",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.interval = interval
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's
        batch: Any,  # noqa: ANN401 - Lightning's
        batch_idx: int,
    ) -> None:
        """Save when the time has come."""
        due = trainer.strategy.broadcast(time.monotonic() - self._saved_at >= self.interval.total_seconds())
        if due and not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)
            self._saved_at = time.monotonic()
