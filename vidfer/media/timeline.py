"""One time line for pictures and sound of a file whose time stamps start anew or jump."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from av.container import InputContainer
    from av.stream import Stream

RESTART: Final = 1.0
"""Seconds; smaller steps back are a writer's slips."""

_JUMP: Final = 1.0  # s; smaller ones are low frame rates
_APART: Final = 0.5  # s; streams of one recording end as far apart


def seconds(stamp: int, base: "Fraction") -> float:
    """Return a time stamp in s by its time base: what `float(stamp * base)` gives, in a tenth of the time."""
    return stamp * base.numerator / base.denominator


@dataclass
class _Track:
    """What the packets of one stream say: its parts, of (first, end) in s, and how far its stamps jump ahead within them."""

    parts: list[list[float]] = field(default_factory=list)
    jumps: list[tuple[float, float]] = field(default_factory=list)  # (at, by)
    last: float = 0.0

    def add(self, start: float, decoded: float, length: float) -> None:
        if not self.parts or decoded < self.last - RESTART:
            self.parts.append([start, start + length])
        elif decoded - self.last > length + _JUMP:
            self.jumps.append((self.parts[-1][1], decoded - self.last - length))
        part = self.parts[-1]
        part[0], part[1] = min(part[0], start), max(part[1], start + length)
        self.last = decoded


class TimeLine:
    """Watch the packets of a file's tracks of pictures and sound, to shift both alike where stamps start anew."""

    def __init__(self, streams: "Sequence[Stream]") -> None:
        self._tracks = {stream.index: _Track() for stream in streams}
        self._kinds = {stream.index: stream.type for stream in streams}

    @classmethod
    def scan(cls, container: "InputContainer", streams: "Sequence[Stream]") -> "TimeLine":
        """Read all packets of an open file, which has to be at its beginning."""
        line = cls(streams)
        for packet in container.demux(list(streams)):
            line.watch(packet)
        return line

    def watch(self, packet: Any) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Take a packet, in the order of the file."""
        track = self._tracks.get(packet.stream.index)
        shown, stamp, base = packet.pts, packet.dts, packet.time_base
        stamp = stamp if stamp is not None else shown
        if track is None or stamp is None or base is None:
            return
        shown = shown if shown is not None else stamp
        track.add(seconds(shown, base), seconds(stamp, base), seconds(packet.duration or 0, base))

    def shift(self, number: int) -> float | None:
        """Return what the stamps after restart `number`, from 1, lie before the file's time line, in s; None if not known.

        Every stream is shifted by as much as the one that needs most to go on where it was.
        """
        shift = 0.0
        for before in range(number):
            gaps = [
                track.parts[before][1] - track.parts[before + 1][0]
                for track in self._tracks.values()
                if len(track.parts) > before + 1
            ]
            if not gaps:
                return None
            shift += max(gaps)
        return shift

    def length(self) -> float:
        """Return how long the longest track is in s, all its parts together, once all packets were watched."""
        return max((sum(end - start for start, end in track.parts) for track in self._tracks.values()), default=0.0)

    def doubt(self) -> str:
        """Say, once all packets were watched, why pictures and sound may lie apart, as a sentence; nothing if they do not."""
        names = {"video": "pictures", "audio": "sound"}
        tracks = {names[self._kinds[index]]: track for index, track in self._tracks.items() if track.parts}
        if len(tracks) < 2:
            return ""
        counts = {name: len(track.parts) - 1 for name, track in tracks.items()}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{count} times in the {name}" for name, count in counts.items())
            return f"time stamps start anew {told}: faces and sound may lie apart from there on"
        ends = {name: track.parts[-1][1] for name, track in tracks.items()}
        for name, other in (("pictures", "sound"), ("sound", "pictures")):
            alone = [jump for jump in tracks[name].jumps if not _has_like(tracks[other].jumps, jump)]
            ahead = sum(by for _, by in alone)
            if alone and abs(ends[name] - ends[other] - ahead) <= max(_APART, 0.1 * ahead):
                at, by = max(alone, key=lambda jump: jump[1])
                jump = f"the time stamps of the {name} alone jump ahead by {by:.1f} s at {at:.1f} s"
                return f"{jump}: faces and sound may lie apart from there on"
        return ""


def _has_like(jumps: "Sequence[tuple[float, float]]", jump: tuple[float, float]) -> bool:
    at, by = jump
    return any(abs(other_at - at) < _JUMP and abs(other_by - by) < _JUMP for other_at, other_by in jumps)
