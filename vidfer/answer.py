"""From probabilities to an answer: pooling over time, the paper's majority vote, and late fusion.

References:
    Cherian, Vaidhehi, Arshey, Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum: the table of expressions over all face images and its most frequent entry.
    Kittler, Hatef, Duin, Matas, On combining classifiers, IEEE TPAMI 20(3), 1998: the sum rule that `fuse` weights.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]

_FLOOR = 1e-6


def pool(probabilities: "Floats", weights: "Floats") -> "Floats":
    """Average log-probabilities with weights and normalise: the weighted geometric mean.

    Args:
        probabilities: (N, 7), rows summing to 1, N >= 1. Values below 1e-6 count as 1e-6, so that one confident mistake
            cannot forbid a class.
        weights: (N,), not negative, at least one above zero.

    Returns:
        (7,) probabilities summing to 1.

    Example:
        >>> import numpy as np
        >>> from vidfer.answer import pool
        >>> p = np.full((2, 7), 0.05); p[0, 3] = p[1, 5] = 0.7
        >>> pool(p, np.array([3.0, 1.0])).argmax()
        np.int64(3)
    """
    import numpy as np

    logs = np.log(np.maximum(probabilities.astype(np.float64), _FLOOR))
    mean = (weights[:, None] * logs).sum(0) / weights.sum()
    pooled = np.exp(mean - mean.max())
    return np.asarray(pooled / pooled.sum())


def vote(probabilities: "Floats") -> "Floats":
    """Count each row's most probable class: the paper's table of expressions, as shares.

    Args:
        probabilities: (N, 7), N >= 1.

    Returns:
        (7,) shares summing to 1.
    """
    import numpy as np

    counts = np.bincount(probabilities.argmax(1), minlength=len(EMOTIONS))
    return np.asarray(counts / counts.sum())


def fuse(distributions: Mapping[str, "Floats"], weights: Mapping[str, float]) -> "Floats":
    """Fuse modalities by the weighted sum rule; with one modality its own distribution comes back.

    Not by the product rule: where one model is far from what it was trained on, its certain mistakes would veto the
    other. Kittler et al. derive why the sum bears errors of estimation best.

    Args:
        distributions: (7,) probabilities by modality, at least one.
        weights: Trust in each modality, above zero; only their ratio matters.

    Returns:
        (7,) probabilities summing to 1.
    """
    import numpy as np

    total = sum(weights[name] for name in distributions)
    return np.asarray(sum(distribution * (weights[name] / total) for name, distribution in distributions.items()))


def predominant(distribution: "Floats") -> tuple[str, float]:
    """Return the most probable class and its margin over the second, in [0, 1].

    Equal shares, as a vote gives them, go to the class that stands first in `EMOTIONS`, with margin 0.
    """
    import numpy as np

    order = np.argsort(-distribution, kind="stable")
    return EMOTIONS[int(order[0])], float(distribution[order[0]] - distribution[order[1]])


def by_name(distribution: "Floats") -> dict[str, float]:
    """Name a distribution's entries, rounded to six decimals."""
    return {name: round(float(value), 6) for name, value in zip(EMOTIONS, distribution, strict=True)}
