"""Temperature scaling (Guo et al., ICML 2017), and risk-coverage curves (El-Yaniv, Wiener, JMLR 11, 2010)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vidfer.metrics.classification import Floats, negative_log_likelihood, wilson_interval

TEMPERATURES: Final = (0.05, 20.0)
"""Range in which the temperature is searched. Its ends are reached only where the best would be 0 or infinite."""

THRESHOLDS: Final = (0.0, *(round(0.05 * step, 2) for step in range(4, 20)))
"""Confidences at which coverage is measured; with seven classes the smallest possible is 1/7."""


@dataclass(frozen=True)
class Coverage:
    """The `n` predictions, `coverage` their share of all, whose confidence reaches `threshold`.

    `accuracy` and its Wilson 95 % interval `low` to `high` are of these; None where there are none.
    """

    threshold: float
    n: int
    coverage: float
    accuracy: float | None
    low: float | None
    high: float | None


def fit_temperature(logits: Floats, target: npt.NDArray[np.int64], *, spread: float | None = None) -> float:
    """Find the T > 0 that maximises the likelihood of classes `(N,)` under softmax(logits / T), logits `(N, 7)`, N >= 1.

    The samples are not the training's. The log-likelihood is concave in 1 / T, so that Brent's bounded search over log T finds
    its only maximum in `TEMPERATURES` (Guo et al., section 4.2, equation 9). With a `spread`, log T has a normal prior of mean 0
    and that deviation: it keeps T near 1 where samples are few, such as ten that are all right, whose likelihood alone would
    make every prediction certain. With hundreds of samples it changes nothing that matters.
    """
    from scipy.optimize import minimize_scalar

    penalty = 0.0 if spread is None else 1 / (2 * spread**2 * len(target))
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits / np.exp(log_t), target) + penalty * log_t**2,
        bounds=(math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1])),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.exp(found.x))


def coverage_curve(
    probabilities: Floats, target: npt.NDArray[np.int64], thresholds: Sequence[float] = THRESHOLDS
) -> list[Coverage]:
    """Measure predictions `(N, 7)`, N >= 1, of classes `(N,)` at each threshold on the confidence."""
    top, right = probabilities.max(1), probabilities.argmax(1) == target
    curve = []
    for threshold in thresholds:
        kept = top >= threshold
        n, hits = int(kept.sum()), int(right[kept].sum())
        accuracy, interval = (hits / n, wilson_interval(hits, n)) if n else (None, (None, None))
        curve.append(Coverage(threshold, n, n / len(top), accuracy, *interval))
    return curve
