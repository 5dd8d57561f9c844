"""Smoothed probabilities and names, by hand."""

import numpy as np
import pytest

from vidfer.inference.decision import predominant
from vidfer.results.smoothing import SIGMA, most_probable, smooth

HAPPY, SAD = np.eye(7)[3], np.eye(7)[4]


def test_a_neighbour_counts_by_its_distance_and_weight():
    found = smooth(np.array([0, 0.3]), np.array([HAPPY, SAD]), np.array([1.0, 0.5]))
    near = np.exp(-0.5)  # one standard deviation
    np.testing.assert_allclose(found[0], (HAPPY + 0.5 * near * SAD) / (1 + 0.5 * near))
    np.testing.assert_allclose(found[1], (near * HAPPY + 0.5 * SAD) / (near + 0.5))


def test_what_does_not_count_gets_its_neighbours_mean_within_reach():
    unknown = np.full(7, np.nan)
    found = smooth(np.array([0, 0.2, 1.2, 1.3]), np.array([HAPPY, unknown, SAD, SAD]), np.array([1.0, 0, 0, 0]))
    np.testing.assert_allclose(found[1], HAPPY)
    assert np.isnan(found[2:]).all()  # 0.9 s is three standard deviations


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_weighted_mean_that_a_double_loop_gives(seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 25)
    times = np.cumsum(rng.choice([0.04, 0.2, 0.21, 1.5], count))
    shares, weight = rng.dirichlet(np.ones(7), count), rng.choice([0, 0.3, 1.0], count)
    found = smooth(times, shares, weight)
    for at, row in zip(times, found, strict=True):
        near = np.where(np.abs(times - at) <= 3 * SIGMA, np.exp(-((times - at) ** 2) / (2 * SIGMA**2)), 0) * weight
        if near.sum() == 0:
            assert np.isnan(row).all()
        else:
            np.testing.assert_allclose(row, near @ shares / near.sum(), atol=1e-12)
            assert row.sum() == pytest.approx(1)


@pytest.mark.parametrize("abstain", [None, 0.3, 0.5])
def test_names_are_those_of_a_single_prediction(abstain):
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 200)
    shares[0] = 1 / 7  # equal shares go to the first class
    expected = [predominant(row, abstain)[0] for row in shares]
    assert most_probable(shares, abstain).tolist() == expected
    shares[3] = np.nan
    assert most_probable(shares, abstain).tolist() == [*expected[:3], None, *expected[4:]]
    assert most_probable(np.zeros((0, 7)), abstain).tolist() == []
