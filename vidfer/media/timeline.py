"""One time line for pictures and sound of a file whose time stamps start anew or jump."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vidfer.media.packets import demux

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from av.container import InputContainer
    from av.stream import Stream

RESTART: Final = 1.0
"""Seconds that stamps go back by where they start anew, in whatever stream; less is that only where both do so."""

SLIP: Final = 0.1
"""Seconds; smaller steps back are the writers' rounding."""

_JUMP: Final = 0.5  # s; smaller ones are low frame rates
_APART: Final = 0.5  # s; streams of one recording end as far apart
_LIKE: Final = 0.25  # s; steps back of both streams at one join differ by as much
_MOST: Final = 10_000  # jumps that are kept of a stream
_WRAPS: Final = {"mpegts": 2**33 / 90_000, "mpeg": 2**33 / 90_000, "flv": 2**32 / 1000}


def seconds(stamp: int, base: "Fraction") -> float:
    """Return a time stamp in s by its time base: what `float(stamp * base)` gives, in a tenth of the time."""
    return stamp * base.numerator / base.denominator


def unwrapped(stamp: float, last: float, container: str) -> float:
    """Return a time stamp in s as the file has it, where FFmpeg took a jump back to be a counter that runs over.

    FFmpeg adds a whole turn of the counter to whatever lies well before the file's first stamp: a step ahead by more than half a
    turn is one back.
    """
    turn = _WRAPS.get(container)
    return stamp - turn if turn and stamp - last > turn / 2 else stamp


@dataclass
class _Part:
    """A stretch of one stream without a restart: when its pictures or sound begin and end, in s of their stamps."""

    start: float
    end: float
    back: tuple[float, float] = (0.0, 0.0)
    """Where, in stamps of what was before, and by how much the stamps went back before it."""
    jumps: list[tuple[float, float]] = field(default_factory=list)
    """The same of jumps ahead within it."""
    slips: list[tuple[float, float]] = field(default_factory=list)
    """The same of small steps back."""

    def played(self) -> float:
        """Return when it would end without the jumps ahead."""
        return self.end - sum(by for _, by in self.jumps)

    def join(self, after: "_Part") -> "_Part":
        """Return this part and one that follows after a small step back."""
        start, end = min(self.start, after.start), max(self.end, after.end)
        return _Part(start, end, self.back, self.jumps + after.jumps, [*self.slips, after.back, *after.slips])


@dataclass
class _Track:
    """What the packets of one stream say."""

    parts: list[_Part] = field(default_factory=list)
    last: float = 0.0  # the last packet's stamp
    step: float = 0.0  # its length, or that of one before where a pause is part of it, as in MP4, or it has none

    def add(self, start: float, decoded: float, length: float) -> None:
        """Take a packet by the stamps in s of when it is shown and decoded, and its length in s, 0 if it is not known."""
        ahead = decoded - self.last - self.step
        if not self.parts or (decoded < self.last and -ahead > SLIP):
            self.parts.append(_Part(start, start, (self.parts[-1].end, -ahead) if self.parts else (0.0, 0.0)))
        elif ahead > _JUMP and len(self.parts[-1].jumps) < _MOST:
            self.parts[-1].jumps.append((self.last + self.step, ahead))
        elif decoded > self.last and not length:
            length = decoded - self.last
        if length and (not self.step or length < self.step + _JUMP):
            self.step = length
        self.last, part = decoded, self.parts[-1]
        part.start, part.end = min(part.start, start), max(part.end, start + (length or self.step))


