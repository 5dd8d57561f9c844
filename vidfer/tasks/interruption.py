"""Ends a training on a signal, after a checkpoint: a scheduler that takes its machine away sends one some time before."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from vidfer.pipeline.system import STOP_SIGNAL
from vidfer.tasks.callbacks import run_folder
from vidfer.types import StoppedError


class StopOnSignal(Callback):
    """Saves `last.ckpt` after the batch in which SIGUSR1 or SIGTERM came, and ends the training with a StoppedError.

    Lightning's own answer to SIGUSR1 under SLURM writes a checkpoint inside the signal's handler, so in the middle of whatever
    step runs then; what goes on from there is another training. Its handler is not set where there is one already.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Callable[[int, FrameType | None], Any] | int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen, where signals can be listened to."""
        if stage == "fit" and STOP_SIGNAL is not None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(STOP_SIGNAL, self._ask)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen no more."""
        if self._before is not None and STOP_SIGNAL is not None:
            signal.signal(STOP_SIGNAL, self._before)
            self._before = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *step: Any) -> None:  # noqa: ANN401 - Lightning's
        """Save and end between two batches of an epoch."""
        if not self._is_due(trainer) or trainer.is_last_batch:
            return  # after the last batch come the validation and the callbacks' own checkpoints
        path = run_folder(trainer) / "checkpoints" / "last.ckpt"
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.save_last:
                callback.last_model_path = str(path)  # it takes the file for its own when it goes on
        trainer.save_checkpoint(path)
        raise StoppedError(f"stopped by a signal, with all that was learned in {path}: the same command goes on")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End between two epochs if the first one's end was saved."""
        saved = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint) and each.save_last]
        if (
            saved
            and all(each._last_global_step_saved == trainer.global_step for each in saved)
            and self._is_due(trainer)
        ):
            raise StoppedError(f"stopped by a signal, with all that was learned in {saved[0].last_model_path}")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _is_due(self, trainer: Trainer) -> bool:
        """Tell whether any process of the training was asked to end."""
        return trainer.strategy.reduce_boolean_decision(self._asked or trainer.received_sigterm, all=False)
