"""Callbacks of trainings, and the writer of their checkpoints."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import BasePredictionWriter, ModelCheckpoint, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torchvision.io import write_png
from torchvision.utils import make_grid

from vidfer.models.batches import CropBatch
from vidfer.pipeline.atomic import replacing
from vidfer.types import VidferError


def run_folder(trainer: lightning.Trainer) -> Path:
    """Find the folder of a run, which holds its `checkpoints`; it may not exist yet.

    Unlike `Trainer.log_dir` it can be called by one process of many: nothing is sent to the others.
    """
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            return Path(callback.dirpath).parent
    logger = trainer.logger
    return Path(getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None) or trainer.default_root_dir)


class WarmEMA(WeightAveraging):
    """An exponential moving average of weights and buffers, used for validation and export.

    The decay grows with the steps, as `(1 + steps) / (10 + steps)`, up to its limit: in a short training the average is
    not dominated by the random start. A task whose averaged network does not take a step on every batch says by its attribute
    `stepped` whether it did on the last.

    Args:
        decay: Limit of the decay, in [0, 1).
    """

    def __init__(self, decay: float = 0.998) -> None:
        def average(mean: Tensor, current: Tensor, steps: Any) -> Tensor:  # noqa: ANN401 - int or tensor, as torch likes
            share = min(decay, (1 + int(steps)) / (10 + int(steps)))
            if not mean.is_floating_point():
                return current
            return torch.lerp(current, mean, share)

        super().__init__(avg_fn=average)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's
        batch: Any,  # noqa: ANN401 - Lightning's
        batch_idx: int,
    ) -> None:
        """Take a step's weights into the average."""
        if getattr(pl_module, "stepped", True):
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


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
            monitor="step", mode="max", save_top_k=keep, save_last="link", filename="{step:07d}",
            save_on_train_epoch_end=True, enable_version_counter=False,
        )  # fmt: skip
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


class SampleImages(lightning.Callback):
    """After every validation, the first crops as `samples/<step>.png`: noisy above, denoised in the middle, clean below.

    Args:
        count: Crops to show.
        send: Whether a logger that takes images (Weights & Biases) gets them, too; what the photographs show leaves this
            machine then.
    """

    def __init__(self, count: int = 6, send: bool = False) -> None:
        self.count, self.send = count, send

    @rank_zero_only
    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,  # noqa: ANN401 - a task with counters
        outputs: object,
        batch: CropBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Save and log the first batch's crops."""
        if batch_idx or trainer.sanity_checking or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        noisy, clean = batch["noisy"][: self.count], batch["clean"][: self.count]
        grid = make_grid(_bytes(torch.cat([noisy, pl_module(noisy), clean])), nrow=len(noisy))
        path = run_folder(trainer) / "samples" / f"{pl_module.batches:07}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(grid, str(path))
        for logger in trainer.loggers:
            if self.send and hasattr(logger, "log_image"):
                logger.log_image("samples", [str(path)])


class DenoisedImages(BasePredictionWriter):
    """Writes what `predict` denoised as `denoised/<name>.png` into the run's folder, each process its own."""

    def __init__(self) -> None:
        super().__init__(write_interval="batch")

    def write_on_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        prediction: Tensor,
        batch_indices: object,
        batch: Any,  # noqa: ANN401 - a NamedImage; Lightning's signature has no type for it
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write one batch's images."""
        folder = run_folder(trainer) / "denoised"
        for image, name in zip(_bytes(prediction), batch["name"], strict=True):
            path = folder / Path(name).with_suffix(".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(image, str(path))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it and renames it: a full disk or a kill leaves the old one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint; no storage options are used."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Read a checkpoint.

        Raises:
            VidferError: It is missing or damaged.
        """
        with readable_checkpoint(path):
            return super().load_checkpoint(path, *arguments, **options)


@contextmanager
def readable_checkpoint(path: str | Path) -> Iterator[None]:
    """Say in one sentence why a checkpoint cannot be read.

    Raises:
        VidferError: It is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise VidferError(f"no checkpoint {path}") from error
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise VidferError(
            f"the checkpoint {path} cannot be read: give an older one of its folder with --ckpt_path"
        ) from error


def load_best(trainer: lightning.Trainer, task: lightning.LightningModule) -> dict[str, Any] | None:
    """Load the weights that were best on the validation split, where a callback kept them.

    Returns:
        What the card says about them: `monitor`, `value`, `step`, `epoch`, and all `validation` figures; None where no
        checkpoint is chosen by a validation figure, and the last weights stay.
    """
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and (callback.monitor or "").startswith("val_"):
            path = Path(callback.best_model_path)
            if not path.is_file():
                continue
            kept = AtomicCheckpointIO().load_checkpoint(path, map_location="cpu", weights_only=True)
            task.load_state_dict(kept["state_dict"])
            return {
                "monitor": callback.monitor,
                "value": float(callback.best_model_score),  # type: ignore[arg-type]  # there is one where there is a path
                "step": kept["global_step"],
                "epoch": kept["epoch"],
                "validation": kept["validation"],
            }
    return None


def _bytes(images: Tensor) -> Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
