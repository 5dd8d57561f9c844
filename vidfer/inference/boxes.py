"""Boxes of candidates for faces: which of them overlap, and what the image shows in each, all at once."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]

_BLOCK: Final = 256  # boxes compared at once: bounds the memory where there are thousands


def suppress(
    boxes: Boxes, scores: NDArray[np.float32], threshold: float, *, of_smaller: bool = False, edge: float = 0.0
) -> NDArray[np.intp]:
    """Return rows of boxes `(N, 4)` that no surer box overlaps by more than `threshold`, the surest first.

    Overlap is intersection over union, or over the smaller of both boxes. Boxes are x0 y0 x1 y1, `edge` what their sides are
    longer than the differences: 1 if the corners are pixels that belong to them. Of equal scores the first counts as surer.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(0, np.intp)
    for first in range(0, len(order), _BLOCK):
        block = order[first : first + _BLOCK]
        free = (_overlaps(boxes[block], boxes[kept], of_smaller, edge) <= threshold).all(axis=1)
        block = block[free]
        apart = _overlaps(boxes[block], boxes[block], of_smaller, edge) <= threshold
        alive = np.ones(len(block), np.bool_)
        for row in range(len(block)):
            if alive[row]:
                alive[row + 1 :] &= apart[row, row + 1 :]
        kept = np.concatenate([kept, block[alive]])
    return kept


def _overlaps(some: Boxes, others: Boxes, of_smaller: bool, edge: float) -> NDArray[np.float32]:
    x0, y0, x1, y1 = some.T[..., None]
    u0, v0, u1, v1 = others.T
    more = np.float32(edge)
    shared = np.maximum(np.minimum(x1, u1) - np.maximum(x0, u0) + more, 0)
    shared *= np.maximum(np.minimum(y1, v1) - np.maximum(y0, v0) + more, 0)
    areas, other_areas = (x1 - x0 + more) * (y1 - y0 + more), (u1 - u0 + more) * (v1 - v0 + more)
    return np.asarray(shared / (np.minimum(areas, other_areas) if of_smaller else areas + other_areas - shared))


class AreaSampler:
    """Shrinks or enlarges parts of an image `(H, W, 3)` uint8 RGB by averages over areas, as torch's `interpolate(mode="area")`.

    Pixel i of n shows the mean from floor(i m / n) to ceil((i + 1) m / n) of the m pixels, whole ones only. From a table of sums
    over all rectangles from the corner, each takes four look-ups, however large the part.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        import cv2

        exact = image.shape[0] * image.shape[1] * 255 < 2**31
        padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # numpy copies items of 16 bytes much faster than of 12
        self._sums: NDArray[Any] = cv2.integral(padded, sdepth=cv2.CV_32S if exact else cv2.CV_64F)
        self.height, self.width = image.shape[:2]

    def whole(self, height: int, width: int) -> NDArray[np.float32]:
        """Return the image at that size `(3, height, width)`, values v of 0-255 as (v - 127.5) / 128."""
        top, bottom = _edges(np.zeros(1, np.int64), np.array([self.height]), height)
        left, right = _edges(np.zeros(1, np.int64), np.array([self.width]), width)
        rows = self._sums.take(bottom[0], axis=0)
        rows -= self._sums.take(top[0], axis=0)
        sums = rows.take(right[0], axis=1)
        sums -= rows.take(left[0], axis=1)
        areas = np.multiply.outer(bottom[0] - top[0], right[0] - left[0])
        return _normalised(np.ascontiguousarray(sums[..., :3].transpose(2, 0, 1)), areas)

    def parts(self, boxes: NDArray[np.int64], side: int) -> NDArray[np.float32]:
        """Return parts `(N, 3, side, side)`, as `whole` gives it all, at boxes `(N, 4)` px inside the image, x0 y0 x1 y1."""
        left, right = _edges(boxes[:, 0], boxes[:, 2], side)
        top, bottom = ((self.width + 1) * rows for rows in _edges(boxes[:, 1], boxes[:, 3], side))
        flat = self._sums.reshape(-1, 4)

        def corner(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
            return flat.take(rows[:, :, None] + columns[:, None, :], axis=0, mode="clip")

        sums = corner(bottom, right)
        sums -= corner(top, right)
        sums -= corner(bottom, left)
        sums += corner(top, left)
        areas = (bottom - top)[:, :, None] // (self.width + 1) * (right - left)[:, None, :]
        return _normalised(np.ascontiguousarray(sums[..., :3].transpose(0, 3, 1, 2)), areas[:, None])


def _normalised(sums: NDArray[Any], areas: NDArray[np.int64]) -> NDArray[np.float32]:
    values = sums.astype(np.float32)
    values /= areas.astype(np.float32)
    values -= np.float32(127.5)
    values *= np.float32(1 / 128)
    return values


def _edges(low: NDArray[np.int64], high: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each of `count` pixels of N spans begins and ends, `(N, count)` each."""
    places, lengths = np.arange(count), (high - low)[:, None]
    return low[:, None] + places * lengths // count, low[:, None] - (-(places + 1) * lengths // count)
