"""Intervals, tests and effect sizes, against scipy, statsmodels, integrals, and by hand."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from vidfer.results.statistics import d_z, hedges_g, holm, interval_of_mean, paired_t, welch_t


def samples(seed=0, n=15, m=9, columns=7):
    rng = np.random.default_rng(seed)
    return rng.normal(0.2, 0.1, (n, columns)), rng.normal(0.15, 0.2, (m, columns))


def noncentral(t, df, shift):
    """P(T < t) of a noncentral t, as an integral over the standard deviation."""
    return quad(lambda s: stats.norm.cdf(t * s / np.sqrt(df) - shift) * stats.chi.pdf(s, df), 0, np.sqrt(df) + 10)[0]


@pytest.mark.parametrize("seed", range(3))
def test_participants_compared_with_themselves(seed):
    first, second = samples(seed, m=15)
    found, size = paired_t(first, second), d_z(first, second)
    by_scipy = stats.ttest_rel(first, second)
    np.testing.assert_allclose(found.t, by_scipy.statistic)
    np.testing.assert_allclose(found.p, by_scipy.pvalue)
    ends = by_scipy.confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [ends.low, ends.high])
    d = first[:, 0] - second[:, 0]
    assert size.effect[0] == pytest.approx(d.mean() / d.std(ddof=1))
    root = np.sqrt(15)
    assert noncentral(found.t[0], 14, size.effect_low[0] * root) == pytest.approx(0.975, abs=1e-6)
    assert noncentral(found.t[0], 14, size.effect_high[0] * root) == pytest.approx(0.025, abs=1e-6)
    assert ttost_paired(first[:, 0], second[:, 0], -1, 1)[1][2] == 14 == found.df[0]


@pytest.mark.parametrize("seed", range(3))
def test_independent_groups(seed):
    first, second = samples(seed)
    found, size = welch_t(first, second), hedges_g(first, second)
    by_scipy = stats.ttest_ind(first, second, equal_var=False)
    np.testing.assert_allclose(found.p, by_scipy.pvalue)
    np.testing.assert_allclose(found.df, by_scipy.df)
    means = CompareMeans(DescrStatsW(first), DescrStatsW(second))
    np.testing.assert_allclose([found.low, found.high], means.tconfint_diff(usevar="unequal"))
    g, _ = effectsize_smd(
        first.mean(0), first.std(0, ddof=1), len(first), second.mean(0), second.std(0, ddof=1), len(second)
    )
    np.testing.assert_allclose(size.effect, g, rtol=2e-3)  # whose correction of bias is approximate
    scale = np.sqrt(15 * 9 / 24)
    pooled = np.sqrt((14 * first[:, 0].var(ddof=1) + 8 * second[:, 0].var(ddof=1)) / 22)
    t = found.difference[0] / pooled * scale
    unbiased = size.effect[0] / (found.difference[0] / pooled)
    assert unbiased == pytest.approx(1 - 3 / (4 * 22 - 1), abs=5e-4)
    assert noncentral(t, 22, size.effect_low[0] / unbiased * scale) == pytest.approx(0.975, abs=1e-6)
    assert noncentral(t, 22, size.effect_high[0] / unbiased * scale) == pytest.approx(0.025, abs=1e-6)


def test_the_other_way_round_all_signs_turn():
    signs = {"difference": "difference", "low": "high", "t": "t", "effect": "effect", "effect_low": "effect_high"}
    for ways, (first, second) in (((paired_t, d_z), samples(m=15)), ((welch_t, hedges_g), samples())):
        for way in ways:
            one, other = vars(way(first, second)), vars(way(second, first))
            for name in one.keys() & signs:
                np.testing.assert_allclose(one[name], -other[signs[name]], rtol=1e-6)


@pytest.mark.parametrize("ways", [(paired_t, d_z), (welch_t, hedges_g)])
def test_what_does_not_vary_has_a_difference_and_no_test(ways):
    first, second = samples(m=15)
    first[:, 2], second[:, 2] = 0.1 + 0.2, 0.1
    test, size = (way(first, second) for way in ways)
    assert test.difference[2] == pytest.approx(0.2)
    assert np.isnan([test.low[2], test.t[2], test.p[2], size.effect[2], size.effect_low[2], size.effect_high[2]]).all()
    for values in (test.p, size.effect_high):
        assert np.isfinite(np.delete(values, 2)).all()


def test_holm_by_hand():
    """Of 0.01, 0.04, 0.03 the smallest counts three times, the next twice, and none less than the one before."""
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06])
    assert np.isnan(holm(np.full(3, np.nan))).all()
    p = np.random.default_rng(0).random(20).round(1) ** 3  # with ties
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


@pytest.mark.parametrize(("n", "method"), [(9, "percentile"), (10, "BCa"), (30, "BCa")])
def test_the_interval_is_scipys_bootstrap_of_each_column(n, method):
    """With other resamples, and so about the same."""
    sample = np.random.default_rng(0).gamma(2, 0.1, (n, 3))
    low, high, named = interval_of_mean(sample)
    assert named == method
    for column in range(3):
        ends = stats.bootstrap((sample[:, column],), np.mean, method=method, rng=1).confidence_interval
        width = ends.high - ends.low
        assert (low[column], high[column]) == (
            pytest.approx(ends.low, abs=0.05 * width),
            pytest.approx(ends.high, abs=0.05 * width),
        )
    assert np.array_equal(interval_of_mean(sample)[0], low)  # the same each time


def test_an_interval_needs_two_and_of_a_constant_is_itself():
    low, high, method = interval_of_mean(np.full((1, 3), 0.4))
    assert np.isnan([low, high]).all()
    assert method == ""
    sample = np.random.default_rng(0).random((12, 2))
    sample[:, 1] = 0.25
    low, high, _ = interval_of_mean(sample)
    assert (low[1], high[1]) == (0.25, 0.25)
    assert low[0] < sample[:, 0].mean() < high[0]


@pytest.mark.parametrize("test", [paired_t, welch_t])
def test_without_an_effect_one_study_in_twenty_at_most_finds_one(test):
    """Seven shares of Dirichlet distributions, n = 12; Holm finds any of seven where 7 times the smallest p is below 0.05."""
    rng, studies = np.random.default_rng(0), 2000
    found = sum(7 * test(*rng.dirichlet(np.full(7, 3.0), (2, 12))).p.min() < 0.05 for _ in range(studies))
    assert 0.02 < found / studies < 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
