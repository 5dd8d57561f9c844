"""Training the denoiser."""

from typing import Any

import lightning
import torch
from torch import Tensor

from vidfer.datasets.batches import CropBatch
from vidfer.losses import content_loss
from vidfer.models.generator import Generator
from vidfer.models.layout import channels_last


class DenoiseTask(lightning.LightningModule):
    """Train the generator on its content loss, equation 5.

    Args:
        preset: `full`, `small` or `tiny`.
        norm: `batch` or `none`.
        output: `residual` or `direct`.
        lr: Peak learning rate of Adam under a one-cycle schedule.
    """

    def __init__(self, preset: str = "tiny", norm: str = "none", output: str = "residual", lr: float = 2e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.arguments: dict[str, Any] = {"preset": preset, "norm": norm, "output": output}
        self.generator = channels_last(Generator(**self.arguments))
        self.lr = lr

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise images `(B, 3, H, W)` in [-1, 1]."""
        denoised: Tensor = self.generator(noisy.contiguous(memory_format=torch.channels_last))
        return denoised

    def training_step(self, batch: CropBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: CropBatch, batch_idx: int) -> None:
        """Log loss and PSNR of one batch."""
        self._step(batch, "val")

    def test_step(self, batch: CropBatch, batch_idx: int) -> None:
        """Log loss and PSNR of one batch."""
        self._step(batch, "test")

    def _step(self, batch: CropBatch, split: str) -> Tensor:
        denoised = self(batch["noisy"])
        loss = content_loss(denoised, batch["clean"])
        logs = {f"{split}_loss": loss}
        if split != "train":
            logs[f"{split}_psnr"] = mean_psnr(denoised, batch["clean"])
            logs[f"{split}_psnr_noisy"] = mean_psnr(batch["noisy"], batch["clean"])
        self.log_dict(logs, on_step=False, on_epoch=True, batch_size=len(denoised), prog_bar=True)
        return loss

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        return self.generator.state_dict(), {"kind": "denoise", "arch": "generator", "arguments": self.arguments}

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return Adam and its one-cycle schedule, stepped every batch."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def mean_psnr(image: Tensor, clean: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio of 8-bit images, averaged over a batch.

    Args:
        image: Images `(B, 3, H, W)`; rounded and clipped to 8 bits first.
        clean: The truth, in [-1, 1].

    Returns:
        Mean of the images' ratios in dB, a scalar; equal images count as 100 dB.
    """
    shown = ((image.clamp(-1, 1) + 1) * 127.5).round()
    error = (shown - (clean + 1) * 127.5).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(255**2 / error)).clamp_max(100).mean()