class TimeLine:
    """Watch the packets of a file's tracks of pictures and sound, to shift both alike where stamps start anew."""

    def __init__(self, streams: "Sequence[Stream]") -> None:
        self._tracks = {stream.index: _Track() for stream in streams}
        self._kinds = {stream.index: stream.type for stream in streams}
        self._container = streams[0].container.format.name if streams else ""
        self._first: float | None = None  # stamp of the file's first packet

    @classmethod
    def scan(cls, container: "InputContainer", streams: "Sequence[Stream]") -> "TimeLine":
        """Read all packets of an open file, which has to be at its beginning."""
        line = cls(streams)
        for packet in demux(container, streams):
            line.watch(packet)
        return line

    def watch(self, packet: Any) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Take a packet, in the order of the file."""
        track = self._tracks.get(packet.stream.index)
        shown, stamp, base = packet.pts, packet.dts, packet.time_base
        stamp = stamp if stamp is not None else shown
        if track is None or stamp is None or base is None:
            return
        ahead = 0.0 if shown is None else seconds(shown - stamp, base)
        if turn := _WRAPS.get(self._container):  # of the two, one may have been taken to run over
            ahead -= turn * round(ahead / turn)
        decoded = seconds(stamp, base)
        self._first = decoded if self._first is None else self._first
        decoded = unwrapped(decoded, track.last if track.parts else self._first, self._container)
        track.add(decoded + ahead, decoded, seconds(packet.duration or 0, base))

    def restart(self, stream: int, after: float, since: int) -> int | None:
        """Return the number, from 1, of a stream's restart whose stamps begin near one in s, after number `since`.

        None stands for a step back that is no restart.
        """
        parts = self._parts(stream)
        return next((k for k in range(since + 1, len(parts)) if abs(parts[k].start - after) < RESTART), None)

    def shift(self, number: int) -> float | None:
        """Return what the stamps after restart `number`, from 1, lie before the file's time line, in s; None if not known.

        Every stream is shifted by as much as the one that needs most to go on where it was.
        """
        tracks = [self._parts(stream) for stream in self._tracks]
        shift = 0.0
        for before in range(number):
            gaps = [parts[before].end - parts[before + 1].start for parts in tracks if len(parts) > before + 1]
            if not gaps:
                return None
            shift += max(gaps)
        return shift

    def length(self) -> float:
        """Return how long the longest track is in s, all its parts together, once all packets were watched."""
        tracks = [self._parts(stream) for stream in self._tracks]
        return max((sum(part.end - part.start for part in parts) for parts in tracks), default=0.0)

    def doubt(self) -> str:
        """Say, once all packets were watched, why pictures and sound may lie apart, as a sentence; nothing if they do not."""
        names = {"video": "pictures", "audio": "sound"}
        tracks = {
            names[self._kinds[stream]]: self._parts(stream) for stream, track in self._tracks.items() if track.parts
        }
        if len(tracks) < 2:
            return ""
        counts = {name: len(parts) - 1 for name, parts in tracks.items()}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{count} times in the {name}" for name, count in counts.items())
            return f"time stamps start anew {told}: faces and sound may lie apart from there on"
        for pictures, sound in zip(tracks["pictures"], tracks["sound"], strict=True):
            said = _jump("pictures", pictures, sound) or _jump("sound", sound, pictures)
            said = said or _jumps(pictures, sound) or _offset(pictures, sound)
            if said:
                return f"{said}: faces and sound may lie apart from there on"
        return ""

    def _parts(self, stream: int) -> "list[_Part]":
        """Return the parts between a stream's restarts: slips of it alone part nothing."""
        others = [part for other, track in self._tracks.items() if other != stream for part in track.parts[1:]]
        joined: list[_Part] = []
        for part in self._tracks[stream].parts:
            if joined and not _is_restart(part, others):
                joined[-1] = joined[-1].join(part)
            else:
                joined.append(part)
        return joined


def _is_restart(part: _Part, others: "Sequence[_Part]") -> bool:
    """Whether stamps start anew with a part, by those parts of the other stream that begin with a step back."""
    at, by = part.back
    return by > RESTART or any(
        abs(at - other.back[0]) < RESTART and abs(by - other.back[1]) < _LIKE for other in others
    )


def _jump(name: str, mine: _Part, other: _Part) -> str:
    """Say that one stream's stamps alone jump ahead, or go back, where it ends later, or sooner, than the other by as much."""
    alone = [jump for jump in mine.jumps if jump[0] < other.end and not _has_like(other.jumps, jump)]
    late = mine.end - other.end
    at, by = max((jump for jump in alone if late > jump[1] / 2), key=lambda jump: jump[1], default=(0.0, 0.0))
    if by:
        return f"the time stamps of the {name} alone jump ahead by {by:.1f} s at {at:.1f} s"
    back = sum(by for _, by in mine.slips)
    if back > _APART and -late > back / 2:
        return f"the time stamps of the {name} alone go back by {back:.1f} s at {mine.slips[0][0]:.1f} s"
    return ""


def _jumps(pictures: _Part, sound: _Part) -> str:
    """Say that stamps jump ahead at different places, where the streams would end closer to each other without that."""
    ends, played = abs(pictures.end - sound.end), abs(pictures.played() - sound.played())
    if not (pictures.jumps or sound.jumps) or ends <= played + _APART:
        return ""
    by, other = (sum(by for _, by in part.jumps) for part in (pictures, sound))
    return f"the time stamps of the pictures jump ahead by {by:.1f} s in all, those of the sound by {other:.1f} s"


def _has_like(jumps: "Sequence[tuple[float, float]]", jump: tuple[float, float]) -> bool:
    at, by = jump
    return any(abs(other_at - at) < RESTART and abs(other_by - by) < _JUMP for other_at, other_by in jumps)


def _offset(pictures: _Part, sound: _Part) -> str:
    """Say that pictures and sound were given different clocks: one begins and ends later than the other by as much."""
    begins, ends = pictures.start - sound.start, pictures.played() - sound.played()
    if begins * ends > 0 and min(abs(begins), abs(ends)) > RESTART and abs(begins - ends) < _APART + 0.1 * abs(begins):
        which = "later" if begins > 0 else "sooner"
        return f"the pictures begin and end {abs(begins):.1f} s {which} than the sound"
    if pictures.end < sound.start or sound.end < pictures.start:
        return "pictures and sound have no time in common"
    return ""
