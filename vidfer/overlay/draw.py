"""How boxes, labels and the strip below the picture look; text by DejaVu Sans, which has most scripts of Europe and more."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from vidfer.overlay.canvas import Pixels
from vidfer.overlay.moments import Box, Moment
from vidfer.results.colours import COLOURS
from vidfer.types import EMOTIONS

Rgb = tuple[int, int, int]

DARK: Final[Rgb] = (18, 20, 24)
NOTHING: Final[Rgb] = (150, 155, 160)
"""The box of a face without an expression."""

_GLASS: Final = 205  # of 255: how much of a label's ground hides what is behind
_TEXT: Final = "#FFFFFF"
_QUIET: Final = "#C4C8CE"
_TRACK: Final = (255, 255, 255, 46)
_SMALLEST: Final = 9  # px of text that can be read
_SPEAKS: Final = 0.05
"""Share of an interval from which on someone counts as speaking."""

_LONGEST: Final = 100  # characters of a text that are looked at
_LINES: Final = 42  # lines of text that the picture's lower edge has room for

_ORDER: Final = tuple(reversed(COLOURS))
"""Expressions from top to bottom, as they stand in plots."""


def colour_of(expression: str | None) -> Rgb:
    """Return an expression's colour."""
    red, green, blue = ImageColor.getrgb(COLOURS[expression])[:3] if expression else NOTHING
    return red, green, blue


def text_size(width: int, height: int) -> int:
    """Return the size of text in px for a picture of this size: the same share of it whatever the resolution."""
    return max(_SMALLEST, round(min(width, height) / _LINES))


