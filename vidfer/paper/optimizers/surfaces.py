"""Test functions of two variables whose minima are known, and descents of the five optimisers on them.

Rosenbrock 1960; Beale 1958; Himmelblau: Applied nonlinear programming. 1972; the six-hump camel's back: Dixon, Szego: Towards
global optimisation 2. 1978; Styblinski, Tang: Experiments in nonconvex optimization. Neural Networks, 1990.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from vidfer.metrics.classification import wilson_interval
from vidfer.tasks.optimizers import OPTIMIZERS, build_optimizer

RATES: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)  # to choose from
TOLERANCE: Final = 1e-3  # a start has reached the minimum when the function stays no more than this above it
_TUNING, _REPORTED = 1, 2  # seeds of the starts: a rate is chosen on other ones than those that are reported
_NEAR = 0.1  # a path that ends no farther from a local minimum ended in it
_DEEP, _SHALLOW = -2.903534027771177, 2.746802777091548  # the two valleys of Styblinski and Tang's polynomial

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Surface:
    """A function of x and y: as text, and for tensors of any shape; with its global minima, all others, and saddles to mark.

    `window` is what is drawn (least and greatest x, least and greatest y), `box` where starts are drawn from, which is the
    window unless given, and `start` the start whose path is drawn.
    """

    title: str
    formula: str
    value: Callable[[Tensor, Tensor], Tensor]
    minima: tuple[Point, ...]
    window: Box
    start: Point
    local: tuple[Point, ...] = ()
    saddles: tuple[Point, ...] = ()
    box: Box | None = None

    def gap(self, points: Tensor) -> Tensor:
        """Compute the function's height `(...)` above its least value at points `(..., 2)`."""
        least = self.value(*torch.tensor(self.minima[0], dtype=torch.float64))
        return self.value(points[..., 0], points[..., 1]) - least

    def draw_starts(self, count: int, seed: int) -> Tensor:
        """Spread starts evenly over the box by a Sobol sequence scrambled by the seed, float64 `(count, 2)`."""
        engine = torch.quasirandom.SobolEngine(2, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        share: Tensor = engine.draw(count, dtype=torch.float64)
        low, high = torch.tensor(self.box or self.window, dtype=torch.float64).reshape(2, 2).T
        starts: Tensor = low + share * (high - low)
        return starts


def _mirrored(*points: Point) -> tuple[Point, ...]:
    return tuple(each for x, y in points for each in ((x, y), (-x, -y)))


SURFACES: Final[dict[str, Surface]] = {  # on `saddle` every start lies all but on the ridge that leads to it
    "rosenbrock": Surface(
        title="Rosenbrock's valley",
        formula="(1 - x)² + 100 (y - x²)²",
        value=lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        minima=((1.0, 1.0),),
        window=(-2.0, 2.0, -1.0, 3.0),
        start=(-1.5, 2.0),
    ),
    "beale": Surface(
        title="Beale",
        formula="(1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²",
        value=lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
        minima=((3.0, 0.5),),
        saddles=((0.0, 1.0),),
        window=(-4.5, 4.5, -4.5, 4.5),
        start=(-1.5, 2.5),
    ),
    "himmelblau": Surface(
        title="Himmelblau: four global minima",
        formula="(x² + y - 11)² + (x + y² - 7)²",
        value=lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
        minima=(
            (3.0, 2.0),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286170),
            (3.584428340330492, -1.848126526964404),
        ),
        window=(-5.0, 5.0, -5.0, 5.0),
        start=(-0.4, -1.2),
    ),
    "camel": Surface(
        title="Six-hump camel: two global minima, four local",
        formula="(4 - 2.1 x² + x⁴/3) x² + xy + 4 (y² - 1) y²",
        value=lambda x, y: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + 4 * (y**2 - 1) * y**2,
        minima=_mirrored((0.0898420131003, -0.7126564032705)),
        local=_mirrored((1.7036067149, -0.7960835687), (1.6071047514, 0.5686514549)),
        saddles=((0.0, 0.0),),
        window=(-2.2, 2.2, -1.3, 1.3),
        box=(-2.0, 2.0, -1.1, 1.1),
        start=(-2.0, 0.1),
    ),
    "styblinski_tang": Surface(
        title="Styblinski-Tang: one global minimum, three local",
        formula="(x⁴ - 16x² + 5x + y⁴ - 16y² + 5y) / 2",
        value=lambda x, y: (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y) / 2,
        minima=((_DEEP, _DEEP),),
        local=((_DEEP, _SHALLOW), (_SHALLOW, _DEEP), (_SHALLOW, _SHALLOW)),
        window=(-5.0, 5.0, -5.0, 5.0),
        start=(4.6, 0.9),
    ),
    "saddle": Surface(
        title="Saddle between two global minima",
        formula="x² - y² + y⁴/2",
        value=lambda x, y: x**2 - y**2 + y**4 / 2,
        minima=((0.0, 1.0), (0.0, -1.0)),
        saddles=((0.0, 0.0),),
        window=(-2.0, 2.0, -1.6, 1.6),
        box=(-2.0, 2.0, -0.001, 0.001),
        start=(-1.7, 0.0005),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """Result of one optimiser on one surface from many starts.

    `row` is that of `surfaces.csv`; `low` and `high` in it are the 95 % interval of the share of starts that reached, and
    stayed at, the global minimum, and `at_edge` says that a tuned rate is the first or last of `RATES`. `gaps` is the median
    over the starts of the height above the least value after each step, `(steps + 1,)`; `path`, from the surface's own start,
    `(steps + 1, 2)`.
    """

    row: dict[str, Any]
    gaps: Tensor
    path: Tensor


def compare(surface: Surface, *, steps: int, starts: int, common: float) -> Iterator[Outcome]:
    """Minimise a surface by every optimiser: yield its outcome at a rate that was tuned for it, then at one common to all.

    The tuned rate is the one of `RATES` by which most starts reached the least value, in the fewest steps where that is equal
    (starts that did not arrive count as the whole budget), on starts that are not reported.
    """
    own = torch.tensor([surface.start], dtype=torch.float64)
    reported = torch.cat([own, surface.draw_starts(starts, _REPORTED)])
    for optimizer in OPTIMIZERS:
        rates = {"tuned": tune(surface, optimizer, steps, starts), "common": common}
        paths = descend(surface, optimizer, tuple(rates.values()), reported, steps)
        for (rate, lr), path in zip(rates.items(), paths, strict=True):
            yield _outcome(surface, optimizer, rate, lr, path)


def tune(surface: Surface, optimizer: str, steps: int, starts: int) -> float:
    """Choose the rate of `RATES` that serves an optimiser best, see `compare`."""
    paths = descend(surface, optimizer, RATES, surface.draw_starts(starts, _TUNING), steps)
    taken = [arrivals(surface, path).clamp_max(steps + 1).double() for path in paths]
    scores = [((steps_ > steps).sum().item(), steps_.mean().item()) for steps_ in taken]
    return RATES[scores.index(min(scores))]


def descend(surface: Surface, optimizer: str, rates: Sequence[float], starts: Tensor, steps: int) -> list[Tensor]:
    """Take steps from many starts, float64 `(N, 2)`, at once and at several learning rates.

    All five optimisers treat every coordinate by itself, so that paths taken at once are those taken one by one. Each rate's
    paths are float64 `(steps + 1, N, 2)`, the start first; not finite from where they diverged.
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
    """Count the steps, `(N,)`, after which paths `(steps + 1, N, 2)` stay within `TOLERANCE` of the least value, or steps + 1."""
    away = ~(surface.gap(path) <= TOLERANCE)  # what is not finite is away
    return (torch.arange(1, len(path) + 1)[:, None] * away).amax(dim=0)


def _outcome(surface: Surface, optimizer: str, rate: str, lr: float, path: Tensor) -> Outcome:
    own, path = path[:, 0], path[:, 1:]
    taken, gaps = arrivals(surface, path), surface.gap(path)
    there = taken < len(path)
    lost = ~torch.isfinite(gaps[-1]) | (gaps[-1] > gaps[0])
    minima = torch.tensor(surface.local, dtype=torch.float64).reshape(-1, 1, 2)
    local = ((path[-1] - minima).norm(dim=-1) <= _NEAR).any(dim=0)
    reached, starts = int(there.sum()), len(there)
    low, high = wilson_interval(reached, starts)
    row = {
        "optimizer": optimizer,
        "rate": rate,
        "lr": lr,
        "at_edge": rate == "tuned" and lr in (RATES[0], RATES[-1]),
        "starts": starts,
        "global_minimum": reached,
        "low": low,
        "high": high,
        "local_minimum": int(local.sum()),
        "diverged": int((lost & ~there & ~local).sum()),
        "median_steps": int(taken[there].median()) if reached else None,
    }
    return Outcome(row, gaps.nan_to_num(nan=torch.inf).median(dim=1).values, own.clone())
