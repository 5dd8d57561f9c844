"""One stream of an open media file, decoded, with the times at which its frames are presented."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av

from vidfer.media.announced import announced_end, clearly_missing
from vidfer.media.container import both_tracks, open_media, origin, reason_of, reraise_memory
from vidfer.media.packets import demux
from vidfer.media.timeline import RESTART, SLIP, TimeLine, seconds, unwrapped
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_SOONEST: Final = 1e-6  # s from one picture to the next, the resolution of times


class Clock:
    """Turn a stream's time stamps into seconds from the start of the file.

    Frames that carry neither a stamp nor a duration lie `step` s apart.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream | AudioStream", step: float) -> None:
        self.base: Fraction = stream.time_base or Fraction(1, 1000)
        self._origin = origin(container)
        self._container, self._stream, self._step = container, stream, step
        self._last: float | None = None  # time of the last frame
        self._raw = 0.0  # its stamp, without any shift
        self._length = self._end = self._read_to = self._shift = 0.0
        self._restarts = 0
        self.repeated_to = 0.0
        """When the last packet is over, in s, that says that a frame is shown again."""
        self._line: TimeLine | None = None

    def read(self, packet: Any, *, repeats: bool) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Note how far the file could be read, in whatever stream; `repeats` says that a packet shows the last frame again."""
        pts, base = packet.pts, packet.time_base
        if pts is not None and base is not None:
            end = seconds(pts + (packet.duration or 0), base) - self._origin
            self._read_to = max(self._read_to, end)
            if repeats:
                self.repeated_to = max(self.repeated_to, end)
                self._end = max(self._end, end)

    def time(self, pts: int | None, length: float) -> float:
        """Return when a frame is presented, in s, by its stamp and its duration in s (0 if unknown).

        A frame without a stamp follows its predecessor. Where recordings were joined without care, stamps start anew in the
        middle: time goes on from the last frame of pictures or sound, whichever is later, for both alike. Pictures never come at
        the same time, nor before the one that was there.
        """
        follows = 0.0 if self._last is None else self._last + self._length
        shown = follows
        if pts is not None:
            stamp = unwrapped(seconds(pts, self.base) - self._origin, self._raw, self._container.format.name)
            stamp = round(stamp, 6)  # the origin is known to 1e-6 s
            if self._last is not None and stamp + self._shift < min(self._last, follows - SLIP):
                self._shift = self._shift_anew(stamp, follows - stamp)
            self._raw, shown = stamp, stamp + self._shift
        if self._stream.type == "video":  # a stamp may even go back before the one that the file names as its first
            shown = max(shown, 0.0 if self._last is None else self._last + _SOONEST)
        self._length = length or self._step
        gap = 0.0 if self._last is None else shown - self._last
        self._last, self._end = shown, max(self._end, shown + max(self._length, gap))
        return shown

    def _shift_anew(self, stamp: float, least: float) -> float:
        """Return what stamps are shifted by from one on that steps back: by `least` s at least if they start anew there."""
        if self._line is None:
            with open_media(self._container.name.removeprefix("file:")) as again:
                self._line = TimeLine.scan(again, both_tracks(again))
        number = self._line.restart(self._stream.index, stamp + self._origin, self._restarts)
        if number is None and least - self._shift <= RESTART:
            return self._shift
        self._restarts = number or self._restarts + 1
        shift = self._line.shift(self._restarts)
        return least if shift is None or shift < least - RESTART else shift

    def missing(self, *, whole: bool) -> float:
        """Return how many seconds the file announces clearly beyond what it holds, else 0.

        `whole` says that the packets of all streams went through `read`, so that the file's length can be judged.
        """
        ends = announced_end(self._container, self._stream, self._origin)
        read_to = max(self._read_to, self._end)
        gaps = [clearly_missing(end, self._end if ours else read_to) for end, ours in ends if ours or whole]
        return max(gaps, default=0.0)


class Reader:
    """Decode one stream of an open file.

    Encrypted packets raise `ClipError` (`unsupported`). Those that do not decode are skipped, and not counted before the first
    frame: a recording may start between key frames. A packet without data shows the last one again, and gives none.

    After `patience` packets in a row that do not decode, the rest is given up. `whole` says that the packets of the other streams
    are read too, to judge whether the file is complete. `line` is shown the packets of pictures and sound.
    """

    def __init__(
        self,
        container: "InputContainer",
        stream: "VideoStream | AudioStream",
        *,
        step: float = 0.0,
        patience: float = float("inf"),
        whole: bool,
        line: TimeLine | None = None,
    ) -> None:
        self._container, self._stream, self._patience, self._whole = container, stream, patience, whole
        self._line = line
        self._behind: set[int] | None = None  # streams with a packet since a stretch of the file without any
        self._holes = False  # whether there was such a stretch within the file, and not at its end
        self._kind = "the video" if stream.type == "video" else "the sound"
        self.clock = Clock(container, stream, step)
        self.damage = ""
        """What is the matter with the stream, as a predicate; known when `frames` has ended."""

    def frames(self) -> Iterator[Any]:
        """Yield what decodes, in presentation order; each has to go through `clock.time` before the next."""
        seen = bad = early = in_row = 0
        for packet in self.packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_memory(error)
                in_row, bad, early = in_row + 1, bad + (seen > 0), early + (seen == 0)
                if in_row >= self._patience:
                    break
                continue
            in_row = 0
            seen += len(frames)
            yield from frames
        self.judge(bad if seen else early)

    def _skip(self) -> None:
        self._behind = set()

    def judge(self, bad: int) -> None:
        """Say what is the matter, once everything was read, by the number of packets that did not decode."""
        said = [self.damage] if self.damage else []
        if bad and not said:
            said.append(f"is damaged: {bad} packets do not decode")
        if self._holes and not said:
            said.append("is damaged: parts of the file hold no packets")
        whole = self._whole or len(self._container.streams) == 1
        if gap := self.clock.missing(whole=whole):
            said.append(f"breaks off {gap:.1f} s before its announced end")
        self.damage = " and ".join(said)

    def packets(self) -> Iterator[Any]:
        """Yield the stream's packets; the stream's own index counts, since the last packet of each stream has none."""
        try:
            others = both_tracks(self._container) if self._line else [self._stream]
            for packet in demux(self._container, [] if self._whole else others, self._skip):
                if self._behind is not None and packet.size:
                    self._holes = self._holes or packet.stream.index in self._behind  # the first was complete before
                    self._behind.add(packet.stream.index)
                if self._line:
                    self._line.watch(packet)
                ours = packet.stream.index == self._stream.index
                if ours and packet.has_sidedata("encryption_info"):
                    raise ClipError(Status.UNSUPPORTED, f"{self._kind} is encrypted (DRM): save the clip without that")
                repeats = ours and not packet.size and (packet.pts is not None or packet.dts is not None)
                self.clock.read(packet, repeats=repeats)
                if ours and not repeats:
                    yield packet
        except av.error.FFmpegError as error:
            reraise_memory(error)
            self.damage = f"is damaged: {reason_of(error)}"
