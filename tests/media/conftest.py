"""Media that the tests make themselves, by PyAV."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from tests.in_process import in_process as in_process_child
from vidfer.media import decode
from vidfer.media.decode import read_frames
from vidfer.media.decode_child import handle
from vidfer.types import ClipError, Status

Writer = Callable[..., Path]


@pytest.fixture
def write_video(tmp_path: Path) -> Writer:
    """Write frames (uint8 RGB) at given times in seconds; by default 10 a second."""

    def write(name, images, *, codec="libx264", times=None, rotation=0, pix_fmt="yuv420p", aspect=None, options=None):
        path = tmp_path / name
        times = [k / 10 for k in range(len(images))] if times is None else times
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10, options=options or {})
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = Fraction(1, 1000)
            if aspect:
                stream.sample_aspect_ratio = aspect
            if rotation:
                stream.set_display_rotation(rotation)
            for image, time in zip(images, times, strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture
def write_sound(tmp_path: Path) -> Writer:
    """Write float samples `(channels, n)` as WAV, PCM of 16 bits or float."""

    def write(name, samples, *, rate=16_000, codec="pcm_s16le"):
        path = tmp_path / name
        samples = np.atleast_2d(np.asarray(samples, np.float32))
        layout = {1: "mono", 2: "stereo"}[len(samples)]
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout=layout)
            kind = "s16" if codec == "pcm_s16le" else "flt"
            packed = samples.T.reshape(1, -1)
            if kind == "s16":
                packed = np.round(packed * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=kind, layout=layout)
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


def numbered(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Return flat gray frames of brightness 15 + 20 k, from 12 on anew: a decoded frame tells its number."""
    return [np.full((height, width, 3), 15 + 20 * (k % 12), np.uint8) for k in range(count)]


def number(image: np.ndarray) -> int:
    """Read back what `numbered` wrote."""
    return round((float(image.mean()) - 15) / 20)


def status_of(path, **how):
    """Read a clip to its end: its status, and the frames that came."""
    frames = []
    try:
        for frame in read_frames(path, **how):
            frames.append(frame)  # noqa: PERF402 - those before the error count
    except ClipError as error:
        return error.status, frames
    return Status.OK, frames


@pytest.fixture
def fresh_child():
    """Let no decoding child be kept from another test, nor for another."""
    decode.CHILD.end()
    yield
    decode.CHILD.end()


@pytest.fixture
def in_process(monkeypatch):
    """Let `probe` and `read_frames` decode in this process."""
    monkeypatch.setattr(decode.CHILD, "lend", partial(in_process_child(handle), ""))
