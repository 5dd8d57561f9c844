"""Intervals of votes, against a plain loop and against the binomial distribution."""

import numpy as np
import pytest
from scipy.stats import binom

from vidfer.results.vote_interval import BLOCK_S, vote_interval

FPS = 5
BLOCK = round(FPS * BLOCK_S)


def made(count, seed=0, stay=0.8):
    """Make votes that stay the same for a while."""
    generator = np.random.default_rng(seed)
    votes, now = [], 0
    for _ in range(count):
        if generator.random() > stay:
            now = int(generator.choice([0, 3, 3, 3, 6]))
        votes.append(now)
    return np.array(votes)


def by_a_loop(votes, block, resamples, seed):
    """Resample by indices, one block after the other."""
    generator, count = np.random.default_rng(seed), len(votes)
    shares = []
    for _ in range(resamples):
        starts = generator.integers(count, size=-(-count // block))
        drawn = [votes[(start + step) % count] for start in starts for step in range(block)][:count]
        shares.append(np.bincount(drawn, minlength=7) / count)
    return np.array(shares)


@pytest.mark.parametrize("count", [50, 73, 119])
def test_it_is_the_interval_of_resampled_blocks(count):
    votes = made(count)
    found = vote_interval(votes, FPS, 4000)
    drawn = by_a_loop(votes, BLOCK, 4000, seed=1)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    shown = found.shares > 0
    np.testing.assert_allclose(found.low[shown], low[shown], atol=0.025)
    np.testing.assert_allclose(found.high[shown], high[shown], atol=0.025)
    first, second = np.argsort(-found.shares, kind="stable")[:2]
    margins = np.percentile(drawn[:, first] - drawn[:, second], [2.5, 97.5])
    np.testing.assert_allclose([found.margin_low, found.margin_high], margins, atol=0.04)
    assert found.margin == pytest.approx(found.shares[first] - found.shares[second])


def test_of_blocks_of_one_image_it_is_binomial():
    votes = np.array([3] * 60 + [6] * 40)
    found = vote_interval(votes, 1 / BLOCK_S, 20_000)
    np.testing.assert_allclose(found.low[[3, 6]], binom.ppf(0.025, 100, [0.6, 0.4]) / 100, atol=0.011)
    np.testing.assert_allclose(found.high[[3, 6]], binom.ppf(0.975, 100, [0.6, 0.4]) / 100, atol=0.011)


def test_votes_that_stay_have_a_wider_interval_than_the_same_votes_shuffled():
    votes = made(300, stay=0.95)
    shuffled = np.random.default_rng(0).permutation(votes)
    kept, mixed = (vote_interval(each, FPS) for each in (votes, shuffled))
    assert (kept.high - kept.low)[3] > 1.5 * (mixed.high - mixed.low)[3]


def test_it_is_the_same_each_time():
    first, second = (vote_interval(made(100), FPS) for _ in range(2))
    np.testing.assert_array_equal(first.low, second.low)


@pytest.mark.parametrize("votes", [made(5 * BLOCK - 1), np.array([2]), np.full(200, 3)])
def test_too_few_images_and_votes_that_never_vary_have_no_interval(votes):
    found = vote_interval(votes, FPS)
    assert np.isnan([*found.low, *found.high, found.margin_low, found.margin_high]).all()
    assert found.shares.sum() == pytest.approx(1)


def test_an_expression_that_never_occurs_has_no_interval():
    found = vote_interval(made(100), FPS)
    assert np.isnan(found.low[[1, 2, 4, 5]]).all()
    assert not np.isnan(found.low[[0, 3, 6]]).any()
