"""Optimisers with their schedules."""

from typing import Any

import lightning
import torch


def sgd_one_cycle(
    module: lightning.LightningModule,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    warmup_share: float,
) -> dict[str, Any]:
    """Build SGD with momentum (equation 7 of the paper) under a one-cycle schedule that steps every batch.

    Args:
        module: A module that is being fitted; its trainer tells the number of steps.
        lr: Peak learning rate.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.
        warmup_share: Share of the training in which the learning rate rises, in (0, 1).

    Returns:
        What `configure_optimizers` returns.

    References:
        Smith, Topin: Super-convergence: very fast training of neural networks using large learning rates. 2019.
    """
    optimizer = torch.optim.SGD(
        module.parameters(), lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=lr,
        total_steps=int(module.trainer.estimated_stepping_batches),
        pct_start=warmup_share,
        cycle_momentum=False,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
