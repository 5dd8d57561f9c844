"""Where faces are at any time between two samples, and what they show; pure functions of times in seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vidfer.types import EMOTIONS

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""

SLACK: Final = 5e-4
"""Seconds by which two times may differ and be the same."""

_GAP: Final = 1.5
"""Sampling steps within which a face that is seen before and after is somewhere between."""

HOLD: Final = 1.0
"""Seconds, at least a sampling step, for which a blurred face stays blurred before it is first seen and after it was last."""

BRIDGE: Final = 3.0
"""Seconds without a sighting over which two places of a blurred face, and all between, stay blurred."""


@dataclass(frozen=True)
class Moment:
    """What a person shows at a time.

    `shares` are the seven smoothed probabilities in the order of `EMOTIONS`, None where there are none; `word` is the most
    probable expression, or what stands instead, such as `uncertain` or `too dark`.
    """

    box: Box
    shares: tuple[float, ...] | None
    word: str

    @property
    def expression(self) -> str | None:
        """The expression that `word` names, if it names one."""
        return self.word if self.word in EMOTIONS else None

    @property
    def told(self) -> str:
        """What is shown, in words."""
        return self.word if self.probability is None else f"{self.word} {100 * self.probability:.0f} %"

    @property
    def probability(self) -> float | None:
        """The probability of `expression`."""
        return self.shares[EMOTIONS.index(self.word)] if self.shares and self.word in EMOTIONS else None


class Person:
    """One person's sampled boxes and probabilities, of a plan (see `vidfer.overlay.plan.make_plan`)."""

    def __init__(self, plan: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
        self.name, self.blurred = str(seen["name"]), bool(seen["blurred"])
        self._step = float(plan["step"])
        self._cuts: Sequence[float] = plan["cuts"]
        self._every: Sequence[float] = plan["times"]
        self._time: Sequence[float] = seen["time"]
        self._box: Sequence[Sequence[float]] = seen["box"]
        self._smooth: Sequence[Sequence[float] | None] = seen["smooth"]
        self._note: Sequence[str] = seen["note"]

    def at(self, time: float) -> Moment | None:
        """Return what is shown at a time; None where no face was read, and between samples that are not neighbours.

        Between two neighbours, at most 1.5 steps apart and in one scene, all is interpolated linearly; nothing is extrapolated.
        """
        after = bisect_left(self._time, time - SLACK)
        if after < len(self._time) and self._time[after] <= time + SLACK:
            return self._moment(after, after, 0.0)
        before = after - 1
        if before < 0 or after == len(self._time) or not self._neighbours(before, after):
            return None
        return self._moment(before, after, (time - self._time[before]) / (self._time[after] - self._time[before]))

    def hidden(self, time: float) -> list[Box]:
        """Return the places to blur at a time: where the face is, or may be, by the samples before and after it.

        Between two samples that is all that their boxes enclose. A face stays blurred for `HOLD` s where it was last seen, and
        where it will be next, and over gaps up to `BRIDGE` s anywhere between.
        """
        if not self.blurred:
            return []
        hold = max(HOLD, self._step) + SLACK
        after = bisect_right(self._time, time)
        before = after - 1
        sides = [at for at in (before, after) if 0 <= at < len(self._time)]
        near = [self._as_box(at) for at in sides if abs(self._time[at] - time) <= hold]
        if len(sides) == 2 and self._time[after] - self._time[before] <= max(BRIDGE, self._step * _GAP):
            return [_around(self._as_box(before), self._as_box(after))]
        return near

    def _neighbours(self, before: int, after: int) -> bool:
        start, end = self._time[before], self._time[after]
        sampled = bisect_left(self._every, end - SLACK) - bisect_right(self._every, start + SLACK)
        cut = bisect_left(self._cuts, end + 2 * SLACK) - bisect_right(self._cuts, start + 2 * SLACK)
        return end - start <= _GAP * self._step + SLACK and not sampled and not cut

    def _as_box(self, at: int) -> Box:
        x0, y0, x1, y1 = self._box[at]
        return x0, y0, x1, y1

    def _moment(self, before: int, after: int, part: float) -> Moment:
        one, other = self._smooth[before], self._smooth[after]
        nearer = before if part < 0.5 else after
        shares = None
        if one is not None and other is not None:
            shares = tuple(_between(a, b, part) for a, b in zip(one, other, strict=True))
        word = self._note[nearer]
        if not word and shares is None:
            word = self._note[before] or self._note[after]
        if not word and shares is not None:
            word = EMOTIONS[shares.index(max(shares))]
        x0, y0, x1, y1 = (_between(a, b, part) for a, b in zip(self._box[before], self._box[after], strict=True))
        return Moment((x0, y0, x1, y1), None if word and word not in (*EMOTIONS, "uncertain") else shares, word)


def _between(one: float, other: float, part: float) -> float:
    return one + part * (other - one)


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def heard(sound: Sequence[Mapping[str, Any]], time: float) -> Mapping[str, Any] | None:
    """Return the interval of a plan's `sound` that a time lies in."""
    at = bisect_right([each["start"] for each in sound], time + SLACK) - 1
    return sound[at] if at >= 0 and time < sound[at]["end"] + SLACK else None
