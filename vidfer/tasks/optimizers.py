"""The five optimisers that the paper compares, equations 7 to 16, and schedules of their learning rate."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from vidfer.types import VidferError

OPTIMIZERS: Final = ("sgd", "sgdma", "adagrad", "rmsprop", "adam")
EPS: Final = math.sqrt(1e-5)  # the paper's divisor `sqrt(g + 1e-5)` where g is 0


@dataclass(frozen=True)
class Optimisation:
    """An optimiser with its options; raises a VidferError for an unknown name or a value out of range.

    Args:
        name: `sgd`; `sgdma`, with momentum (equation 7); `adagrad` (equation 8); `rmsprop` (equation 9); or `adam` (equations
            10 to 16, bias correction included).
        lr: Learning rate, above 0: epsilon of equation 7.
        momentum: Rho of equation 7, in [0, 1); used by `sgdma` alone.
        nesterov: Use Nesterov's form of momentum; used by `sgdma` alone.
        weight_decay: L2 penalty, at least 0: this times the parameters is added to the gradient.
        alpha: Decay of `rmsprop`'s mean of squares, in [0, 1); the paper allows up to 0.9.
        betas: Decays of `adam`'s two means, each in [0, 1); Kingma and Ba's, since the paper gives none.
        eps: What keeps divisors from 0, above 0; a training whose gradients are far below 3e-3 needs a smaller one.
    """

    name: str = "sgdma"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    alpha: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = EPS

    def __post_init__(self) -> None:
        """Check the values."""
        if self.name not in OPTIMIZERS:
            raise VidferError(f"unknown optimizer '{self.name}': use one of {', '.join(OPTIMIZERS)}")
        if not 0 < self.lr < math.inf:
            raise VidferError(f"lr has to be above 0, not {self.lr}")
        if not 0 <= self.momentum < 1 or not 0 <= self.weight_decay < math.inf:
            found = f"{self.momentum} and {self.weight_decay}"
            raise VidferError(f"momentum lies in [0, 1) and weight_decay from 0 on, not at {found}")
        if self.name == "sgdma" and self.nesterov and not self.momentum:
            raise VidferError("Nesterov's form needs a momentum: set nesterov to false for plain SGD")
        if not all(0 <= decay < 1 for decay in (self.alpha, *self.betas)) or not 0 < self.eps < math.inf:
            found = f"{self.alpha}, {self.betas} and {self.eps}"
            raise VidferError(f"alpha and betas lie in [0, 1) and eps above 0, not at {found}")

    def build(self, params: Iterable[Any]) -> torch.optim.Optimizer:
        """Build torch's optimiser for parameters, or groups of them.

        AdaGrad divides by `sqrt(g + eps²)` as printed; torch's RMSProp and Adam divide by `sqrt(g) + eps`
        (docs/reference/optimizers.md).
        """
        kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            "sgd": (torch.optim.SGD, {}),
            "sgdma": (torch.optim.SGD, {"momentum": self.momentum, "nesterov": self.nesterov}),
            "adagrad": (torch.optim.Adagrad, {"initial_accumulator_value": self.eps**2, "eps": 0.0}),
            "rmsprop": (torch.optim.RMSprop, {"alpha": self.alpha, "eps": self.eps}),
            "adam": (torch.optim.Adam, {"betas": self.betas, "eps": self.eps}),
        }
        kind, own = kinds[self.name]
        optimizer: torch.optim.Optimizer = kind(params, lr=self.lr, weight_decay=self.weight_decay, **own)
        return optimizer


def build_optimizer(name: str, params: Iterable[Any], *, lr: float, **options: Any) -> torch.optim.Optimizer:  # noqa: ANN401
    """Build one of the paper's optimisers; the options are the fields of `Optimisation`.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> type(build_optimizer("sgdma", [weight], lr=0.1)).__name__
        'SGD'
    """
    return Optimisation(name, lr, **options).build(params)


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a training's steps; raises a VidferError for a value out of range.

    Args:
        kind: `one-cycle` up to the optimiser's rate and down to nothing (Smith, Topin: Super-convergence. 2019); or `cosine`
            from there down to nothing (Loshchilov, Hutter: SGDR. ICLR 2017, without restarts).
        warmup_share: Share of a one-cycle training in which the rate rises, in (0, 1).
        phases: Steps and rate of each phase instead; the first rate is the optimiser's, and the last holds from there on.
    """

    kind: str = "one-cycle"
    warmup_share: float = 0.3
    phases: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in ("one-cycle", "cosine"):
            raise VidferError(f"unknown schedule '{self.kind}': use one-cycle or cosine")
        if not 0 < self.warmup_share < 1:
            raise VidferError(f"warmup_share lies between 0 and 1, not at {self.warmup_share}")
        for phase in self.phases:
            if len(phase) != 2 or phase[0] < 1 or phase[0] != int(phase[0]) or not phase[1] > 0:
                raise VidferError(f"a phase is a whole number of steps and a learning rate above 0, not {list(phase)}")

    def build(self, optimizer: torch.optim.Optimizer, steps: float) -> LRScheduler:
        """Build the scheduler of a training of so many steps, infinity for a training without an end."""
        if self.phases:
            ends = list(accumulate(count for count, _ in self.phases))
            shares = [rate / self.phases[0][1] for _, rate in self.phases]
            return LambdaLR(optimizer, lambda step: shares[min(bisect_right(ends, step), len(shares) - 1)])
        if steps == math.inf:
            raise VidferError("a schedule that falls to its end needs an end: give --trainer.max_epochs or max_steps")
        if self.kind == "cosine":
            return CosineAnnealingLR(optimizer, int(steps))
        return one_cycle(optimizer, int(steps), self.warmup_share)


def one_cycle(
    optimizer: torch.optim.Optimizer, steps: int, warmup_share: float = 0.3, *, cycle_momentum: bool = False
) -> OneCycleLR:
    """Raise the rate to the optimiser's own and lower it to nothing, over 1 or more steps.

    Where the rise would take a step or less, torch's class would divide by zero: the rate then falls from the first step.
    """
    total = max(steps, 2)  # of a single step, torch's class makes one at the lowest rate
    rise = warmup_share if warmup_share * total > 1 else 0.0
    peak = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, peak, total_steps=total, pct_start=rise, cycle_momentum=cycle_momentum)
