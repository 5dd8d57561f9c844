"""Averaging of weights over training."""

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


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
