"""Scores of a classifier, with confidence intervals, and its calibration error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier on `n` samples; rows of `confusion` are targets, columns predictions, in the order of `EMOTIONS`.

    `uar` is the unweighted average recall, see `macro_recall`; `f1_macro` the mean F1 over classes that occur or were predicted.
    """

    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    uar: float
    f1_macro: float
    confusion: list[list[int]]


def score(target: npt.NDArray[np.int64], preds: npt.NDArray[np.int64]) -> Scores:
    """Score predictions `(N,)` against targets `(N,)`, both indices into `EMOTIONS`, N >= 1.

    Example:
        >>> import numpy as np
        >>> score(np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3])).uar
        0.75
    """
    from sklearn.metrics import confusion_matrix, f1_score

    confusion = confusion_matrix(target, preds, labels=range(len(EMOTIONS)))
    n, right = len(target), int(confusion.trace())
    return Scores(
        n,
        right / n,
        wilson_interval(right, n),
        float(macro_recall(confusion)),
        float(f1_score(target, preds, average="macro")),
        confusion.tolist(),
    )


def macro_recall(confusion: "npt.NDArray[np.int64] | Tensor") -> "np.floating[Any] | Tensor":
    """Compute the unweighted average recall (UAR): the mean recall over the classes that occur.

    `confusion` holds counts `(C, P)`: rows are targets, the first C columns the same classes. torchmetrics' macro average
    counts a class without samples as 0 once it was predicted; here it is left out.
    """
    right, support = confusion.diagonal(), confusion.sum(1)
    return (right[support > 0] / support[support > 0]).mean()


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """One class against the rest: `precision` over ascending `recall`, both `(P,)`, and the `average` precision, in [0, 1]."""

    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    average: float


def precision_recall(
    probabilities: Floats, target: npt.NDArray[np.int64], points: int = 200
) -> dict[str, PrecisionRecall]:
    """Compute the curve of each of `EMOTIONS` that occurs, by its name, from probabilities `(N, 7)` of classes `(N,)`, N >= 1.

    Of a long curve so many points are left, evenly over the recall; none is interpolated. The average precision is that of all.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    found = {}
    for number in np.unique(target):
        truth, told = target == number, probabilities[:, number]
        precision, recall, _ = precision_recall_curve(truth, told)
        precision, recall = precision[::-1], recall[::-1]
        at = np.unique(np.searchsorted(recall, np.linspace(0, 1, points))) if len(recall) > points else slice(None)
        average = float(average_precision_score(truth, told))
        found[EMOTIONS[number]] = PrecisionRecall(recall[at], precision[at], average)
    return found


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share of n >= 1 trials, in [0, 1] (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    low, high = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


def mean_interval(values: "npt.ArrayLike") -> "tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None":
    """Compute the 95 % interval of a mean over the first axis by Student's t; None with fewer than two values."""
    from scipy.stats import sem, t

    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return None
    mean, half = array.mean(axis=0), t.ppf(0.975, len(array) - 1) * sem(array, axis=0)
    return mean - half, mean + half


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions, correct predictions and mean confidence (0 where there are none) `(B,)` in bins of the confidence.

    `edges` `(B + 1,)` go from 0 to 1; a bin includes its upper edge.
    """

    edges: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error in [0, 1] (Guo et al., ICML 2017, eq. 5): mean of |accuracy - confidence| by count."""
        return float(np.abs(self.right - self.count * self.confidence).sum() / self.count.sum())


def reliability(probabilities: Floats, target: npt.NDArray[np.int64], bins: int = 15) -> Reliability:
    """Sort predictions `(N, 7)` of classes `(N,)` into bins of equal width by their confidence, N >= 1."""
    edges = np.linspace(0, 1, bins + 1)
    top = probabilities.max(1).astype(np.float64)
    place = np.digitize(top, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    right = np.bincount(place[probabilities.argmax(1) == target], minlength=bins)
    return Reliability(edges, count, right, np.bincount(place, top, bins) / np.maximum(count, 1))


def negative_log_likelihood(logits: Floats, target: npt.NDArray[np.int64]) -> float:
    """Compute the mean negative log-likelihood of true classes `(N,)` in nats, for logits `(N, 7)`, N >= 1."""
    from scipy.special import log_softmax

    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(target)), target].mean())
