"""Pairs of least cost, such as of tracks and faces, without SciPy, whose import takes longer than a short clip's tracking."""

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair each row with a column of its own, or each column with a row where these are fewer, at the least sum of costs.

    Args:
        cost: `(R, C)`, finite.

    Returns:
        `min(R, C)` pairs (row, column), by row, as `scipy.optimize.linear_sum_assignment`'s.

    References:
        Crouse, On implementing 2D rectangular assignment algorithms, IEEE Transactions on Aerospace and Electronic Systems
        52(4), 2016.
    """
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in assign(cost.T))
    rows, columns = cost.shape
    of_rows, of_columns = np.zeros(rows), np.zeros(columns)  # dual variables: reduced costs stay at least 0
    owner = np.full(columns, -1)
    for row in range(rows):
        paths, before, done = np.full(columns, np.inf), np.full(columns, -1), np.zeros(columns, bool)
        at, length, end = row, 0.0, -1
        while True:  # Dijkstra's way to the nearest free column
            reduced = length + cost[at] - of_rows[at] - of_columns
            nearer = ~done & (reduced < paths)
            paths[nearer], before[nearer] = reduced[nearer], at
            end = int(np.where(done, np.inf, paths).argmin())
            length = float(paths[end])
            if owner[end] < 0:
                break
            done[end], at = True, int(owner[end])
        of_rows[row] += length
        of_rows[owner[done]] += length - paths[done]
        of_columns[done] -= length - paths[done]
        while end >= 0:  # the pairs on the way change partners
            previous = int(before[end])
            following = np.flatnonzero(owner == previous)
            owner[end] = previous
            end = int(following[0]) if previous != row else -1
    return sorted((int(owner[column]), column) for column in np.flatnonzero(owner >= 0).tolist())
