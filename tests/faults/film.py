"""Clips whose pictures and sound tell their own true times, in any container, with any streams and clocks, by PyAV alone.

Every picture shows its number as blocks, every beep has a pitch of its own: what was decoded tells what it is, whatever the
file says of when it is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

Clock = Callable[[float], float]
"""From true times to time stamps, both in s."""

FAST: Final = {"preset": "ultrafast", "crf": "20"}
_COLUMNS, _ROWS = 6, 4  # of the blocks inside the frame of each picture
_BITS: Final = _COLUMNS * _ROWS // 2
_BITEXACT: Final = {"fflags": "+bitexact"}
HZ: Final = 48_000
BEEP: Final = 0.08
"""Length of a beep in s."""


def draw(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a picture, uint8 RGB, whose edge above and on the left is white, below and on the right black.

    Its blocks inside are the bits of `number`, below 4096, and then their complements.
    """
    bits = [number >> k & 1 for k in range(_BITS)]
    cells = np.ones((_ROWS + 2, _COLUMNS + 2), bool)
    cells[-1, :] = cells[:, -1] = False
    cells[1:-1, 1:-1] = np.array(bits + [1 - bit for bit in bits], bool).reshape(_ROWS, _COLUMNS)
    rows = np.arange(height) * len(cells) // height
    columns = np.arange(width) * len(cells[0]) // width
    return np.repeat(np.where(cells[rows][:, columns], 225, 30)[..., None], 3, axis=2).astype(np.uint8)


def read(image: np.ndarray) -> int | None:
    """Return the number that a picture shows, of any size; None where it is not upright, or shows something else."""
    height, width = image.shape[:2]
    rows = (2 * np.arange(_ROWS + 2) + 1) * height // (2 * (_ROWS + 2))
    columns = (2 * np.arange(_COLUMNS + 2) + 1) * width // (2 * (_COLUMNS + 2))
    cells = image[rows][:, columns].mean(-1) > 128
    edges = cells[0, :-1].all() and cells[:-1, 0].all() and not cells[-1].any() and not cells[:, -1].any()
    bits = cells[1:-1, 1:-1].reshape(-1).astype(int)
    if not edges or not (bits[:_BITS] + bits[_BITS:] == 1).all():
        return None
    return int(sum(bit << k for k, bit in enumerate(bits[:_BITS])))


def pitch(mark: int) -> float:
    """Return the pitch in Hz of a beep by its number, from 0 to 9."""
    return 500.0 + 250.0 * mark


def beeps(seconds: float, marks: Sequence[float], rate: int = HZ) -> np.ndarray:
    """Return float32 samples, silent but for a beep at each of `marks` in s, number k at `pitch(k)`."""
    time = np.arange(round(seconds * rate)) / rate
    wave = np.zeros(len(time))
    for number, mark in enumerate(marks):
        on = (time >= mark - 1e-9) & (time < mark + BEEP)
        wave[on] = 0.4 * np.sin(2 * np.pi * pitch(number) * (time[on] - mark))
    return wave.astype(np.float32)


