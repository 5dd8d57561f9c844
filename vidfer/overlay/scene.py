"""One clip's drawing, frame after frame: blurred faces, boxes, labels, and the strip below."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vidfer.overlay.canvas import Canvas, Stamp
from vidfer.overlay.draw import DARK, Label, Strip, colour_of, text_size
from vidfer.overlay.moments import Box, Moment, Person, heard
from vidfer.overlay.places import Placer

_HD: Final = 720
_THIN: Final = 1 / 700  # of the picture's lower edge: half the line of a box
_CORNER: Final = 0.2  # of a box's shorter edge
_ROWS: Final = 4  # of people beside whose faces there is no room


class Scene:
    """Draws the frames of a clip.

    Args:
        plan: See `vidfer.overlay.plan.make_plan`.
        first: The first frame, for the size.
    """

    def __init__(self, plan: Mapping[str, Any], first: Canvas) -> None:
        self._people = [Person(plan, seen) for seen in plan["people"]]
        self._sound = plan["sound"]
        size = text_size(first.width, first.height)
        self._line = 2 * max(1, round(min(first.width, first.height) * _THIN))
        self._label = Label(size)
        self._gap = self._line + size // 3
        self._placer = Placer(first.width, first.height, self._gap)
        rows = min(_ROWS, self._without_room(plan["times"], first))
        self._strip = Strip(first.width, size, sound=bool(self._sound), people=rows)
        self._drawn: tuple[Any, Stamp] | None = None
        self.size = first.width, first.height + self._strip.height
        """Width and height of the overlay in px."""

    def _without_room(self, times: Sequence[float], first: Canvas) -> int:
        """Return how many people there are at most beside whose faces there is no room for a label, at a sampled time."""
        placer, most = Placer(first.width, first.height, self._gap), 0
        for time in times:
            moments = {at: moment for at, person in enumerate(self._people) if (moment := person.at(time)) is not None}
            faces = {at: _inside(moment.box, first) for at, moment in moments.items()}
            most = max(most, len(faces) - len(placer.place(time, faces, self._label.sizes)))
        return most

    def draw(self, canvas: Canvas, time: float, scale: float, x: float, y: float) -> Canvas:
        """Draw what is shown at a time in s, and return the frame with the strip below.

        Args:
            canvas: The frame, which is changed.
            time: As in the tables.
            scale: Px of the canvas for a px of the tables.
            x: Of the tables' origin on the canvas.
            y: Of the tables' origin on the canvas.
        """

        def moved(box: Box) -> Box:
            return box[0] * scale + x, box[1] * scale + y, box[2] * scale + x, box[3] * scale + y

        for person in self._people:
            for box in person.hidden(time):
                canvas.blur(moved(box))
        moments = {at: moment for at, person in enumerate(self._people) if (moment := person.at(time)) is not None}
        faces = {at: _inside(moved(moment.box), canvas) for at, moment in moments.items()}
        for at, box in faces.items():
            self._frame(canvas, box, moments[at])
        hd = canvas.height >= _HD
        places = self._placer.place(time, faces, self._label.sizes)
        for at, place in places.items():
            image = self._label.draw(place.size, self._people[at].name, moments[at])
            Stamp(image, canvas.colours, hd=hd).put(canvas, place.x - place.x % 2, place.y - place.y % 2)
        canvas.extend(self._strip.height)
        self._below(canvas, time, [(self._people[at].name, moments[at]) for at in moments if at not in places], hd)
        return canvas

    def _frame(self, canvas: Canvas, box: Box, moment: Moment) -> None:
        """Draw a thin box with stronger corners in the expression's colour, in a dark line that shows on any picture."""
        colour, line = colour_of(moment.expression), self._line
        x0, y0, x1, y1 = (2.0 * round(edge / 2) for edge in box)
        box = x0, y0, x1, y1
        corner = 2 * round(_CORNER * min(box[2] - box[0], box[3] - box[1]) / 2)
        for x0, y0, x1, y1 in _edges(box, line, 2 * line):
            canvas.fill((x0, y0, x1, y1), DARK)
        for edge in (*_edges(box, 0, line), *_corners(box, corner, 2 * line)):
            canvas.fill(edge, colour)

    def _below(self, canvas: Canvas, time: float, people: Sequence[tuple[str, Moment]], hd: bool) -> None:
        said = heard(self._sound, time)
        key = int(10 * time + 1e-6), said, people
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = key, Stamp(self._strip.draw(time, said, people), canvas.colours, hd=hd)
        self._drawn[1].put(canvas, 0, canvas.height - self._strip.height)


def _inside(box: Box, canvas: Canvas) -> Box:
    """Return the part of a box that lies in the picture."""
    x0, x1 = (min(max(edge, 0.0), float(canvas.width)) for edge in (box[0], box[2]))
    y0, y1 = (min(max(edge, 0.0), float(canvas.height)) for edge in (box[1], box[3]))
    return x0, y0, x1, y1


def _edges(box: Box, grow: int, width: int) -> list[Box]:
    x0, y0, x1, y1 = box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow
    return [(x0, y0, x1, y0 + width), (x0, y1 - width, x1, y1), (x0, y0, x0 + width, y1), (x1 - width, y0, x1, y1)]


def _corners(box: Box, length: float, width: int) -> list[Box]:
    x0, y0, x1, y1 = box
    found = []
    for x, inward in ((x0, 1), (x1, -1)):
        for y, down in ((y0, 1), (y1, -1)):
            found.append((*sorted((x, x + inward * length)), y, y + down * width))
            found.append((*sorted((x, x + inward * width)), y, y + down * length))
    return [(a, min(c, d), b, max(c, d)) for a, b, c, d in found]
