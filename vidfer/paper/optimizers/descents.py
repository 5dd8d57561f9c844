"""Descents of the five optimisers on surfaces whose minima are known: paths, steps, and the minimum they end in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from vidfer.metrics.classification import wilson_interval
from vidfer.paper.optimizers.surfaces import Surface
from vidfer.tasks.optimizers import OPTIMIZERS, build_optimizer

RATES: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
"""The learning rates that each optimiser is tuned over: half-decades."""

TOLERANCE: Final = 1e-3
"""A start has reached the minimum when the function lies no more than this above its least value, and stays there."""

_TUNING, _REPORTED = 1, 2  # seeds of the starts: a rate is chosen on other ones than those that are reported
_NEAR = 0.1  # a path that ends no farther from a local minimum ended in it


@dataclass(frozen=True)
class Outcome:
    """Result of one optimiser on one surface from many starts.

    Args:
        optimizer: Its name.
        setting: Origin of the learning rate, `tuned` or `common`.
        lr: The learning rate.
        starts: Number of starts.
        reached: Starts from which the function came within `TOLERANCE` of its least value, and stayed there.
        local: Starts from which it ended in a local minimum.
        diverged: Starts from which it ended where the function is not finite, or higher than at the start.
        median: Median steps of the starts counted by `reached`; None if there are none.
        gaps: Median over the starts of the function's height above its least value, after each step, `(steps + 1,)`.
        path: Path from the surface's own start, `(steps + 1, 2)`.
    """

    optimizer: str
    setting: str
    lr: float
    starts: int
    reached: int
    local: int
    diverged: int
    median: int | None
    gaps: Tensor
    path: Tensor

    def row(self) -> dict[str, Any]:
        """Return the outcome as a row of `surfaces.csv`; `low` and `high` are the interval of the share that arrived."""
        low, high = wilson_interval(self.reached, self.starts)
        return {
            "optimizer": self.optimizer,
            "rate": self.setting,
            "lr": self.lr,
            "at_edge": self.setting == "tuned" and self.lr in (RATES[0], RATES[-1]),
            "starts": self.starts,
            "global_minimum": self.reached,
            "low": low,
            "high": high,
            "local_minimum": self.local,
            "diverged": self.diverged,
            "median_steps": self.median,
        }


def compare(surface: Surface, *, steps: int, starts: int, common: float) -> Iterator[Outcome]:
    """Minimise a surface by every optimiser, at a rate that was tuned for it and at a rate common to all.

    The tuned rate is the one of `RATES` by which most starts reached the least value, in the fewest steps where that is equal
    (starts that did not arrive count as the whole budget), on starts that are not reported.

    Yields:
        For each optimiser its outcome at the tuned rate, then at the common one.
    """
    own = torch.tensor([surface.start], dtype=torch.float64)
    reported = torch.cat([own, surface.draw_starts(starts, _REPORTED)])
    for optimizer in OPTIMIZERS:
        lr = tune(surface, optimizer, steps, starts)
        for setting, path in zip(
            ("tuned", "common"), descend(surface, optimizer, (lr, common), reported, steps), strict=True
        ):
            yield _outcome(surface, optimizer, setting, lr if setting == "tuned" else common, path)


def tune(surface: Surface, optimizer: str, steps: int, starts: int) -> float:
    """Choose the rate of `RATES` that serves an optimiser best, see `compare`."""
    paths = descend(surface, optimizer, RATES, surface.draw_starts(starts, _TUNING), steps)
    taken = [arrivals(surface, path).clamp_max(steps + 1).double() for path in paths]
    scores = [((steps_ > steps).sum().item(), steps_.mean().item()) for steps_ in taken]
    return RATES[scores.index(min(scores))]


def descend(surface: Surface, optimizer: str, rates: Sequence[float], starts: Tensor, steps: int) -> list[Tensor]:
    """Take steps from many starts, float64 `(N, 2)`, at once and at several learning rates.

    All five optimisers treat every coordinate by itself, so that paths taken at once are those taken one by one.

    Returns:
        Paths float64 `(steps + 1, N, 2)`, the start first, for each rate; not finite from where they diverged.
    """
    points = [torch.nn.Parameter(starts.clone()) for _ in rates]
    groups = [{"params": [each], "lr": rate} for each, rate in zip(points, rates, strict=True)]
    made = build_optimizer(optimizer, groups, lr=rates[0])
    paths = [torch.stack([each.detach() for each in points])]
    for _ in range(steps):
        made.zero_grad()
        at = torch.stack(list(points))
        surface.value(at[..., 0], at[..., 1]).sum().backward()  # type: ignore[no-untyped-call]
        made.step()
        paths.append(torch.stack([each.detach() for each in points]))
    return list(torch.stack(paths, dim=1))


def arrivals(surface: Surface, path: Tensor) -> Tensor:
    """Count the steps after which a path `(steps + 1, N, 2)` stays within `TOLERANCE` of the least value.

    Returns:
        int64 `(N,)`; steps + 1 for a path that did not arrive.
    """
    away = ~(surface.gap(path) <= TOLERANCE)  # what is not finite is away
    last = torch.arange(1, len(path) + 1)[:, None] * away
    return last.amax(dim=0)


def _outcome(surface: Surface, optimizer: str, setting: str, lr: float, path: Tensor) -> Outcome:
    own, path = path[:, 0], path[:, 1:]
    taken, gaps = arrivals(surface, path), surface.gap(path)
    there = taken < len(path)
    ends = path[-1]
    lost = ~torch.isfinite(gaps[-1]) | (gaps[-1] > gaps[0])
    local = torch.zeros_like(there)
    for minimum in surface.local:
        local |= (ends - torch.tensor(minimum, dtype=torch.float64)).norm(dim=1) <= _NEAR
    return Outcome(
        optimizer=optimizer,
        setting=setting,
        lr=lr,
        starts=len(there),
        reached=int(there.sum()),
        local=int(local.sum()),
        diverged=int((lost & ~there & ~local).sum()),
        median=int(taken[there].median()) if there.any() else None,
        gaps=gaps.nan_to_num(nan=torch.inf).median(dim=1).values,
        path=own.clone(),
    )
