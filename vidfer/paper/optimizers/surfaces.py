"""Test functions of two variables whose minima are known, for watching optimisers find them or not.

References:
    Rosenbrock: An automatic method for finding the greatest or least value of a function. The Computer Journal, 1960.
    Beale: On an iterative method for finding a local minimum of a function of more than one variable. 1958.
    Himmelblau: Applied nonlinear programming. 1972.
    Dixon, Szego: Towards global optimisation 2. 1978 (the six-hump camel's back).
    Styblinski, Tang: Experiments in nonconvex optimization. Neural Networks, 1990.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Surface:
    """A function of x and y.

    Args:
        title: Its name.
        formula: The function as text.
        value: The function, for tensors of any shape.
        minima: All its global minima.
        local: All its other minima.
        saddles: Saddles worth marking.
        window: What is drawn: least and greatest x, least and greatest y.
        start: The start whose path is drawn.
        box: Where starts are drawn from, as `window`, which it is unless given.
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


def _camel(x: Tensor, y: Tensor) -> Tensor:
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + 4 * (y**2 - 1) * y**2


def _beale(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _mirrored(*points: Point) -> tuple[Point, ...]:
    return tuple(each for x, y in points for each in ((x, y), (-x, -y)))


_DEEP, _SHALLOW = -2.903534027771177, 2.746802777091548  # the two valleys of Styblinski and Tang's polynomial

SURFACES: Final[dict[str, Surface]] = {
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
        value=_beale,
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
        value=_camel,
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
"""The surfaces by name; on `saddle` every start lies all but on the ridge that leads to it."""
