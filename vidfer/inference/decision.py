"""From logits to an answer: calibration, class prior, pooling over time, the paper's majority vote, late fusion, abstention.

References:
    Cherian, Vaidhehi, Arshey, Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum: the table of expressions over all face images and its most frequent entry.
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
    Saerens, Latinne, Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
    14(1), 2002: equation 2.4, of which `logit_adjustment` is the tempered form.
    Kittler, Hatef, Duin, Matas, On combining classifiers, IEEE TPAMI 20(3), 1998: the sum rule that `fuse` weights.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]

UNCERTAIN: Final = "uncertain"
"""What stands for a class where no class is probable enough to be named."""

PRIOR_STRENGTH: Final = 0.5
"""How far `logit_adjustment` goes from the training set's class shares to equal ones: half way, see docs/answer.md."""

PEAK_SHARE: Final = 0.5
"""Share of a person's face images, by weight, that `pool_peaks` keeps."""

SMOOTHING: Final = 0.3
"""Seconds before and after a face image over which `pool_peaks` averages it: one image on each side at 5 frames a second."""

_FLOOR = 1e-6
_REMAINS = 1e-3


def softmax(logits: "Floats", temperature: float = 1.0) -> "Floats":
    """Turn logits into probabilities, all divided by one temperature first.

    Args:
        logits: (N, 7), finite.
        temperature: Above 0; above 1 makes every answer less sure, none another one.

    Returns:
        (N, 7) float64, rows summing to 1.
    """
    import numpy as np

    scaled = logits.astype(np.float64) / temperature
    raised = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def invert_label_smoothing(logits: "Floats", smoothing: float) -> "Floats":
    """Take back what training with smoothed labels made of logits.

    A network that learnt from (1 - e) y + e / 7 answers (1 - e) p + e / 7, so that even a certain answer stays below 1. This
    solves for p; where nothing is left of a class, it keeps a thousandth.

    Args:
        logits: (N, 7), finite.
        smoothing: e, in [0, 1); 0 changes nothing.

    Returns:
        (N, 7) logits: for smoothing above 0 the logarithms of probabilities.

    References:
        Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the Inception architecture, CVPR 2016, section 7: the labels.
    """
    import numpy as np

    if not smoothing:
        return logits
    left = (softmax(logits) - smoothing / len(EMOTIONS)) / (1 - smoothing)
    kept = np.maximum(left, _REMAINS)
    return np.asarray(np.log(kept / kept.sum(1, keepdims=True)))


def logit_adjustment(probabilities: "Floats", shares: Sequence[float], strength: float = PRIOR_STRENGTH) -> "Floats":
    """Move probabilities from the class shares of a training set towards equal ones.

    Each is divided by its class's share to the power of `strength`, and the row is normalised again. 1 is Bayes' rule for
    classes that are equally frequent, 0 changes nothing.

    Args:
        probabilities: (N, 7), rows summing to 1.
        shares: Seven shares, all above 0, of the classes in the images that the model was trained on.
        strength: In [0, 1].

    Returns:
        (N, 7) float64, rows summing to 1.

    Example:
        >>> import numpy as np
        >>> from vidfer.inference.decision import logit_adjustment
        >>> p = np.array([[0.4, 0, 0, 0.6, 0, 0, 0]])
        >>> logit_adjustment(p, [0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1]).round(2)[0, [0, 3]].tolist()
        [0.57, 0.43]
    """
    import numpy as np

    moved = probabilities * np.asarray(shares, np.float64) ** -strength
    return np.asarray(moved / moved.sum(1, keepdims=True))


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
        >>> from vidfer.inference.decision import pool
        >>> p = np.full((2, 7), 0.05); p[0, 3] = p[1, 5] = 0.7
        >>> pool(p, np.array([3.0, 1.0])).argmax()
        np.int64(3)
    """
    import numpy as np

    logs = np.log(np.maximum(probabilities.astype(np.float64), _FLOOR))
    mean = (weights[:, None] * logs).sum(0) / weights.sum()
    pooled = np.exp(mean - mean.max())
    return np.asarray(pooled / pooled.sum())


def pool_peaks(
    probabilities: "Floats",
    weights: "Floats",
    times: "Floats",
    *,
    share: float = PEAK_SHARE,
    smoothing: float = SMOOTHING,
) -> "Floats":
    """Average log-probabilities over the half of a track that shows most expression.

    An expression that is shown for a moment drowns in the neutral moments around it when all of them are averaged. So each
    face image is first smoothed: its log-probabilities become their mean over the images before and after, so that a single
    mistaken image cannot make a peak. Then the images with the lowest probability of `neutral` are kept and pooled.
    Duplicated images change nothing, nor does the order of the rows.

    Args:
        probabilities: (N, 7), rows summing to 1, N >= 1; values below 1e-6 count as 1e-6.
        weights: (N,), above zero.
        times: (N,) presentation times in s.
        share: Share of all weight that is kept, in (0, 1].
        smoothing: Seconds before and after an image over which it is averaged.

    Returns:
        (7,) probabilities summing to 1; for a single image its own.
    """
    import numpy as np

    order = np.argsort(times, kind="stable")
    weight, time = weights[order].astype(np.float64), times[order]
    logs = np.log(np.maximum(probabilities[order].astype(np.float64), _FLOOR))
    first = np.searchsorted(time, time - smoothing, "left")
    beyond = np.searchsorted(time, time + smoothing, "right")
    mass = np.concatenate([[0.0], weight.cumsum()])
    total = np.concatenate([np.zeros((1, len(EMOTIONS))), (weight[:, None] * logs).cumsum(0)])
    smooth = softmax((total[beyond] - total[first]) / (mass[beyond] - mass[first])[:, None])
    ranked = np.argsort(smooth[:, EMOTIONS.index("neutral")], kind="stable")
    before = weight[ranked].cumsum() - weight[ranked]
    kept = np.clip(share * weight.sum() - before, 0.0, weight[ranked])
    return pool(smooth[ranked], kept)


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


def predominant(distribution: "Floats", abstain: float | None = None) -> tuple[str, float]:
    """Return the most probable class and its margin over the second, in [0, 1].

    Equal shares, as a vote gives them, go to the class that stands first in `EMOTIONS`, with margin 0.

    Args:
        distribution: (7,) probabilities.
        abstain: Probability below which the answer is `UNCERTAIN`; None to name a class always.
    """
    import numpy as np

    order = np.argsort(-distribution, kind="stable")
    highest, second = (float(distribution[place]) for place in order[:2])
    named = abstain is None or highest >= abstain
    return EMOTIONS[int(order[0])] if named else UNCERTAIN, highest - second


def by_name(distribution: "Floats") -> dict[str, float]:
    """Name a distribution's entries, rounded to six decimals."""
    return {name: round(float(value), 6) for name, value in zip(EMOTIONS, distribution, strict=True)}
