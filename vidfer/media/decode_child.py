"""The child process that decodes one video: `python -m vidfer.media.decode_child`, started by `vidfer.media.decode`."""

import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vidfer.media.child import Header, serve
from vidfer.media.clock import Clock
from vidfer.media.container import describe, open_media, reraise_memory, video_stream
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Emitted = Iterator[tuple[Header, memoryview | None]]

_MAX_ERRORS: Final = 200  # packets in a row that don't decode, after which the rest is given up
_PROGRESS: Final = 100  # frames between two signs of life


class Sampler:
    """Choose frames by presentation time, or every n-th.

    Args:
        fps: Take the first frame at or after each multiple of 1/fps s, counted from the first frame.
        every: Take every n-th frame; excludes `fps`.
        slack: Seconds by which a rounded time stamp may miss its tick: half a unit of the stream's clock.
    """

    def __init__(self, fps: float | None, every: int | None, slack: float) -> None:
        self._fps, self._every, self._slack = fps, every or 1, slack + 1e-9
        self._first: float | None = None
        self._tick = 0

    def take(self, index: int, pts: float) -> bool:
        """Whether frame `index` at `pts` seconds is wanted; to be asked once for each frame in order."""
        if self._fps is None:
            return index % self._every == 0
        if self._first is None:
            self._first = pts
        position = (pts - self._first + self._slack) * self._fps
        if position < self._tick:
            return False
        self._tick = int(position) + 1
        return True


def handle(request: Header) -> Emitted:
    """Answer `{"op": "probe" | "frames", "path": ..., ...}`."""
    path = request["path"]
    with open_media(path) as container:
        told = describe(container, path)
        stream = video_stream(container)
        if request["op"] == "probe":
            yield {"probe": _with_rotation(told, container, stream)}, None
            return
        if stream is None or stream.codec_context is None:
            kind = "no video stream" if stream is None else "a video codec that is not known"
            raise ClipError(Status.NO_VIDEO if stream is None else Status.UNSUPPORTED, f"the file has {kind}")
        _check_size(stream.codec_context.width, stream.codec_context.height, request["max_pixels"])
        if request["decoder"] == "decord":
            yield from _by_decord(request, told, container, stream)
        else:
            yield from _by_pyav(request, container, stream)


def _by_decord(request: Header, told: Header, container: "InputContainer", stream: "VideoStream") -> Emitted:
    from vidfer.media.decode_decord import frames, reason_against

    if reason := reason_against(told, stream):
        raise ClipError(
            Status.UNSUPPORTED, f"--decoder decord cannot take this clip: {reason}; use --decoder auto or pyav"
        )
    sampler = Sampler(request["fps"], request["every"], float(stream.time_base or 0) / 2)
    yield from frames(request["path"], container, stream, sampler)


def _with_rotation(told: Header, container: "InputContainer", stream: "VideoStream | None") -> Header:
    """Add the rotation, which only a decoded frame carries."""
    if stream is not None and stream.codec_context is not None:
        try:
            told["video"]["rotation"] = next((frame.rotation for frame in container.decode(stream)), None)
        except av.error.FFmpegError as error:
            reraise_memory(error)
    return told


def _by_pyav(request: Header, container: "InputContainer", stream: "VideoStream") -> Emitted:
    clock = Clock(container, stream, step=float(1 / stream.average_rate) if stream.average_rate else 0.04)
    sampler = Sampler(request["fps"], request["every"], float(clock.base) / 2)
    reformatter = VideoReformatter()
    stream.codec_context.thread_count = 1
    state = _State()
    index = 0
    for frame in _decode(container, stream, clock, state):
        pts = clock.time(frame.pts, float((frame.duration or 0) * clock.base))
        if sampler.take(index, pts):
            _check_size(frame.width, frame.height, request["max_pixels"])
            image = _upright(frame, reformatter, stream.sample_aspect_ratio)
            height, width = image.shape[:2]
            yield {"index": index, "pts": pts, "height": height, "width": width}, image.data
        elif index % _PROGRESS == 0:
            yield {"progress": pts}, None
        index += 1
    reason = state.reason
    if not reason and (gap := clock.missing(whole=True)):
        reason = f"breaks off {gap:.1f} s before its announced end"
    if index == 1 and container.format.name == "gif":
        raise ClipError(Status.UNSUPPORTED, "a still image, not a video")
    if (reason or index == 0) and _starved():
        raise MemoryError
    if index == 0:
        raise ClipError(Status.CORRUPT, f"no frame can be decoded{': ' + reason if reason else ''}")
    if reason:
        raise ClipError(Status.PARTIAL, f"{reason}; {index} frames could be decoded")
    yield {"end": index}, None


def _starved() -> bool:
    """Whether the address space has come near its limit: a codec that gets no memory reports damage like any other."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return False
    peak = next((line for line in status.read_text().splitlines() if line.startswith("VmPeak:")), "VmPeak: 0 kB")
    return 1024 * int(peak.split()[1]) > 0.9 * limit


class _State:
    """Why decoding was not clean, as far as that is known."""

    def __init__(self) -> None:
        self.reason = ""


def _decode(container: "InputContainer", stream: "VideoStream", clock: Clock, state: _State) -> "Iterator[VideoFrame]":
    """Yield what decodes. Packets before the first frame may fail: a recording may start between key frames."""
    seen = bad = in_row = 0
    packets = container.demux()
    while in_row < _MAX_ERRORS:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            reraise_memory(error)
            state.reason = f"damaged: {error.strerror}"
            break
        if packet is None:
            break
        clock.read(packet)
        if packet.stream_index != stream.index:
            continue
        try:
            frames = packet.decode()
        except av.error.EOFError:
            continue
        except av.error.FFmpegError as error:
            reraise_memory(error)
            in_row, bad = in_row + 1, bad + (seen > 0)
            continue
        in_row = 0
        seen += len(frames)
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame
    if bad and not state.reason:
        state.reason = f"damaged: {bad} packets do not decode"


def _upright(frame: "VideoFrame", reformatter: VideoReformatter, aspect: Fraction | None) -> "np.ndarray[Any, Any]":
    """Return RGB `(H, W, 3)` uint8 as it is to be shown: square pixels, turned by the display matrix."""
    width = round(frame.width * aspect) if aspect and 1 / 4 < aspect < 4 else frame.width
    rgb = reformatter.reformat(frame, width=width, height=frame.height, format="rgb24")
    plane = rgb.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: rgb.height, : rgb.width * 3]
    image = rows.reshape(rgb.height, rgb.width, 3)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def _check_size(width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise ClipError(Status.TOO_LARGE, f"frames of {width}x{height} are over the limit of {limit} pixels")


if __name__ == "__main__":
    serve(handle)
