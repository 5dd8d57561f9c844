"""The clip's sound for its overlay: the very packets where MP4 takes their codec, else encoded to AAC."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from vidfer.limits import MAX_GAP
from vidfer.media.container import choose, open_media
from vidfer.media.reader import Reader

if TYPE_CHECKING:
    from av.container import OutputContainer

COPIED: Final = frozenset({"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"})
"""Codecs whose packets go into the MP4 as they are."""

_RATES: Final = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_LAYOUTS: Final = frozenset({"mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"})
_BITS: Final = 96_000  # a second and channel
_GAP: Final = 0.05  # s; less is the writers' rounding


class Sound:
    """The sound of a clip on its way into an overlay, packet by packet as its time comes.

    Args:
        path: The clip.
        out: The overlay, of which no packet has been written yet; it gets a stream if the clip has sound.
        lead: Seconds by which its times are shifted, as those of the pictures.
    """

    def __init__(self, path: str, out: "OutputContainer", lead: float) -> None:
        self._out, self._lead = out, lead
        self._next: tuple[float, Any] | None = None
        self.note = ""
        """What is to be known: that there is none, or that it was encoded."""
        with ExitStack() as stack:
            container = stack.enter_context(open_media(path))
            stream, _ = choose(container.streams.audio)
            if stream is None or not stream.codec_context:
                self.note = "" if stream is None else "it has no sound: the codec of the clip's is not known"
                self._packets: Iterator[tuple[float, Any]] = iter(())
            elif (codec := stream.codec_context.codec.canonical_name) in COPIED:
                self._stream = out.add_stream_from_template(stream)
                self._packets = self._copied(container, stream)
            else:
                self.note = f"its sound was encoded as AAC, since MP4 does not take {codec}"
                self._packets = self._encoded(container, stream)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the clip."""
        self._open.close()

    def write(self, until: float) -> None:
        """Write the packets that begin before a time in s."""
        while True:
            self._next = self._next or next(self._packets, None)
            if self._next is None or self._next[0] >= until:
                return
            self._out.mux(self._next[1])
            self._next = None

    def _copied(self, container: Any, stream: Any) -> Iterator[tuple[float, Any]]:  # noqa: ANN401 - PyAV's
        reader = Reader(container, stream, whole=False)
        base, last = reader.clock.base, None
        for packet in reader.packets():
            if packet.size and not packet.is_corrupt:
                time = reader.clock.time(packet.pts, float((packet.duration or 0) * base)) + self._lead
                ticks = round(time / base)
                if last is not None and ticks <= last:
                    ticks = last + 1
                last = packet.pts = packet.dts = ticks
                packet.duration = packet.duration or 1  # what has none ends before it begins, and players leave it out
                packet.stream = self._stream
                yield time, packet

    def _encoded(self, container: Any, stream: Any) -> Iterator[tuple[float, Any]]:  # noqa: ANN401 - PyAV's
        source = stream.codec_context
        rate = source.sample_rate if source.sample_rate in _RATES else 48_000
        layout = source.layout.name
        layout = layout if layout in _LAYOUTS else "stereo" if source.channels > 1 else "mono"
        encoder = self._out.add_stream("aac", rate=rate, layout=layout)
        encoder.bit_rate = _BITS * encoder.codec_context.channels
        return self._encode(container, stream, encoder, layout, rate)

    def _encode(self, container: Any, stream: Any, encoder: Any, layout: str, rate: int) -> Iterator[tuple[float, Any]]:  # noqa: ANN401
        reader = Reader(container, stream, whole=False)
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        first: float | None = None
        played = 0.0
        samples = 0

        def packets(frames: Any) -> Iterator[tuple[float, Any]]:  # noqa: ANN401
            nonlocal samples
            for frame in frames:
                if frame is not None:
                    frame.pts, frame.time_base = samples + round((first or 0.0) * rate), Fraction(1, rate)
                    samples += frame.samples
                for packet in encoder.encode(frame):
                    yield float((packet.pts or 0) * packet.time_base), packet

        for frame in reader.frames():
            if not isinstance(frame, av.AudioFrame) or not frame.samples or not frame.sample_rate:
                continue
            length = frame.samples / frame.sample_rate
            time = reader.clock.time(frame.pts, length) + self._lead
            first = time if first is None else first
            gap = time - first - played
            if _GAP < gap < MAX_GAP:
                yield from packets(_silence(gap, layout, rate))
                played += gap
            played += length
            frame.pts = None
            yield from packets(resampler.resample(frame))
        yield from packets(resampler.resample(None))
        yield from packets([None])


def _silence(gap: float, layout: str, rate: int) -> Iterator[Any]:
    """Yield frames of silence of so many seconds."""
    channels = len(av.AudioLayout(layout).channels)
    left = round(gap * rate)
    while left > 0:
        frame = av.AudioFrame.from_ndarray(np.zeros((channels, min(left, rate)), np.float32), "fltp", layout)
        frame.sample_rate = rate
        yield frame
        left -= frame.samples
