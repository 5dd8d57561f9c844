import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from vidfer.media.assignment import assign


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (7, 4), (12, 12)])
def test_pairs_are_those_of_scipy(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(50):
        cost = rng.normal(size=shape) * 3
        cost[rng.random(shape) < 0.3] = 1e6
        pairs = assign(cost)
        rows, columns = linear_sum_assignment(cost)
        expected = list(zip(rows.tolist(), columns.tolist(), strict=True))
        allowed = [pair for pair in expected if cost[pair] < 1e6]
        assert [pair for pair in pairs if cost[pair] < 1e6] == allowed
        assert len(pairs) == len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(shape)
        assert sum(cost[pair] for pair in pairs) == pytest.approx(sum(cost[pair] for pair in expected))
