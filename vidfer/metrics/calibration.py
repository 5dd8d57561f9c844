"""Temperature scaling, and selective classification by a threshold on the confidence.

References:
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.
    El-Yaniv, Wiener: On the foundations of noise-free selective classification. JMLR 11, 2010: the risk-coverage curve.
"""

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
    """What is left, and how accurate it is, when less confident predictions are withheld.

    Args:
        threshold: Smallest confidence that is kept.
        n: Predictions kept.
        coverage: Their share of all.
        accuracy: Share of them that are correct; None where none is kept.
        interval: Wilson 95 % interval of the accuracy; None where none is kept.
    """

    threshold: float
    n: int
    coverage: float
    accuracy: float | None
    interval: tuple[float, float] | None


def fit_temperature(logits: Floats, target: npt.NDArray[np.int64]) -> float:
    """Find the temperature that maximises the likelihood of the true classes under softmax(logits / T).

    The likelihood is concave in 1 / T, so that Brent's bounded search over log T finds the one extremum in `TEMPERATURES`
    (Guo et al., section 4.2, equation 9). No prediction changes, only its confidence.

    Args:
        logits: `(N, 7)`, N >= 1, of samples that the network was not trained on.
        target: True classes `(N,)`.

    Returns:
        The temperature, above 0; above 1 where the logits are overconfident.
    """
    from scipy.optimize import minimize_scalar

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits / np.exp(log_t), target),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.exp(found.x))


def coverage_curve(
    probabilities: Floats, target: npt.NDArray[np.int64], thresholds: Sequence[float] = THRESHOLDS
) -> list[Coverage]:
    """Measure the accuracy of the predictions at or above each threshold on the confidence.

    Args:
        probabilities: `(N, 7)`, rows summing to 1, N >= 1.
        target: True classes `(N,)`.
        thresholds: Confidences in [0, 1]; each gives an entry.
    """
    top, right = probabilities.max(1), probabilities.argmax(1) == target
    curve = []
    for threshold in thresholds:
        kept = top >= threshold
        n, hits = int(kept.sum()), int(right[kept].sum())
        interval = wilson_interval(hits, n) if n else None
        curve.append(Coverage(threshold, n, n / len(top), hits / n if n else None, interval))
    return curve
