"""Probabilities that mean what they say: one temperature for all logits, and what a threshold on them buys.

References:
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.
    El-Yaniv, Wiener: On the foundations of noise-free selective classification. JMLR 11, 2010: the risk-coverage curve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.metrics.classification import negative_log_likelihood, wilson_interval

Floats = npt.NDArray[np.floating[Any]]

TEMPERATURES: Final = (0.05, 20.0)
"""Range in which the temperature is searched. Its ends are met only where the best would be 0 or infinite."""

THRESHOLDS: Final = (0.0, *(round(0.05 * step, 2) for step in range(4, 20)))
"""Top probabilities at which coverage is measured; with seven classes the smallest possible is 1/7."""


@dataclass(frozen=True)
class Coverage:
    """What is left, and how good it is, when less sure answers are withheld.

    Args:
        threshold: Smallest top probability that is answered.
        n: Answers left.
        coverage: Their share of all.
        accuracy: Share of them that are right; None where none is left.
        interval: Wilson 95 % interval of the accuracy; None where none is left.
    """

    threshold: float
    n: int
    coverage: float
    accuracy: float | None
    interval: tuple[float, float] | None


def fit_temperature(logits: Floats, target: npt.NDArray[np.int64]) -> float:
    """Find the temperature that maximises the likelihood of the true classes under softmax(logits / T).

    The likelihood is concave in 1 / T, so that the one extremum in `TEMPERATURES` is found by Brent's bounded search over
    log T. No answer changes, only how sure it is.

    Args:
        logits: `(N, 7)`, N >= 1, of images that the network was not trained on.
        target: True classes `(N,)`.

    Returns:
        The temperature, above 0; above 1 where the logits claim too much.

    References:
        Guo et al., section 4.2, equation 9.
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


def label_smoothing(card: Mapping[str, Any]) -> float:
    """Return the share by which the labels were smoothed that weights were trained with, see `invert_label_smoothing`.

    Args:
        card: The card of the weights.

    Returns:
        The share; 0 where the card does not say, or a teacher's answers were followed as well.
    """
    recipe = card.get("recipe")
    task = recipe.get("task") if isinstance(recipe, dict) else None
    if not isinstance(task, dict) or task.get("distillation"):
        return 0.0
    return float(task.get("label_smoothing", 0.0))


def coverage_curve(
    probabilities: Floats, target: npt.NDArray[np.int64], thresholds: Sequence[float] = THRESHOLDS
) -> list[Coverage]:
    """Measure accuracy among the answers whose top probability reaches each threshold.

    Args:
        probabilities: `(N, 7)`, rows summing to 1, N >= 1.
        target: True classes `(N,)`.
        thresholds: Top probabilities.

    Returns:
        An entry for each threshold.
    """
    top, right = probabilities.max(1), probabilities.argmax(1) == target
    curve = []
    for threshold in thresholds:
        chosen = top >= threshold
        n, hits = int(chosen.sum()), int(right[chosen].sum())
        curve.append(
            Coverage(threshold, n, n / len(top), hits / n if n else None, wilson_interval(hits, n) if n else None)
        )
    return curve