@lru_cache(maxsize=8)
def font(size: int, *, bold: bool = False) -> Any:  # noqa: ANN401 - Pillow's
    """Return DejaVu Sans, which has the letters of most languages."""
    path = Path(__file__).parent / "fonts" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def fitted(text: str, width: float, kind: Any) -> str:  # noqa: ANN401 - a font
    """Shorten a text to a width in px; control characters become spaces."""
    text = "".join(each if each.isprintable() else " " for each in text[:_LONGEST])
    if kind.getlength(text) <= width:
        return text
    while text and kind.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def even(number: float) -> int:
    """Round up to an even number."""
    return 2 * int(-(-number // 2))


class Label:
    """Draws what a face shows: in full with seven bars, or small with one stacked bar.

    Args:
        size: Of text in px.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pad, self._row = round(0.55 * size), round(1.3 * size)
        self._plain, self._bold = font(size), font(size, bold=True)
        self._names = max(self._plain.getlength(name) for name in EMOTIONS)
        self._width = even(self._names + 5.2 * size + 3 * self._pad)
        heights = (2 * self._pad + 2.75 * size + 7 * self._row, 2 * self._pad + 3.4 * size)
        small = even(self._bold.getlength("surprise 100 %") + 2 * self._pad)
        self.sizes = ((self._width, even(heights[0])), (small, even(heights[1])))
        """Width and height in px of both kinds, the larger first."""

    def draw(self, kind: int, name: str, moment: Moment) -> Pixels:
        """Return a label as RGBA `(H, W, 4)` uint8; kind is its position in `sizes`."""
        image = self._ground(self.sizes[kind], name).copy()
        pen = ImageDraw.Draw(image)
        top = self._pad + round(1.35 * self._size)
        room = self.sizes[kind][0] - 2 * self._pad
        pen.text((self._pad, top), fitted(moment.told, room, self._bold), _TEXT, self._bold)
        if kind == 0:
            self._bars(pen, moment, top + round(1.6 * self._size))
        elif moment.shares is not None:
            low = top + round(1.5 * self._size)
            stack(pen, moment.shares, (self._pad, low, self._pad + room, low + 0.5 * self._size))
        return np.asarray(image)

    @lru_cache(maxsize=64)  # noqa: B019 - lives as long as a clip's drawing
    def _ground(self, size: tuple[int, int], name: str) -> Image.Image:
        image = Image.new("RGBA", size, (*DARK, 0))
        pen = ImageDraw.Draw(image)
        pen.rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), self._size // 2, (*DARK, _GLASS))
        pen.text((self._pad, self._pad), fitted(name, size[0] - 2 * self._pad, self._plain), _QUIET, self._plain)
        return image

    def _bars(self, pen: ImageDraw.ImageDraw, moment: Moment, top: float) -> None:
        left, right = 2 * self._pad + self._names, self._width - self._pad
        for row, name in enumerate(_ORDER):
            y = top + row * self._row
            first = name == moment.expression
            kind = self._bold if first else self._plain
            shown = fitted(name, self._names + self._pad, kind)
            pen.text((self._pad, y), shown, _TEXT if first else _QUIET, kind)
            low, high = y + 0.25 * self._size, y + 1.0 * self._size
            pen.rectangle((left, low, right, high), _blend(_TRACK))
            share = 0.0 if moment.shares is None else moment.shares[EMOTIONS.index(name)]
            if share * (right - left) >= 1:
                pen.rectangle((left, low, left + share * (right - left), high), (*colour_of(name), 255))


def stack(pen: ImageDraw.ImageDraw, shares: Sequence[float], box: Box) -> None:
    """Fill a box from left to right with the expressions' colours, each as wide as its probability."""
    start = box[0]
    for name in _ORDER:
        end = start + shares[EMOTIONS.index(name)] * (box[2] - box[0])
        if end - start >= 0.5:
            pen.rectangle((start, box[1], end, box[3]), (*colour_of(name), 255))
        start = end


def _blend(colour: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return what a half transparent colour gives on a label's ground."""
    share = colour[3] / 255
    red, green, blue = (round(share * over + (1 - share) * under) for over, under in zip(colour[:3], DARK, strict=True))
    return red, green, blue, 230


class Strip:
    """Draws the strip below the picture: time, what was heard, a mark where someone speaks, and whose colour is whose.

    Args:
        width: Of the picture in px.
        size: Of text in px.
        sound: Whether the clip has sound that was looked at.
        people: Rows for those beside whose faces there is no room.
    """

    def __init__(self, width: int, size: int, *, sound: bool, people: int) -> None:
        self._size, self._pad = size, round(0.6 * size)
        self._row = even(1.7 * size)
        self._plain, self._bold = font(size), font(size, bold=True)
        self._sound, self._people, self._width = sound, people, width
        widest = self._facts_width()
        items = [self._plain.getlength(name) + 2.1 * size for name in _ORDER]
        beside = width - widest - sum(items) - 3 * self._pad
        if beside >= 0:
            self._legend = [(width - self._pad - sum(items) + sum(items[:at]), 0.0) for at in range(7)]
            rows = 1
        else:
            self._legend, rows = _flow(items, width - 2 * self._pad, self._pad, self._row)
            rows += 1
        self._legend = [(x, y + people * self._row) for x, y in self._legend]
        self.height = even((people + rows) * self._row)
        """In px."""
        self._ground = Image.new("RGBA", (width, self.height), (*DARK, 255))
        pen = ImageDraw.Draw(self._ground)
        for name, (x, y) in zip(_ORDER, self._legend, strict=True):
            top = y + (self._row - 0.8 * size) / 2
            pen.rectangle((x, top, x + 0.8 * size, top + 0.8 * size), (*colour_of(name), 255))
            pen.text((x + 1.15 * size, y + self._row / 2), name, _QUIET, self._plain, anchor="lm")

    def _person(self, pen: ImageDraw.ImageDraw, name: str, moment: Moment, top: float) -> None:
        """Draw a row for a person: name, what is shown, and a stacked bar."""
        y, column = top + self._row / 2, (self._width - 2 * self._pad) / 3
        pen.text((self._pad, y), fitted(name, column - self._pad, self._plain), _QUIET, self._plain, anchor="lm")
        told = fitted(moment.told, column - self._pad, self._bold)
        pen.text((self._pad + column, y), told, _TEXT, self._bold, anchor="lm")
        if moment.shares is not None:
            left = self._pad + 2 * column
            stack(pen, moment.shares, (left, y - 0.3 * self._size, left + column, y + 0.3 * self._size))

    def _facts_width(self) -> float:
        widest = "0:00:00.0  sound: surprise 100 %  ● speech 100 %" if self._sound else "0:00:00.0  no sound"
        return float(self._bold.getlength(widest)) + 2 * self._pad

    def draw(self, time: float, heard: Mapping[str, Any] | None, people: Sequence[tuple[str, Moment]]) -> Pixels:
        """Return the strip as RGBA `(H, W, 4)` uint8 at a time in s.

        Args:
            time: Of the frame.
            heard: The interval of the sound, see `vidfer.overlay.moments.heard`.
            people: Name and moment of those beside whose faces there is no room.
        """
        image = self._ground.copy()
        pen = ImageDraw.Draw(image)
        for row, (name, moment) in enumerate(people[: self._people]):
            self._person(pen, name, moment, row * self._row)
        x, y = float(self._pad), (self._people + 0.5) * self._row

        def write(text: str, colour: str, kind: Any, after: float = 0.35) -> None:  # noqa: ANN401 - a font
            nonlocal x
            pen.text((x, y), text, colour, kind, anchor="lm")
            x += kind.getlength(text) + after * self._size

        write(_clock(time), _QUIET, self._plain, 1.0)
        if not self._sound:
            write("no sound", _QUIET, self._plain)
            return np.asarray(image)
        write("sound:", _QUIET, self._plain)
        word = str(heard["word"]) if heard else ""
        if heard and word in EMOTIONS:
            side = 0.8 * self._size
            pen.rectangle((x, y - side / 2, x + side, y + side / 2), (*colour_of(word), 255))
            x += 1.15 * self._size
            write(f"{word} {100 * float(heard['probability']):.0f} %", _TEXT, self._bold, 1.0)
        else:
            write(word or "no answer", _TEXT if word else _QUIET, self._plain, 1.0)
        share = float(heard["speech"]) if heard else 0.0
        if share >= _SPEAKS:
            write(f"● speech {100 * share:.0f} %", _TEXT, self._plain)
        else:
            write("○ silent" if heard and heard["status"] == "silent" else "○ no speech", _QUIET, self._plain)
        return np.asarray(image)


def _clock(time: float) -> str:
    tenths = int(10 * time + 1e-6)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def _flow(items: Sequence[float], room: float, left: float, row: float) -> tuple[list[tuple[float, float]], int]:
    """Return x and y of items that flow into lines of a width, below a first line, and the number of lines."""
    x, line, places = 0.0, 1, []
    for width in items:
        if x and x + width > room:
            x, line = 0.0, line + 1
        places.append((left + x, line * row))
        x += width
    return places, line
