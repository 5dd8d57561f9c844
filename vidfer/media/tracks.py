"""Faces through time: which face of this frame is which of the frames before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.detect import Detections

_REACH: Final = 0.5  # sizes of a face that it may move between frames, plus as many a second
_SPEED: Final = 2.0
_ALIKE: Final = 0.4  # correlation of descriptors below which two faces are not matched, wherever they are
_LEARN: Final = 0.1
_FORBIDDEN: Final = 1e6


@dataclass(eq=False)
class _Track:
    id: int
    box: NDArray[np.float64]
    look: NDArray[np.float64]
    seen: float


class Tracker:
    """Assign track numbers by place and appearance (Hungarian method), across gaps, never across cuts.

    Args:
        max_gap: Seconds that a track survives without its face.
        min_score: Detection score that starts a track; matched faces need less.
    """

    def __init__(self, max_gap: float, min_score: float) -> None:
        self._max_gap, self._min_score = max_gap, min_score
        self._tracks: list[_Track] = []
        self._count = 0
        self._now = float("-inf")

    @property
    def boxes(self) -> NDArray[np.float64]:
        """Where the faces of the latest frame and those lost since are expected: `(N, 4)` px, at their last place."""
        return np.array([track.box for track in self._tracks]).reshape(-1, 4)

    @property
    def lost(self) -> bool:
        """Whether a face that was there is missing in the latest frame."""
        return any(track.seen < self._now for track in self._tracks)

    def cut(self) -> None:
        """End all tracks: a new scene begins."""
        self._tracks = []

    def update(self, pts: float, faces: Detections, looks: Sequence[NDArray[np.float64]]) -> list[int | None]:
        """Number the faces of one frame.

        Args:
            pts: The frame's time in seconds, not before the last one's.
            faces: Its N faces.
            looks: Their N descriptors, see `describe`.

        Returns:
            For each face the number of its track; None for one that matches no track and is too unsure to start one.
        """
        from scipy.optimize import linear_sum_assignment

        self._now = pts
        self._tracks = [track for track in self._tracks if pts - track.seen <= self._max_gap]
        ids: list[int | None] = [None] * len(faces)
        cost = self._cost(pts, faces.boxes, np.array(looks))
        for row, column in np.transpose(linear_sum_assignment(cost)).tolist():
            if cost[row, column] < _FORBIDDEN:
                track = self._tracks[row]
                track.box, track.seen = faces.boxes[column], pts
                track.look = track.look + _LEARN * (looks[column] - track.look)
                ids[column] = track.id
        for column in range(len(faces)):
            if ids[column] is None and faces.scores[column] >= self._min_score:
                self._tracks.append(_Track(self._count, faces.boxes[column], looks[column], pts))
                ids[column] = self._count
                self._count += 1
        return ids

    def _cost(self, pts: float, boxes: NDArray[np.float64], looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(tracks, faces)`: unlikeness plus distance in units of what the face could have moved."""
        cost = np.full((len(self._tracks), len(boxes)), _FORBIDDEN)
        if not len(boxes):
            return cost
        for row, track in enumerate(self._tracks):
            alike = looks @ track.look / max(float(np.linalg.norm(track.look)), 1e-9)
            sizes, size = _size(boxes), _size(track.box[None])[0]
            distance = np.linalg.norm(_centre(boxes) - _centre(track.box[None]), axis=1) / np.maximum(sizes, size)
            reach = _REACH + _SPEED * (pts - track.seen)
            possible = (distance < reach) & (np.maximum(sizes, size) < 2 * np.minimum(sizes, size)) & (alike > _ALIKE)
            cost[row, possible] = ((1 - alike) + distance / reach)[possible]
        return cost


def describe(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a face's descriptor: its aligned crop in 10x10 colour blocks, mean removed, norm 1, `(300,)`.

    Args:
        crop: `(160, 160, 3)` uint8.
    """
    import cv2

    blocks = np.asarray(cv2.resize(crop, (10, 10), interpolation=cv2.INTER_AREA), np.float64).ravel()
    blocks -= blocks.mean()
    return np.asarray(blocks / max(float(np.linalg.norm(blocks)), 1e-9), np.float64)


def distinct(faces: Detections, *, overlap: float = 0.5) -> Detections:
    """Drop every face that overlaps a surer one: two tracks that slid onto the same face, or a box inside another.

    Args:
        faces: Faces of one frame.
        overlap: Share of the smaller box that is too much.
    """
    kept: list[int] = []
    for index in np.argsort(-faces.scores, kind="stable"):
        if all(_overlap(faces.boxes[index], faces.boxes[other]) < overlap for other in kept):
            kept.append(int(index))
    return faces[np.array(sorted(kept), np.intp)]


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min(float(np.prod(one[2:] - one[:2])), float(np.prod(other[2:] - other[:2])))
    return float(np.prod(np.maximum(sides, 0))) / max(smaller, 1e-9)


def _centre(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float64)


def _size(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1)), np.float64)
