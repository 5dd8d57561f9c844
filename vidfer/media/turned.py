"""Faces that lie on their side or stand on their head, as of a phone that was held so and did not record it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vidfer.media.detect import Detections, FaceDetector

Turn = Literal[0, 90, 180, 270]
"""Degrees clockwise by which an image has to be turned for its faces to be upright."""

TURNS: Final[tuple[Turn, ...]] = (0, 90, 180, 270)

_CERTAIN: Final = (
    0.999,
    2.0,
)  # score, and lead in log-odds over other directions, of a face that is upright beyond doubt
_SURE: Final = 0.99  # score of a turned face that counts: none of 320 photographs without upright faces reached it
_VOTES: Final = 2  # that settle a clip's direction
_SHARE: Final = 0.9  # of all votes that they have to be
_EVERY: Final = 4  # detections without an upright face to one that looks in all directions: 1.75 times the cost
_DOUBT: Final = 0.25  # of such a detection, that one counts whose faces are probably upright
_CHECKED: Final = 3  # surest faces of a frame whose direction is checked


@dataclass(frozen=True)
class TurnedDetector:
    """A detector that looks at images turned by `turn`, and is asked and answers in px of the images as they came.

    Boxes are `x0 y0 x1 y1` of the image that came; landmarks keep the order that they have on the turned one, so that the first
    is the eye on the left of a person seen upright.
    """

    detector: FaceDetector
    turn: Turn

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face as `MtcnnDetector.detect` does, in images turned."""
        turned = [self._turned(image) for image in images]
        found = self.detector.detect(turned, long_side=long_side, min_face=min_face)
        return [self._back(faces, image.shape) for faces, image in zip(found, turned, strict=True)]

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes `(N, 4)` px as `MtcnnDetector.refine` does, in the image turned."""
        turned = self._turned(image)
        return self._back(self.detector.refine(turned, turn_boxes(boxes, image.shape, self.turn)), turned.shape)

    def _turned(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(np.rot90(image, -self.turn // 90))

    def _back(self, faces: Detections, shape: tuple[int, ...]) -> Detections:
        back = (360 - self.turn) % 360
        last = (shape[0] - 1, shape[1] - 1)  # landmarks count from the middle of the first px, boxes from its edge
        points = turn_points(faces.landmarks, last, back)
        return Detections(turn_boxes(faces.boxes, shape, back), faces.scores, points)


def turn_points(points: NDArray[np.float64], size: tuple[int, ...], degrees: int) -> NDArray[np.float64]:
    """Return where points `(..., 2)` of an area of height and width `size` lie when it is turned clockwise by quarters."""
    height, width = size[:2]
    for _ in range(degrees // 90 % 4):
        points = np.stack([height - points[..., 1], points[..., 0]], axis=-1)
        height, width = width, height
    return points


def turn_boxes(boxes: NDArray[np.float64], size: tuple[int, ...], degrees: int) -> NDArray[np.float64]:
    """Return boxes `(N, 4)` of an image of height and width `size` when it is turned clockwise by quarters of a circle."""
    corners = turn_points(boxes.reshape(-1, 2, 2), size, degrees)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


class SecondLook:
    """A detector that finds out, beside its work, whether the faces of a clip are turned; see `turn`.

    MTCNN finds turned faces, too, mostly with a lower score and always with wrong landmarks. So a face counts for the direction
    in which MTCNN's last network, shown the same square in all four, is surest. A frame with a face that is upright beyond
    doubt votes for upright; two votes, and nothing is checked any more. Of the others some are looked at turned by 90, 180 and
    270 degrees as well, and vote for the direction that has the surest face.
    """

    def __init__(self, detector: FaceDetector, min_score: float) -> None:
        self._detector, self._min_score = detector, min_score
        self._directions = {turn: TurnedDetector(detector, turn) for turn in TURNS}
        self._votes, self._hints = Counter[Turn](), Counter[Turn]()
        self._doubt = _EVERY - 1.0
        self.looks = 0

    @property
    def turn(self) -> Turn:
        """The direction with at least two votes and nine in ten of all; 0 without one."""
        return self._winner() or 0

    @property
    def hint(self) -> tuple[Turn, int]:
        """The direction, and the number of frames, in which turned faces were seen, where these were too few or too unsure.

        0 frames where none was, or some face was upright: then the turned ones are another person's.
        """
        seen = Counter({turn: self._votes[turn] + self._hints[turn] for turn in TURNS[1:]})
        turn, frames = max(seen.items(), key=lambda item: item[1])
        return (0, 0) if self._votes[0] or self.turn or not frames else (turn, frames)

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face as the detector does; turned ones are counted but not returned."""
        found = self._detector.detect(images, long_side=long_side, min_face=min_face)
        for image, faces in zip(images, found, strict=True):
            if self._winner() != 0:
                self._judge(image, faces, long_side, min_face)
        return found

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes as the detector does."""
        return self._detector.refine(image, boxes)

    def _winner(self) -> Turn | None:
        needed = max(_VOTES, _SHARE * self._votes.total())
        return next((turn for turn in TURNS if self._votes[turn] >= needed), None)

    def _judge(self, image: NDArray[np.uint8], faces: Detections, long_side: int, min_face: float) -> None:
        upright, lead = self._surest(image, faces, 0)
        if upright >= _CERTAIN[0] and lead >= _CERTAIN[1]:
            self._votes[0] += 1
            return
        self._doubt += _DOUBT if upright else 1.0
        if self._doubt < _EVERY:
            return
        self.looks += 1
        scores: dict[Turn, float] = {0: upright}
        for turn in TURNS[1:]:
            found = self._directions[turn].detect([image], long_side=long_side, min_face=min_face)[0]
            scores[turn] = self._surest(image, found, turn)[0]
        best = max(scores, key=lambda turn: scores[turn])
        if scores[best]:
            (self._votes if best == 0 or scores[best] >= _SURE else self._hints)[best] += 1
        first = best != 0 and scores[best] and self._votes[best] + self._hints[best] <= _VOTES
        self._doubt = _EVERY if first else 0.0  # the next frame is to confirm it: a face may be seen briefly

    def _surest(self, image: NDArray[np.uint8], faces: Detections, turn: Turn) -> tuple[float, float]:
        """Return score and lead of the surest of faces found in a direction for which no other one is surer; 0 without one."""
        faces = faces[np.argsort(-faces.scores, kind="stable")[:_CHECKED]]
        faces = faces[np.flatnonzero(faces.scores >= self._min_score)]
        if not len(faces):
            return 0.0, 0.0
        odds = {other: _log_odds(self._directions[other].refine(image, faces.boxes).scores) for other in TURNS}
        lead = odds[turn] - np.max([odds[other] for other in TURNS if other != turn], axis=0)
        return max(
            ((score, ahead) for score, ahead in zip(faces.scores.tolist(), lead.tolist(), strict=True) if ahead >= 0),
            default=(0.0, 0.0),
        )


def _log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float64)
