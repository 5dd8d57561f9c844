"""Probabilities smoothed over time, and the names of what is most probable."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.decision import UNCERTAIN
from vidfer.types import EMOTIONS

Floats = npt.NDArray[np.floating]

SIGMA: Final = 0.3
"""Standard deviation of the Gaussian in s: its width at half height, 0.7 s, is that of the shortest ordinary expressions."""

REACH: Final = 3 * SIGMA
"""Time in s beyond which an image does not count."""


def smooth(time_s: Floats, probabilities: Floats, weight: Floats) -> npt.NDArray[np.float64]:
    """Return the mean of a person's probabilities around each time, weighted by a Gaussian in time and by `weight`.

    A mean of distributions is a distribution: each row sums to 1.

    Args:
        time_s: `(N,)` s, ascending.
        probabilities: `(N, 7)` of one person's face images; rows of weight 0 may be NaN.
        weight: `(N,)` weights in pooling, 0 for images that do not count.

    Returns:
        `(N, 7)`; NaN where nothing that counts lies within 0.9 s.
    """
    part = weight[:, None] * np.where(weight[:, None] > 0, probabilities, 0)
    total, norm = part.copy(), weight.astype(np.float64)
    for step in range(1, len(time_s)):
        apart = time_s[step:] - time_s[:-step]
        if apart.min() > REACH:
            break
        near = np.exp(-0.5 * (apart / SIGMA) ** 2) * (apart <= REACH)
        total[step:] += near[:, None] * part[:-step]
        total[:-step] += near[:, None] * part[step:]
        norm[step:] += near * weight[:-step]
        norm[:-step] += near * weight[step:]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(norm[:, None] > 0, total / norm[:, None], np.nan))


def most_probable(probabilities: Floats, abstain: float | None = None) -> npt.NDArray[Any]:
    """Name the most probable class of each row `(N, 7)` as `predominant` does: `(N,)` texts, None for rows of NaN."""
    known = ~np.isnan(probabilities).any(axis=1)
    names = np.full(len(probabilities), None, object)
    rows = probabilities[known]
    best = rows.argmax(axis=1) if len(rows) else np.zeros(0, int)
    sure = np.full(len(rows), True) if abstain is None else rows.max(axis=1, initial=0) >= abstain
    names[known] = np.where(sure, np.array(EMOTIONS, object)[best], UNCERTAIN)
    return names
