"""Averaging of weights over training."""

from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class WarmEMA(WeightAveraging):
    """An exponential moving average of weights and buffers, used for validation and export.

    The decay grows with the steps, as `(1 + steps) / (10 + steps)`, up to its limit: in a short training the average is
    not dominated by the random start.

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
