"""Images that a denoiser made: to look at while it trains, and its predictions."""

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torchvision.io import write_png
from torchvision.utils import make_grid

from vidfer.models.batches import CropBatch
from vidfer.tasks.folder import run_folder


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
        rows = torch.cat([noisy, pl_module(noisy), clean])
        grid = make_grid(_bytes(rows), nrow=len(noisy))
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


def _bytes(images: Tensor) -> Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
