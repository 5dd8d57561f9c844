"""Where labels stand: beside their face, on nobody's face, within the picture, and if possible where they stood before."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vidfer.overlay.moments import Box

Size = tuple[int, int]
"""Width and height in px."""

_MOVE: Final = 3.0
"""Label heights that another side of the face has to be nearer by before a label changes sides."""

_PATIENCE: Final = 0.7
"""Seconds for which there has to be room for a larger label before it grows again."""

_GRID: Final = 14
"""Places along each edge of the picture that are tried where there is no room beside the face."""


@dataclass(frozen=True)
class Place:
    """Where a label stands: its top left corner in px, which of its sizes it has, and on which side of the face it is."""

    x: int
    y: int
    size: int
    side: int


@dataclass
class _Memory:
    place: Place | None = None
    time: float = 0.0
    room_since: dict[int, float] = field(default_factory=dict)


class Placer:
    """Places the labels of the faces of one frame after the other.

    Args:
        width: Of the picture in px.
        height: Of the picture in px.
        gap: Px between a face and its label.
    """

    def __init__(self, width: int, height: int, gap: int) -> None:
        self._width, self._height, self._gap = width, height, gap
        self._memory: dict[int, _Memory] = {}

    def place(self, time: float, faces: dict[int, Box], sizes: Sequence[Size]) -> dict[int, Place]:
        """Return where the label of each face stands; a face for whose label there is no room has none.

        Args:
            time: In s, from frame to frame later.
            faces: The box of each person in the picture.
            sizes: Those that a label can have, the largest first.
        """
        boxes = list(faces.values())
        taken: list[Box] = []
        found = {}
        for person in sorted(faces, key=lambda one: (-_area(faces[one]), one)):
            memory = self._memory.setdefault(person, _Memory())
            if time - memory.time > _PATIENCE:
                memory.place, memory.room_since = None, {}
            place = self._find(time, memory, faces[person], boxes, taken, sizes)
            memory.place, memory.time = place, time
            if place is not None:
                found[person] = place
                taken.append(_rectangle(place.x, place.y, sizes[place.size]))
        return found

    def _find(
        self, time: float, memory: _Memory, face: Box, faces: list[Box], taken: list[Box], sizes: Sequence[Size]
    ) -> Place | None:
        before = memory.place
        for number, size in enumerate(sizes):
            place = self._nearest(face, faces, taken, number, size, before)
            if place is None:
                memory.room_since.pop(number, None)
                continue
            since = memory.room_since.setdefault(number, time)
            grows = before is not None and number < before.size
            if not grows or time - since >= _PATIENCE:
                return place
        return None

    def _nearest(
        self, face: Box, faces: list[Box], taken: list[Box], number: int, size: Size, before: Place | None
    ) -> Place | None:
        if size[0] > self._width or size[1] > self._height:
            return None
        best: tuple[float, Place] | None = None
        for side, x, y in self._beside(face, size):
            place = Place(*self._within(x, y, size), number, side)
            cost = self._cost(place, face, faces, taken, size, before)
            if cost is not None and (best is None or cost < best[0]):
                best = cost, place
        if best is not None or number == 0:
            return best[1] if best else None
        for side, x, y in self._anywhere(size):
            place = Place(x, y, number, side)
            cost = self._cost(place, face, faces, taken, size, before)
            if cost is not None and (best is None or cost < best[0]):
                best = cost, place
        return best[1] if best else None

    def _beside(self, face: Box, size: Size) -> Iterator[tuple[int, float, float]]:
        """Yield side, x and y of the places that touch the face's box: right, left, below, above, and along the edges."""
        x0, y0, x1, y1 = face
        width, height = size
        middle_x, middle_y = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
        for side, x in ((0, x1 + self._gap), (1, x0 - self._gap - width)):
            for y in (y0, middle_y, y1 - height):
                yield side, x, y
        for side, y in ((2, y1 + self._gap), (3, y0 - self._gap - height)):
            for x in (middle_x, x0, x1 - width):
                yield side, x, y

    def _anywhere(self, size: Size) -> Iterator[tuple[int, int, int]]:
        for row in range(_GRID + 1):
            for column in range(_GRID + 1):
                x = round((self._width - size[0]) * column / _GRID)
                yield 4 + row * (_GRID + 1) + column, x, round((self._height - size[1]) * row / _GRID)

    def _within(self, x: float, y: float, size: Size) -> tuple[int, int]:
        return round(min(max(x, 0), self._width - size[0])), round(min(max(y, 0), self._height - size[1]))

    def _cost(
        self, place: Place, face: Box, faces: list[Box], taken: list[Box], size: Size, before: Place | None
    ) -> float | None:
        """Return how far a place is from the face, in label heights, and from where the label was; None where it may not be."""
        own = _rectangle(place.x, place.y, size)
        if any(_overlap(own, other) for other in (*faces, *taken)):
            return None
        away = _distance(own, face) / size[1]
        centred = abs((own[1] + own[3]) - (face[1] + face[3])) / (2 * size[1])
        preference = 0.1 * min(place.side, 4)
        moved = before is not None and before.side != place.side
        return away + 0.2 * centred + preference + (_MOVE if moved else 0.0)


def _rectangle(x: int, y: int, size: Size) -> Box:
    return x, y, x + size[0], y + size[1]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _distance(one: Box, other: Box) -> float:
    across = max(one[0] - other[2], other[0] - one[2], 0.0)
    down = max(one[1] - other[3], other[1] - one[3], 0.0)
    return math.hypot(across, down)
