"""How good a classifier is, with the interval that the sample's size allows."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

_Z95 = 1.959963984540054

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier on a test set.

    Args:
        n: Number of samples.
        accuracy: Share answered rightly.
        accuracy_ci95: Wilson 95 % interval of the accuracy.
        uar: Unweighted average recall, over the classes that occur.
        f1_macro: Mean F1 over the classes that occur or were answered.
        confusion: Counts; rows are targets, columns answers, in the order of `EMOTIONS`.
    """

    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    uar: float
    f1_macro: float
    confusion: list[list[int]]


def score(target: npt.NDArray[np.int64], preds: npt.NDArray[np.int64]) -> Scores:
    """Score answers against targets.

    Args:
        target: True classes `(N,)`, indices into `EMOTIONS`, N >= 1.
        preds: Answers `(N,)`.

    Returns:
        The scores.

    Example:
        >>> import numpy as np
        >>> score(np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3])).uar
        0.75
    """
    size = len(EMOTIONS)
    confusion = np.bincount(target * size + preds, minlength=size * size).reshape(size, size)
    right = np.diag(confusion)
    support, answered = confusion.sum(1), confusion.sum(0)
    occurs, met = support > 0, support + answered > 0
    n = int(support.sum())
    return Scores(
        n,
        float(right.sum() / n),
        wilson_interval(int(right.sum()), n),
        float((right[occurs] / support[occurs]).mean()),
        float((2 * right[met] / (support + answered)[met]).mean()),
        confusion.tolist(),
    )


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share, which stays inside [0, 1] and does not shrink to a point at its ends.

    Args:
        successes: Number of successes.
        n: Number of trials, at least 1.

    Returns:
        Lower and upper end.

    References:
        Wilson: Probable inference, the law of succession, and statistical inference. JASA 1927.
    """
    share = successes / n
    spread = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    middle = share + _Z95**2 / (2 * n)
    scale = 1 + _Z95**2 / n
    return (max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often answers are right, by how sure they claim to be.

    Args:
        edges: Ends of the bins of the top probability, `(bins + 1,)` from 0 to 1; a bin holds its upper end.
        count: Answers in each bin, int64 `(bins,)`.
        right: Right ones among them, int64 `(bins,)`.
        confidence: Mean top probability of each bin, float64 `(bins,)`; 0 where it is empty.
    """

    edges: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error in [0, 1]: the mean distance of accuracy and confidence, bins weighted by count."""
        return float(np.abs(self.right - self.count * self.confidence).sum() / self.count.sum())


def reliability(probabilities: Floats, target: npt.NDArray[np.int64], bins: int = 15) -> Reliability:
    """Sort answers into bins of equal width by their top probability.

    Args:
        probabilities: `(N, 7)`, rows summing to 1, N >= 1.
        target: True classes `(N,)`.
        bins: Number of bins.

    References:
        Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017, equations 2 to 5.

    Example:
        >>> import numpy as np
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2]])
        >>> round(reliability(p, np.array([0, 1]), bins=1).ece, 2)  # half are right, 0.85 is claimed
        0.35
    """
    edges = np.linspace(0, 1, bins + 1)
    top = probabilities.max(1).astype(np.float64)
    place = np.digitize(top, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    right = np.bincount(place[probabilities.argmax(1) == target], minlength=bins)
    return Reliability(edges, count, right, np.bincount(place, top, bins) / np.maximum(count, 1))


def negative_log_likelihood(logits: Floats, target: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the true classes, in nats.

    Args:
        logits: `(N, 7)`, N >= 1.
        target: True classes `(N,)`.
    """
    from scipy.special import log_softmax

    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(target)), target].mean())


def classification_metrics(split: str) -> "MetricCollection":
    """Build what a training logs for a split: accuracy, mean recall (UAR) and macro F1.

    Args:
        split: `val` or `test`; the metrics are called `<split>_acc`, `<split>_uar` and `<split>_f1`.
    """
    from torchmetrics import Metric, MetricCollection
    from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

    size = len(EMOTIONS)
    metrics: dict[str, Metric | MetricCollection] = {
        "acc": MulticlassAccuracy(size, average="micro"),
        "uar": MulticlassAccuracy(size, average="macro"),
        "f1": MulticlassF1Score(size, average="macro"),
    }
    return MetricCollection(metrics, prefix=f"{split}_")
