"""One stream of an open file: its frames, their presentation times, and why they end early; for the child processes."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av

from vidfer.media.container import reraise_memory

if TYPE_CHECKING:
    from av.container import InputContainer

_RESTART: Final = 1.0  # s; smaller steps back are a writer's slips
_TELLS_DURATION: Final = ("mov", "matroska", "avi", "flv", "asf", "wav", "flac")


class Clock:
    """Turn a stream's time stamps into seconds from the start of the file.

    Args:
        container, stream: The open file and one of its streams.
        step: Seconds between frames that carry neither a stamp nor a duration.
    """

    def __init__(self, container: "InputContainer", stream: Any, step: float) -> None:  # noqa: ANN401 - any kind of stream
        self.base: Fraction = stream.time_base or Fraction(1, 1000)
        self._origin = (container.start_time or 0) / 1e6
        self._step = step
        self._container, self._stream = container, stream
        self._last: float | None = None
        self._length = 0.0
        self._end = self._read_to = self._shift = 0.0

    def read(self, packet: Any, *, repeats: bool) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Note how far the file could be read, in whatever stream; `repeats` says that a packet shows the last frame again."""
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._origin
            self._read_to = max(self._read_to, end)
            if repeats:
                self._end = max(self._end, end)

    def time(self, pts: int | None, length: float) -> float:
        """Return when a frame is shown or heard, in seconds.

        Where recordings were joined without care, stamps start anew in the middle: time goes on from the last frame.

        Args:
            pts: Its stamp in units of the stream's clock. A frame without one follows its predecessor.
            length: Its duration in seconds, 0 if unknown.
        """
        if pts is not None:
            seconds = round(float(pts * self.base) - self._origin, 6) + 0.0  # the origin is known to 1e-6 s; no -0.0
        else:
            seconds = 0.0 if self._last is None else self._last + self._length
        if pts is not None:
            seconds += self._shift
            if self._last is not None and seconds < self._last - _RESTART:
                self._shift += self._last + self._length - seconds
                seconds = self._last + self._length
        self._length = length or self._step
        gap = 0.0 if self._last is None else seconds - self._last
        self._last, self._end = seconds, max(self._end, seconds + max(self._length, gap))
        return seconds

    def missing(self, *, whole: bool) -> float:
        """Return how many seconds the file announces clearly beyond what it holds, else 0.

        Clearly means more than 0.5 s and 5 %: players differ about the last frame, and writers round.

        Args:
            whole: Whether the packets of all streams went through `read`, so that the container's duration can be judged.
        """
        if not self._container.format.name.startswith(_TELLS_DURATION):
            return 0.0
        gaps = []
        if self._stream.duration and self._stream.start_time is not None:
            told = float((self._stream.start_time + self._stream.duration) * self.base) - self._origin
            gaps.append((told - self._end, told))
        if whole and self._container.duration:
            told = self._container.duration / 1e6
            gaps.append((told - max(self._read_to, self._end), told))
        return max((gap for gap, told in gaps if gap > max(0.5, 0.05 * told)), default=0.0)


class Reader:
    """Decode one stream of an open file.

    Packets that do not decode are skipped, and those before the first frame are not counted: a recording may start between key
    frames. A packet without data says that the last frame is shown again, and gives no frame.

    Args:
        container, stream, step: As for `Clock`.
        patience: Packets in a row that do not decode, after which the rest is given up.
        whole: Whether the packets of the other streams are read too, to judge whether the file is complete.
    """

    def __init__(
        self,
        container: "InputContainer",
        stream: Any,  # noqa: ANN401 - any kind of stream
        *,
        step: float = 0.0,
        patience: float = float("inf"),
        whole: bool,
    ) -> None:
        self._container, self._stream, self._patience = container, stream, patience
        self._streams = () if whole else (stream,)
        self._whole = whole or len(container.streams) == 1
        self.clock = Clock(container, stream, step)
        self.damage = ""
        """What is the matter with the stream, as a predicate; known when `frames` has ended."""

    def frames(self) -> Iterator[Any]:
        """Yield what decodes, in presentation order; each has to go through `clock.time` before the next."""
        seen = bad = in_row = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_memory(error)
                in_row, bad = in_row + 1, bad + (seen > 0)
                if in_row >= self._patience:
                    break
                continue
            in_row = 0
            seen += len(frames)
            yield from frames
        if bad and not self.damage:
            self.damage = f"is damaged: {bad} packets do not decode"
        if not self.damage and (gap := self.clock.missing(whole=self._whole)):
            self.damage = f"breaks off {gap:.1f} s before its announced end"

    def _packets(self) -> Iterator[Any]:
        """Yield the stream's packets; the stream's own index counts, since the last packet of each stream has none."""
        try:
            for packet in self._container.demux(*self._streams):
                ours = packet.stream.index == self._stream.index
                repeats = ours and not packet.size and (packet.pts is not None or packet.dts is not None)
                self.clock.read(packet, repeats=repeats)
                if ours and not repeats:
                    yield packet
        except av.error.FFmpegError as error:
            reraise_memory(error)
            self.damage = f"is damaged: {error.strerror}"
