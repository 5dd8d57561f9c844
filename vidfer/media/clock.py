"""Presentation times of one stream, and what they say about a file that breaks off; for the child processes."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from av.container import InputContainer

_RESTART: Final = 1.0  # s; smaller steps back are a writer's slips
_TELLS_DURATION: Final = ("mov", "matroska", "avi", "flv", "asf", "wav", "flac")


class Clock:
    """Turn a stream's time stamps into seconds from the start of the file.

    Args:
        container: The open file.
        stream: One of its streams.
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

    def read(self, packet: Any) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Note how far the file could be read, in whatever stream."""
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._origin
            self._read_to = max(self._read_to, end)

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
