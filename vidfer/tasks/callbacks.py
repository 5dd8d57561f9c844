"""Callbacks of trainings."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter, ModelCheckpoint, WeightAveraging
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torchvision.io import encode_png
from torchvision.utils import make_grid

from vidfer.models.batches import CropBatch, NamedImage
from vidfer.pipeline.atomic import write_atomic
from vidfer.stages.fit import progress_of
from vidfer.tasks.checkpoints import NewestCheckpoint
from vidfer.types import VidferError


def run_folder(trainer: Trainer) -> Path:
    """Return the folder of a run's `checkpoints`, which may not exist yet; unlike `Trainer.log_dir` without a broadcast."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            return Path(callback.dirpath).parent
    logger = trainer.logger
    return Path(getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None) or trainer.default_root_dir)


class WarmEMA(WeightAveraging):
    """An exponential moving average of weights and buffers, used for validation and export.

    The decay grows as `(1 + steps) / (10 + steps)` up to its limit. A task without a step on every batch has a flag `stepped`.

    Args:
        decay: Limit of the decay, in [0, 1).
    """

    def __init__(self, decay: float = 0.998) -> None:
        def average(mean: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
            share = min(decay, (1 + int(steps)) / (10 + int(steps)))
            return torch.lerp(current.to(mean), mean, share) if mean.is_floating_point() else current

        super().__init__(avg_fn=average)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *step: Any) -> None:  # noqa: ANN401 - Lightning's
        """Average after a step."""
        if getattr(pl_module, "stepped", True):
            super().on_train_batch_end(trainer, pl_module, *step)


class IntervalCheckpoint(NewestCheckpoint):
    """Saves a checkpoint after each interval, wherever in an epoch, and at each epoch's end; the newest are kept.

    Under manual optimisation, Lightning ignores `train_time_interval`, and `every_n_train_steps` misses multiples when two
    optimisers step at once.

    Args:
        interval: Time between checkpoints, such as `0:05:00`.
        keep: How many of the newest stay; `last.ckpt` is a link to the newest.
    """

    def __init__(self, interval: timedelta = timedelta(minutes=5), keep: int = 2) -> None:
        super().__init__(
            monitor="step", mode="max", save_top_k=keep, save_last="link", filename="{step:07d}",
            save_on_train_epoch_end=True, enable_version_counter=False,
        )  # fmt: skip
        self.interval = interval
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *step: Any) -> None:  # noqa: ANN401 - Lightning's
        """Save when the interval has passed."""
        due = trainer.strategy.broadcast(time.monotonic() - self._saved_at >= self.interval.total_seconds())
        if due and not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)
            self._saved_at = time.monotonic()


class SampleImages(Callback):
    """Writes the first crops of every validation as `samples/<step>.png`: noisy above, denoised in the middle, clean below.

    Args:
        count: Crops to show.
        send: Send them to Weights & Biases, too, so that what the photographs show leaves this machine.
    """

    def __init__(self, count: int = 6, send: bool = False) -> None:
        self.count, self.send = count, send

    @rank_zero_only
    def on_validation_batch_end(
        self, trainer: Trainer, task: LightningModule, outputs: object, batch: CropBatch, index: int, *_: int
    ) -> None:
        """Save and log the first batch's crops."""
        if index or trainer.sanity_checking or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        noisy, clean = batch["noisy"][: self.count], batch["clean"][: self.count]
        grid = make_grid(_bytes(torch.cat([noisy, task(noisy), clean])), nrow=len(noisy))
        path = _write(grid, run_folder(trainer) / "samples" / f"{task.batches:07}.png")
        for logger in trainer.loggers:
            if self.send and hasattr(logger, "log_image"):
                logger.log_image("samples", [path])


class DenoisedImages(BasePredictionWriter):
    """Writes what `predict` denoised as `denoised/<name>.png` into the run's folder."""

    def __init__(self) -> None:
        super().__init__(write_interval="batch")

    def write_on_batch_end(
        self, trainer: Trainer, task: object, prediction: Tensor, indices: object, batch: NamedImage, *_: int
    ) -> None:
        """Write one batch's images."""
        folder = run_folder(trainer) / "denoised"
        for image, name in zip(_bytes(prediction), batch["name"], strict=True):
            _write(image, folder / Path(name).with_suffix(".png"))


class ProgressFile(Callback):
    """Writes how far a training is for the process that started it, see `vidfer.stages.fit`, and ends with that process.

    Args:
        folder: Folder of the run, which gets `progress.json`.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._before = self._begun = self._written = 0.0
        self._parent = os.getppid()

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the time, after that of the runs before."""
        self._before, self._begun = progress_of(self.folder)["seconds"], time.monotonic()

    @rank_zero_only
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *step: Any) -> None:  # noqa: ANN401 - Lightning's
        """Write once a second."""
        if time.monotonic() - self._written < 1:
            return
        if os.getppid() != self._parent:
            raise VidferError("the process that started this training has ended: give its command again to go on")
        self._write(min(1.0, _share_done(trainer, pl_module)))

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the time that it took."""
        self._write(1.0)

    def _write(self, share: float) -> None:
        self._written = time.monotonic()
        found = {"share": share, "seconds": self._before + self._written - self._begun}
        write_atomic(self.folder / "progress.json", json.dumps(found))


def _share_done(trainer: Trainer, task: LightningModule) -> float:
    """Return the share of a training that is done, in [0, 1] or a little above; 0 where its length is not known."""
    phases = getattr(getattr(task, "schedule", None), "phases", ())
    if steps := sum(int(steps) for steps, _ in phases):
        return trainer.global_step / steps
    if trainer.max_steps > 0:
        return trainer.global_step / trainer.max_steps
    done = trainer.current_epoch + (trainer.fit_loop.batch_idx + 1) / max(1, trainer.num_training_batches)
    return done / trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else 0.0


def _write(image: Tensor, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encode_png(image).numpy().tobytes())
    return str(path)


def _bytes(images: Tensor) -> Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
