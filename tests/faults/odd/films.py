"""Small films and sounds by PyAV, the same bytes each time, and files put together of boxes by hand."""

import os
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

os.environ.setdefault("SVT_LOG", "1")  # errors alone, of the encoder of AV1

EXACT = {"fflags": "+bitexact"}
"""Options of a container that keep its writer from inventing dates and numbers."""

_STEADY = {
    "libx264": {"x264-params": "threads=1:rc-lookahead=0:mbtree=0"},
    "libx265": {"x265-params": "log-level=error"},
}
"""Options of encoders whose threads would give other bytes now and then."""

Edit = Callable[[bytes], bytes]


def images(count: int, width: int, height: int) -> list[np.ndarray]:
    """Frames of blocks of noise that move; no face is in them."""
    rng = np.random.default_rng(7)
    blocks = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    wide = np.kron(blocks, np.ones((16, 16, 1), np.uint8))
    return [np.ascontiguousarray(np.roll(wide, 3 * k, 1)[:height, :width]) for k in range(count)]


def tone(seconds: float, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """Samples `(channels, n)` int16 of a tone that grows and fades three times a second."""
    at = np.arange(round(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * 220 * at) * (0.5 + 0.4 * np.sin(2 * np.pi * 3 * at))
    return np.repeat(np.round(12_000 * wave).astype(np.int16)[None], channels, 0)


def film(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (160, 120),
    times: Sequence[float] = tuple(k / 10 for k in range(16)),
    sound: str = "",
    rate: int = 16_000,
    rotation: int = 0,
    clock: int = 1000,
    container: str | None = None,
    mux: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    **attributes: Any,
) -> Path:
    """Write pictures at times in s, and by the codec `sound` a tone as long; "" for none. `clock` are its ticks a second."""
    with av.open(str(path), "w", format=container, options={**EXACT, **(mux or {})}) as file:
        stream = file.add_stream(codec, rate=25, options={"threads": "1", **_STEADY.get(codec, {}), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, clock)
        stream.codec_context.flags |= 1 << 23  # bitexact
        for name, value in attributes.items():
            setattr(stream, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        track = file.add_stream(sound, rate=rate, layout="mono") if sound else None
        for time, image in zip(times, images(len(times), *size), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(clock * time), Fraction(1, clock)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if track is not None:
            file.mux(_encoded(track, tone(max(times) + 0.1, rate), rate))
    return path


def sound(path: Path, samples: np.ndarray, *, codec: str = "pcm_s16le", rate: int = 16_000, **how: Any) -> Path:
    """Write samples `(channels, n)` int16."""
    with av.open(str(path), "w", options=EXACT, **how) as file:
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
        track = file.add_stream(codec, rate=rate, layout=layout)
        track.codec_context.flags |= 1 << 23
        file.mux(_encoded(track, samples, rate))
    return path


def _encoded(track: Any, samples: np.ndarray, rate: int) -> Iterable[Any]:
    size = track.codec_context.frame_size or 1600
    fit = av.AudioResampler(track.format, track.layout, rate, size)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=track.layout.name
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    for each in [*fit.resample(frame), *fit.resample(None)]:
        yield from track.encode(each)
    yield from track.encode(None)


def remuxed(source: Path, target: Path, change: Callable[[int, Any, int], Any], **how: Any) -> Path:
    """Copy the packets of pictures to another file: each as `change` gives it, or None to drop it.

    It is given the packet's number, itself, and the latest time stamp before it.
    """
    with av.open(str(source)) as old, av.open(str(target), "w", options=EXACT, **how) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        kept = [packet for packet in old.demux(video=0) if packet.size]
        for number, packet in enumerate(kept):
            latest = max((before.pts for before in kept[:number]), default=-1)
            if (changed := change(number, packet, latest)) is not None:
                changed.stream = stream
                new.mux_one(changed)
    source.unlink()
    return target


def box(kind: bytes, *content: bytes, size: int | None = None) -> bytes:
    """A box of MP4 and QuickTime; its size may lie."""
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8 if size is None else size, kind) + body


def element(number: int, *content: bytes, size: int | None = None) -> bytes:
    """An element of Matroska by its ID, its size in eight bytes; it may lie."""
    body = b"".join(content)
    ident = number.to_bytes((number.bit_length() + 7) // 8)
    return ident + (1 << 56 | (len(body) if size is None else size)).to_bytes(8) + body


def chunk(kind: bytes, *content: bytes, size: int | None = None) -> bytes:
    """A chunk of RIFF; its size may lie."""
    body = b"".join(content)
    return kind + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def wav(data: bytes, *, code: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, **how: Any) -> bytes:
    """A WAV by its fields, whatever they say; `size` is what it says of its data."""
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", code, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    return chunk(b"RIFF", b"WAVE", chunk(b"fmt ", head), chunk(b"data", data, **how))


def noise(count: int, seed: int = 0) -> bytes:
    """Random bytes, the same each time."""
    return random.Random(seed).randbytes(count)


def spot(data: bytes, mark: bytes, offset: int, new: bytes, *, last: bool = False) -> bytes:
    """Put bytes over others, so many behind where a mark begins."""
    at = (data.rindex(mark) if last else data.index(mark)) + offset
    return data[:at] + new + data[at + len(new) :]
