"""Images to look at while a denoiser trains."""

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from torchvision.io import write_png
from torchvision.utils import make_grid

from vidfer.datasets.batches import CropBatch


class SampleImages(lightning.Callback):
    """After every validation, the first crops as `samples/<step>.png`: noisy above, denoised in the middle, clean below.

    A logger that takes images (W&B) gets them, too.

    Args:
        count: Crops to show.
    """

    def __init__(self, count: int = 6) -> None:
        self.count = count

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
        if batch_idx or trainer.sanity_checking or not trainer.log_dir:
            return
        noisy, clean = batch["noisy"][: self.count], batch["clean"][: self.count]
        rows = torch.cat([noisy, pl_module(noisy), clean])
        grid = make_grid(((rows.clamp(-1, 1) + 1) * 127.5).round().byte().cpu(), nrow=len(noisy))
        path = Path(trainer.log_dir) / "samples" / f"{pl_module.batches:07}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(grid, str(path))
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [str(path)])