class Film:
    """Write streams in the order in which they are added, and their packets in the order of their true times.

    `options` are the muxer's.
    """

    def __init__(self, path: Path, *, form: str | None = None, **options: str) -> None:
        self.path = path
        self.container = av.open(str(path), "w", format=form, options={**_BITEXACT, **options})
        self._packets: list[tuple[float, int, Any]] = []
        self._makers: list[Callable[[], Iterable[tuple[float, Any]]]] = []

    def pictures(
        self,
        numbers: Sequence[int],
        times: Sequence[float],
        *,
        clock: Clock = float,
        codec: str = "libx264",
        size: tuple[int, int] = (64, 48),
        base: Fraction = Fraction(1, 1000),
        rate: int = 25,
        default: bool | None = None,
        aspect: Fraction | None = None,
        turned: tuple[int, bool, bool] | None = None,
        options: dict[str, str] | None = None,
        image: Callable[[int], np.ndarray] | None = None,
    ) -> Any:
        """Add a track of drawn numbers at true times; `turned` is the display matrix, see `set_display_rotation`."""
        stream = self.container.add_stream(codec, rate=rate, options=options or (FAST if codec == "libx264" else {}))
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24" if codec == "png" else "yuv420p"
        stream.codec_context.time_base, stream.codec_context.thread_count = base, 1
        if aspect:
            stream.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(*turned)
        self._flag(stream, default)

        def packets() -> Iterator[tuple[float, Any]]:
            at: dict[int, float] = {}
            for number, time in zip(numbers, times, strict=True):
                picture = draw(number, size[1], size[0]) if image is None else image(number)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(clock(time) / base), base
                at[frame.pts] = time
                yield from ((at.get(each.pts, time), each) for each in stream.encode(frame))
            yield from ((at.get(each.pts, times[-1]), each) for each in stream.encode(None))

        self._makers.append(packets)
        return stream

    def sound(
        self,
        pieces: Sequence[tuple[float, np.ndarray]],
        *,
        clock: Clock = float,
        codec: str = "pcm_s16le",
        rate: int = HZ,
        layout: str = "mono",
        default: bool | None = None,
        language: str | None = None,
    ) -> Any:
        """Add a track of pieces, each of its true beginning in s and float samples `(n,)` or `(channels, n)`."""
        stream = self.container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.thread_count = 1
        if language:
            stream.metadata["language"] = language
        self._flag(stream, default)

        def packets() -> Iterator[tuple[float, Any]]:
            last = 0.0
            for start, samples in pieces:
                samples = np.atleast_2d(samples)
                size = stream.codec_context.frame_size or rate // 50
                for at in range(0, samples.shape[1], size):
                    last = start + at / rate
                    frame = _sound_frame(samples[:, at : at + size], stream.format.name, layout, rate)
                    frame.pts = round(clock(last) * rate)
                    yield from ((last, each) for each in stream.encode(frame))
            yield from ((last, each) for each in stream.encode(None))

        self._makers.append(packets)
        return stream

    def raw(self, codec: str, payloads: Sequence[tuple[float, float, bytes]], **attributes: Any) -> Any:
        """Add a track of anything by its packets of a time, a length, both in s, and bytes."""
        stream = self.container.add_mux_stream(codec, **attributes)
        self._makers.append(lambda: self._raw(stream, payloads))
        return stream

    def data(self, payloads: Sequence[tuple[float, float, bytes]], codec: str = "bin_data") -> Any:
        """Add a track of data, as `raw` does."""
        stream = self.container.add_data_stream(codec)
        self._makers.append(lambda: self._raw(stream, payloads))
        return stream

    def cover(self) -> Any:
        """Add a still picture that belongs to the whole."""
        encoder = av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 32, "rgb24", Fraction(1, 25)
        (packet, *_) = encoder.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24"))
        stream = self.raw("png", [(0.0, 0.0, bytes(packet))], width=32, height=32)
        stream.disposition = av.stream.Disposition.attached_pic
        return stream

    def _ordered(self, make: Callable[[], Iterable[tuple[float, Any]]]) -> Iterator[tuple[float, Any]]:
        """Yield a track's packets with times that do not decrease, as pictures in another order than shown would."""
        latest = float("-inf")
        for time, packet in make():
            latest = max(latest, time)
            yield latest, packet

    def save(self, *, order: Callable[[float, int], float] = lambda time, _stream: time) -> Path:
        """Write all packets, sorted by `order` of true time and number of the stream, and close the file."""
        packets = [item for make in self._makers for item in self._ordered(make)]
        self.container.start_encoding()
        for _, packet in sorted(packets, key=lambda item: order(item[0], item[1].stream.index)):
            self.container.mux(packet)
        self.container.close()
        return self.path

    def _flag(self, stream: Any, default: bool | None) -> None:
        if default is not None:
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)

    def _raw(self, stream: Any, payloads: Sequence[tuple[float, float, bytes]]) -> Iterator[tuple[float, Any]]:
        for start, length, content in payloads:
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(1000 * start)
            packet.duration = round(1000 * length)
            packet.is_keyframe = True
            yield start, packet


def _sound_frame(samples: np.ndarray, kind: str, layout: str, rate: int) -> av.AudioFrame:
    planar, name = kind.endswith("p"), kind.removesuffix("p")
    scale = {"s16": 2**15 - 1, "s32": 2**31 - 1, "u8": 127, "flt": 1, "dbl": 1}[name]
    dtype = {"s16": np.int16, "s32": np.int32, "u8": np.uint8, "flt": np.float32, "dbl": np.float64}[name]
    scaled = samples.astype(np.float64) * scale + (128 if name == "u8" else 0)
    packed = (scaled if scale == 1 else np.round(scaled)).astype(dtype)
    packed = packed if planar else packed.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=kind, layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    return frame


CODECS: Final = {  # of pictures and of sound that a container takes
    "mp4": ("libx264", "aac"),
    "mov": ("mpeg4", "pcm_s16le"),
    "mkv": ("libx264", "pcm_s16le"),
    "avi": ("mpeg4", "pcm_s16le"),
    "ts": ("libx264", "mp2"),
    "mpg": ("mpeg2video", "mp2"),
    "nut": ("mpeg4", "pcm_s16le"),
    "webm": ("libvpx", "libopus"),
    "flv": ("libx264", "aac"),
    "asf": ("mpeg4", "pcm_s16le"),
}
