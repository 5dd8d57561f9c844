"""Faces through time: which face of this frame is which of the frames before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.assignment import assign
from vidfer.media.detect import Detections
from vidfer.media.pixels import shrunk

_STAY: Final = 0.5  # sizes of a face within which it stays in its place
_SPEED: Final = 2.0  # sizes a second that it may move besides
_RETURN: Final = 1.5  # sizes from its last place within which a face is known again after an absence
_ALIKE: Final = 0.35  # likeness below which even a face in its place is another's
_SURE: Final = 0.65  # likeness that motion or an absence asks for
_LEARN: Final = 0.1
_FORBIDDEN: Final = 1e6
_OVERLAP: Final = 0.5


@dataclass(eq=False)
class _Track:
    id: int
    box: NDArray[np.float64]
    look: NDArray[np.float64]
    mean: NDArray[np.float64]
    seen: float
    missed: float = float("inf")  # the first frame since then that lacks the face


class Tracker:
    """Assign track numbers by place and appearance (Hungarian method), never across cuts.

    Distances are counted in sizes of the face. One within half a size of its last place has stayed there: it is the same person
    unless it looks clearly different, however much time lies between two frames. One that has moved can be as far away as
    2 sizes a second allow, and must look the more alike the farther it is. A face that has been missing for longer than
    `max_gap` s, counted from the first frame that lacks it, is looked for no more, and is known again only near its place and
    when it looks alike. A detection with `min_score` starts a track; matched faces need less.
    """

    def __init__(self, max_gap: float, min_score: float) -> None:
        self._max_gap, self._min_score = max_gap, min_score
        self._tracks: list[_Track] = []
        self._count = 0
        self._now = float("-inf")

    @property
    def boxes(self) -> NDArray[np.float64]:
        """Last places of the faces that are followed, `(N, 4)` px."""
        return np.array([track.box for track in self._followed()]).reshape(-1, 4)

    @property
    def lost(self) -> bool:
        """Whether a face that is followed is missing in the latest frame."""
        return any(track.missed <= self._now for track in self._followed())

    def cut(self) -> None:
        """End all tracks: a new scene begins."""
        self._tracks = []

    def update(self, pts: float, faces: Detections, looks: Sequence[NDArray[np.float64]]) -> list[int | None]:
        """Number the faces of the frame at `pts` s by their tracks, given their descriptors (see `describe`).

        A face that matches no track and is too unsure to start one gets None.
        """
        self._now = pts
        ids: list[int | None] = [None] * len(faces)
        cost = self._cost(faces.boxes, np.array(looks))
        for row, column in assign(cost):
            if cost[row, column] < _FORBIDDEN:
                track = self._tracks[row]
                track.box, track.look, track.seen, track.missed = faces.boxes[column], looks[column], pts, float("inf")
                track.mean = track.mean + _LEARN * (looks[column] - track.mean)
                ids[column] = track.id
        for track in self._tracks:
            if track.seen < pts:
                track.missed = min(track.missed, pts)
        for column in range(len(faces)):
            if ids[column] is None and faces.scores[column] >= self._min_score:
                self._tracks.append(_Track(self._count, faces.boxes[column], looks[column], looks[column], pts))
                ids[column] = self._count
                self._count += 1
        return ids

    def _followed(self) -> list[_Track]:
        return [track for track in self._tracks if self._now - track.missed <= self._max_gap]

    def _cost(self, boxes: NDArray[np.float64], looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(tracks, faces)`: unlikeness plus distance in units of what the face could have moved."""
        cost = np.full((len(self._tracks), len(boxes)), _FORBIDDEN)
        if not len(boxes):
            return cost
        followed = {track.id for track in self._followed()}
        centres, sizes = _place(boxes)
        for row, track in enumerate(self._tracks):
            alike = np.maximum(looks @ track.look, looks @ track.mean / max(float(np.linalg.norm(track.mean)), 1e-9))
            centre, size = _place(track.box[None])
            distance = np.linalg.norm(centres - centre, axis=1) / np.maximum(sizes, size)
            needed = np.where(distance < _STAY, _ALIKE, _SURE)
            reach = _STAY + _SPEED * (self._now - track.seen)
            absent = track.id not in followed
            if absent:
                needed, reach = np.maximum(needed, _SURE), _RETURN
            possible = (distance < reach) & (np.maximum(sizes, size) < 2 * np.minimum(sizes, size)) & (alike > needed)
            cost[row, possible] = ((1 - alike) + distance / reach + absent)[possible]
        return cost


def describe(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the descriptor `(556,)`, of norm 1, of an aligned face uint8 RGB: the product of two is their likeness.

    Half of it is the crop in 10x10 colour blocks without their mean, which a change of brightness or contrast leaves as it
    was; the other half its histogram of chromaticity (red and blue as shares of the sum), which motion and expression leave.
    """
    import cv2

    blocks = np.asarray(cv2.resize(crop, (10, 10), interpolation=cv2.INTER_AREA), np.float64).ravel()
    pixels = shrunk(crop, 36, 36).astype(np.float32) + 4
    shares = pixels / (pixels[..., :1] + pixels[..., 1:2] + pixels[..., 2:])
    counts = cv2.calcHist([shares], [0, 2], None, [16, 16], [0.15, 0.6, 0.1, 0.5]).astype(np.float64)
    parts = [blocks - blocks.mean(), np.sqrt(counts).ravel()]
    units = [part / max(float(np.linalg.norm(part)), 1e-9) for part in parts]
    return np.asarray(np.concatenate(units) / np.sqrt(2), np.float64)


def distinct(faces: Detections) -> Detections:
    """Drop every face of a frame that overlaps a surer one by half of the smaller box or more."""
    kept: list[int] = []
    for index in np.argsort(-faces.scores, kind="stable"):
        if all(_overlap(faces.boxes[index], faces.boxes[other]) < _OVERLAP for other in kept):
            kept.append(int(index))
    return faces[np.array(sorted(kept), np.intp)]


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min(float(np.prod(one[2:] - one[:2])), float(np.prod(other[2:] - other[:2])))
    return float(np.prod(np.maximum(sides, 0))) / max(smaller, 1e-9)


def _place(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres `(N, 2)` of boxes `(N, 4)` and the geometric means `(N,)` of their sides."""
    sizes = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1))
    return (boxes[:, :2] + boxes[:, 2:]) / 2, sizes
