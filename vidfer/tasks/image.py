"""Training an image network on single faces."""

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from vidfer.datasets.batches import ImageBatch
from vidfer.metrics import classification_metrics
from vidfer.models.backbone import TimmBackbone, build_backbone
from vidfer.models.compact import CompactNet
from vidfer.models.layout import channels_last
from vidfer.optimizers import sgd_one_cycle
from vidfer.weights.registry import find_weights


class ImageTask(lightning.LightningModule):
    """Fine-tune a backbone on faces with SGD with momentum under a one-cycle schedule.

    Args:
        backbone: `compact`, or a model name of timm.
        image_size: Edge in px of what the network reads; linked to the data's.
        in_chans: Channels of the image; linked to the data's.
        pretrained: Start from timm's pretrained weights.
        weights: Exported weights of the same network to start from; None to start afresh.
        lr: Peak learning rate.
        momentum: Momentum of SGD.
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of the target spread over all classes.
        warmup_share: Share of the training in which the learning rate rises.

    References:
        Smith, Topin: Super-convergence. 2019 (the one-cycle schedule).
    """

    def __init__(
        self,
        backbone: str = "compact",
        image_size: int = 48,
        in_chans: int = 1,
        pretrained: bool = False,
        weights: str | None = None,
        lr: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 5e-4,
        label_smoothing: float = 0.1,
        warmup_share: float = 0.2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        network = build_backbone(backbone, in_chans=in_chans, pretrained=pretrained)
        self.backbone: CompactNet | TimmBackbone = channels_last(network)
        if weights is not None:
            find_weights("image", weights).load_into(self.backbone)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.metrics: Any = nn.ModuleDict({split: classification_metrics(split) for split in ("val", "test")})
        self.optimisation: dict[str, Any] = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "warmup_share": warmup_share,
        }

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits `(B, 7)` of standardised images `(B, C, H, W)`."""
        logits: Tensor = self.backbone(image.contiguous(memory_format=torch.channels_last))
        return logits

    def training_step(self, batch: ImageBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._step(batch, "val")

    def test_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._step(batch, "test")

    def _step(self, batch: ImageBatch, split: str) -> Tensor:
        logits = self(batch["image"])
        loss: Tensor = self.criterion(logits, batch["target"])
        count = len(batch["target"])
        self.log(f"{split}_loss", loss, on_step=False, on_epoch=True, batch_size=count, prog_bar=split == "train")
        if split in self.metrics:
            metrics = self.metrics[split]
            metrics.update(logits, batch["target"])
            self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=count, prog_bar=True)
        return loss

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        arguments = {"in_chans": self.hparams["in_chans"]}
        return self.backbone.state_dict(), {"kind": "image", "arch": self.hparams["backbone"], "arguments": arguments}

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return SGD with momentum and its one-cycle schedule."""
        return sgd_one_cycle(self, **self.optimisation)
