"""The five optimisers that the paper compares, and schedules of their learning rate.

References:
    Cherian, Vaidhehi, Arshey: Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum: equations 7 to 16.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

import lightning
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from vidfer.types import VidferError

OPTIMIZERS: Final = ("sgd", "sgdma", "adagrad", "rmsprop", "adam")
EPS: Final = math.sqrt(1e-5)
"""The paper divides by `sqrt(g + 1e-5)`; this is that root where g is 0."""


def build_optimizer(
    name: str,
    params: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
    *,
    lr: float,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    alpha: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = EPS,
) -> torch.optim.Optimizer:
    """Build one of the paper's optimisers from torch's classes.

    AdaGrad divides by `sqrt(g + eps²)` as printed, since torch lets its sum start at eps². RMSProp and Adam of torch divide by
    `sqrt(g) + eps` instead: the same where g is 0 and where it is large, and never more than sqrt(2) times as much (at
    g = eps²), so that their steps are up to 29 % shorter than the paper's, and by less than 1 % where sqrt(g) is above 0.31.

    Args:
        name: `sgd` and `sgdma`, with momentum (equation 7), `adagrad` (equation 8), `rmsprop` (equation 9) or `adam`
            (equations 10 to 16, bias correction included).
        params: Parameters, or groups of them, as torch's classes take them.
        lr: Learning rate, above 0: epsilon of equation 7.
        momentum: Rho of equation 7, in [0, 1); of `sgdma` alone, the others leave it aside.
        nesterov: Use Nesterov's form of momentum; of `sgdma` alone.
        weight_decay: L2 penalty, at least 0: this times the parameters is added to the gradient.
        alpha: Decay of `rmsprop`'s mean of squares, in [0, 1); the paper allows up to 0.9.
        betas: Decays of `adam`'s two means, each in [0, 1); the paper gives none, these are Kingma and Ba's.
        eps: What keeps divisors from 0, above 0; a training whose gradients are far below 3e-3 needs a smaller one.

    Returns:
        The optimiser.

    Raises:
        VidferError: The name is unknown or a value is out of range.

    References:
        Duchi, Hazan, Singer: Adaptive subgradient methods. JMLR 2011. Tieleman, Hinton: RMSProp, lecture 6.5. 2012.
        Kingma, Ba: Adam: a method for stochastic optimization. ICLR 2015.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> type(build_optimizer("sgdma", [weight], lr=0.1)).__name__
        'SGD'
    """
    check_optimizer(name, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    if not all(0 <= decay < 1 for decay in (alpha, *betas)) or not 0 < eps < math.inf:
        raise VidferError(f"alpha and betas lie in [0, 1) and eps above 0, not at {alpha}, {betas} and {eps}")
    optim = torch.optim
    if name == "sgd":
        return optim.SGD(params, lr, weight_decay=weight_decay)
    if name == "sgdma":
        return optim.SGD(params, lr, momentum, nesterov=nesterov, weight_decay=weight_decay)
    if name == "adagrad":
        return optim.Adagrad(params, lr, weight_decay=weight_decay, initial_accumulator_value=eps**2, eps=0.0)
    if name == "rmsprop":
        return optim.RMSprop(params, lr, alpha, eps, weight_decay)
    return optim.Adam(params, lr, betas, eps, weight_decay)


def check_optimizer(
    name: str, *, lr: float = 1.0, momentum: float = 0.9, nesterov: bool = False, weight_decay: float = 0.0
) -> None:
    """Refuse what no optimiser could do, before anything is loaded for it.

    Args:
        name: One of `OPTIMIZERS`.
        lr: Learning rate.
        momentum: Momentum.
        nesterov: Whether momentum is Nesterov's.
        weight_decay: L2 penalty.

    Raises:
        VidferError: The name is unknown or a value is out of range.
    """
    if name not in OPTIMIZERS:
        raise VidferError(f"unknown optimizer '{name}': use one of {', '.join(OPTIMIZERS)}")
    if not 0 < lr < math.inf:
        raise VidferError(f"lr has to be above 0, not {lr}")
    if not 0 <= momentum < 1 or not 0 <= weight_decay < math.inf:
        raise VidferError(f"momentum lies in [0, 1) and weight_decay from 0 on, not at {momentum} and {weight_decay}")
    if name == "sgdma" and nesterov and not momentum:
        raise VidferError("Nesterov's form needs a momentum: set nesterov to false for plain SGD")


def one_cycle(
    module: lightning.LightningModule,
    *,
    lr: float,
    warmup_share: float,
    name: str = "sgdma",
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> dict[str, Any]:
    """Build an optimiser under a one-cycle schedule that steps every batch.

    Args:
        module: A module that is being fitted; its trainer tells the number of steps.
        lr: Peak learning rate.
        warmup_share: Share of the training in which the learning rate rises, in (0, 1).
        name: Optimiser, see `build_optimizer`, which also explains what is left.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.

    Returns:
        What `configure_optimizers` returns.

    Raises:
        VidferError: The training has no end, the name is unknown or a value is out of range.

    References:
        Smith, Topin: Super-convergence: very fast training of neural networks using large learning rates. 2019.
    """
    if not 0 < warmup_share < 1:
        raise VidferError(f"warmup_share lies between 0 and 1, not at {warmup_share}")
    optimizer = _build(module, name, lr, momentum, nesterov, weight_decay)
    schedule = OneCycleLR(
        optimizer, max_lr=lr, total_steps=_total_steps(module), pct_start=warmup_share, cycle_momentum=False
    )
    return _each_step(optimizer, schedule)


def cosine(
    module: lightning.LightningModule,
    *,
    lr: float,
    name: str = "sgdma",
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> dict[str, Any]:
    """Build an optimiser under a learning rate that falls from `lr` to 0 by half a cosine.

    Args:
        module: A module that is being fitted; its trainer tells the number of steps.
        lr: First learning rate.
        name: Optimiser, see `build_optimizer`, which also explains what is left.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.

    Returns:
        What `configure_optimizers` returns.

    Raises:
        VidferError: The training has no end, the name is unknown or a value is out of range.

    References:
        Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017 (without restarts).
    """
    optimizer = _build(module, name, lr, momentum, nesterov, weight_decay)
    return _each_step(optimizer, CosineAnnealingLR(optimizer, _total_steps(module)))


def in_phases(
    module: lightning.LightningModule,
    *,
    phases: Sequence[tuple[int, float]],
    name: str = "sgdma",
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> dict[str, Any]:
    """Build an optimiser under learning rates that hold for a number of steps each.

    Args:
        module: A module that is being fitted.
        phases: Steps and learning rate of each phase, in order; the last rate holds from there on.
        name: Optimiser, see `build_optimizer`, which also explains what is left.
        momentum: Momentum, in [0, 1).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.

    Returns:
        What `configure_optimizers` returns.

    Raises:
        VidferError: The name is unknown or a value is out of range.
    """
    first = phases[0][1]
    ends = list(accumulate(steps for steps, _ in phases))

    def share(step: int) -> float:
        return phases[min(bisect_right(ends, step), len(phases) - 1)][1] / first

    optimizer = _build(module, name, first, momentum, nesterov, weight_decay)
    return _each_step(optimizer, LambdaLR(optimizer, share))


def _total_steps(module: lightning.LightningModule) -> int:
    steps = module.trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise VidferError("a schedule that falls to its end needs an end: give --trainer.max_epochs or max_steps")
    return int(steps)


def _build(
    module: lightning.LightningModule, name: str, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    return build_optimizer(
        name, module.parameters(), lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
    )


def _each_step(optimizer: torch.optim.Optimizer, scheduler: LRScheduler) -> dict[str, Any]:
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
