"""Intervals, tests and effect sizes for each column of a sample, `(n, K)` float64: a row per participant.

References:
    Efron, Better bootstrap confidence intervals, JASA 82(397), 1987: BCa.
    Hedges, Distribution theory for Glass's estimator of effect size, Journal of Educational Statistics 6(2), 1981: g.
    Steiger, Fouladi, Noncentrality interval estimation, in: What if there were no significance tests?, 1997.
    Lakens, Calculating and reporting effect sizes, Frontiers in Psychology 4:863, 2013: d_z.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SEED: Final = 20140
"""Of the bootstrap, so that the same data give the same interval."""

RESAMPLES: Final = 9999

FOR_BCA: Final = 10
"""Sample size from which the interval is BCa; its acceleration cannot be told from fewer, which get percentiles."""

LEVEL: Final = 0.95

_BATCH: Final = 4_000_000  # numbers that resampling holds at once


@dataclass(frozen=True)
class Tested:
    """First less second, a number a column; NaN where the samples do not vary.

    Args:
        difference: Of the means, never missing, with its t interval `low`, `high` of 95 %.
        t: Statistic of the test, with `df` degrees of freedom and its two-sided `p`.
    """

    difference: Floats
    low: Floats
    high: Floats
    t: Floats
    df: Floats
    p: Floats


@dataclass(frozen=True)
class Effect:
    """A difference in standard deviations, with its 95 % interval from the noncentral t distribution; NaN as in `Tested`."""

    effect: Floats
    effect_low: Floats
    effect_high: Floats


def interval_of_mean(sample: Floats, resamples: int = RESAMPLES) -> tuple[Floats, Floats, str]:
    """Bootstrap the 95 % interval of the mean of each column, over rows: low, high `(K,)` and the method.

    With fewer than two rows there is none (NaN, and the method is empty). A column that does not vary has its value as both ends.
    """
    from scipy.stats import bootstrap

    count, columns = sample.shape
    nothing = np.full(columns, np.nan)
    if count < 2:
        return nothing, nothing.copy(), ""
    low, high = sample.mean(0), sample.mean(0)
    varies = np.ptp(sample, axis=0) > 0
    method: Literal["BCa", "percentile"] = "BCa" if count >= FOR_BCA else "percentile"
    if varies.any():
        found = bootstrap(
            (sample[:, varies],),
            np.mean,
            axis=0,
            n_resamples=resamples,
            batch=max(1, _BATCH // (count * columns)),
            confidence_level=LEVEL,
            method=method,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        low[varies], high[varies] = found.low, found.high
    return low, high, method


def paired_t(first: Floats, second: Floats) -> Tested:
    """Test rows of the same n >= 2 participants by the paired t test."""
    change = first - second
    mean, error = change.mean(0), _deviation(change) / np.sqrt(len(change))
    return _test(mean, error, np.full(len(mean), len(change) - 1.0))


def welch_t(first: Floats, second: Floats) -> Tested:
    """Test rows of different participants, n >= 2 each, by Welch's t test."""
    errors = np.array([sample.var(0, ddof=1) / len(sample) for sample in (first, second)])
    errors[:, _constant(first) & _constant(second)] = np.nan
    freedom = np.array([[len(first) - 1.0], [len(second) - 1.0]])
    with np.errstate(invalid="ignore", divide="ignore"):
        df = errors.sum(0) ** 2 / (errors**2 / freedom).sum(0)
    return _test(first.mean(0) - second.mean(0), np.sqrt(errors.sum(0)), df)


def d_z(first: Floats, second: Floats) -> Effect:
    """Return the mean difference of the same participants in standard deviations of the differences."""
    change, root = first - second, np.sqrt(len(first))
    effect = change.mean(0) / _deviation(change)
    low, high = _noncentrality(effect * root, len(first) - 1.0)
    return Effect(effect, low / root, high / root)


def hedges_g(first: Floats, second: Floats) -> Effect:
    """Return the difference of the means in pooled standard deviations, corrected for the bias of small samples."""
    from scipy.special import gammaln

    sizes, df = np.array([len(first), len(second)]), len(first) + len(second) - 2.0
    squares = (len(first) - 1) * first.var(0, ddof=1) + (len(second) - 1) * second.var(0, ddof=1)
    squares[_constant(first) & _constant(second)] = np.nan
    effect = (first.mean(0) - second.mean(0)) / np.sqrt(squares / df)
    unbiased = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    scale = np.sqrt(sizes.prod() / sizes.sum())
    low, high = _noncentrality(effect * scale, df)
    return Effect(unbiased * effect, unbiased * low / scale, unbiased * high / scale)


def holm(p: Floats) -> Floats:
    """Correct p values for their number; NaN ones are no tests."""
    corrected, known = np.full_like(p, np.nan), np.flatnonzero(~np.isnan(p))
    rising = known[np.argsort(p[known], kind="stable")]
    corrected[rising] = np.minimum(1, np.maximum.accumulate(p[rising] * np.arange(len(rising), 0, -1)))
    return corrected


def _constant(sample: Floats) -> npt.NDArray[np.bool_]:
    """Say which columns do not vary but for rounding."""
    return np.asarray(np.ptp(sample, axis=0) <= 1e-12 * np.maximum(1e-300, np.abs(sample).max(0)))


def _deviation(sample: Floats) -> Floats:
    return np.asarray(np.where(_constant(sample), np.nan, sample.std(0, ddof=1)))


def _test(mean: Floats, error: Floats, df: Floats) -> Tested:
    from scipy.stats import t

    reach, statistic = t.ppf((1 + LEVEL) / 2, df) * error, mean / error
    return Tested(mean, mean - reach, mean + reach, statistic, df, np.asarray(2 * t.sf(np.abs(statistic), df)))


def _noncentrality(statistic: Floats, df: float) -> tuple[Floats, Floats]:
    """Return the noncentralities of which a t is the 97.5th and the 2.5th percentile."""
    from scipy.special import nctdtrinc

    low, high = (nctdtrinc(df, share, statistic).astype(np.float64) for share in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return low, high
