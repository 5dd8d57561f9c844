"""Optimisers with their schedules."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import lightning
import torch

from vidfer.types import VidferError


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
    optimizer = _sgd(module, lr, momentum, nesterov, weight_decay)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=lr,
        total_steps=_total_steps(module),
        pct_start=warmup_share,
        cycle_momentum=False,
    )
    return _each_step(optimizer, scheduler)


def sgd_cosine(
    module: lightning.LightningModule, *, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> dict[str, Any]:
    """Build SGD with momentum under a learning rate that falls from `lr` to 0 by half a cosine.

    Args:
        module: A module that is being fitted; its trainer tells the number of steps.
        lr: First learning rate.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.

    Returns:
        What `configure_optimizers` returns.

    References:
        Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017 (without restarts).
    """
    optimizer = _sgd(module, lr, momentum, nesterov, weight_decay)
    return _each_step(optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _total_steps(module)))


def sgd_in_phases(
    module: lightning.LightningModule,
    *,
    phases: Sequence[tuple[int, float]],
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> dict[str, Any]:
    """Build SGD with momentum under learning rates that hold for a number of steps each.

    Args:
        module: A module that is being fitted.
        phases: Steps and learning rate of each phase, in order; the last rate holds from there on.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.

    Returns:
        What `configure_optimizers` returns.
    """
    first = phases[0][1]
    ends = list(accumulate(steps for steps, _ in phases))

    def share(step: int) -> float:
        return phases[min(bisect_right(ends, step), len(phases) - 1)][1] / first

    optimizer = _sgd(module, first, momentum, nesterov, weight_decay)
    return _each_step(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share))


def _total_steps(module: lightning.LightningModule) -> int:
    steps = module.trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise VidferError("a schedule that falls to its end needs an end: give --trainer.max_epochs or max_steps")
    return int(steps)


def _sgd(
    module: lightning.LightningModule, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.SGD:
    return torch.optim.SGD(module.parameters(), lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


def _each_step(optimizer: torch.optim.SGD, scheduler: torch.optim.lr_scheduler.LRScheduler) -> dict[str, Any]:
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
