"""The child process that decodes one video: `python -m vidfer.media.decode_child`, started by `vidfer.media.decode`."""

import importlib.util
import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vidfer.media.child import Header, serve
from vidfer.media.clock import Reader
from vidfer.media.container import choose, describe, open_media, reraise_memory
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Emitted = Iterator[tuple[Header, memoryview | None]]

_MAX_ERRORS: Final = 200  # packets in a row that don't decode, after which the rest is given up
_PROGRESS: Final = 100  # frames between two signs of life
_CONTAINERS: Final = ("mov", "matroska", "avi", "flv")  # those, and what follows, decord decodes as PyAV does
_CODECS: Final = frozenset({"h264", "vp9", "mpeg4", "mjpeg"})
_PIXELS: Final = frozenset({"yuv420p", "yuvj420p"})
_SMALLEST: Final = 16
_TOLERANCE: Final = 2e-3  # s; decord hands out float32


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
        stream, _ = choose(container.streams.video)
        if request["op"] == "probe":
            yield {"probe": _with_rotation(told, container, stream)}, None
            return
        if stream is None or stream.codec_context is None:
            kind = "no video stream" if stream is None else "a video codec that is not known"
            raise ClipError(Status.NO_VIDEO if stream is None else Status.UNSUPPORTED, f"the file has {kind}")
        _check_size(stream.codec_context.width, stream.codec_context.height, request["max_pixels"])
        sampler = Sampler(request["fps"], request["every"], float(stream.time_base or 0) / 2)
        if request["decoder"] == "decord":
            yield from decord_frames(path, told, container, stream, sampler)
        else:
            yield from _frames(container, stream, sampler, request["max_pixels"])


def _with_rotation(told: Header, container: "InputContainer", stream: "VideoStream | None") -> Header:
    """Add the rotation, which only a decoded frame carries."""
    if stream is not None and stream.codec_context is not None:
        try:
            told["video"]["rotation"] = next((frame.rotation for frame in container.decode(stream)), None)
        except av.error.FFmpegError as error:
            reraise_memory(error)
    return told


def _frames(container: "InputContainer", stream: "VideoStream", sampler: Sampler, max_pixels: int) -> Emitted:
    step = float(1 / stream.average_rate) if stream.average_rate else 0.04
    reader = Reader(container, stream, step=step, patience=_MAX_ERRORS, whole=True)
    reformatter = VideoReformatter()
    stream.codec_context.thread_count = 1
    index = 0
    for frame in reader.frames():
        if not isinstance(frame, av.VideoFrame):
            continue
        pts = reader.clock.time(frame.pts, float((frame.duration or 0) * reader.clock.base))
        if sampler.take(index, pts):
            _check_size(frame.width, frame.height, max_pixels)
            image = _upright(frame, reformatter, stream.sample_aspect_ratio)
            height, width = image.shape[:2]
            yield {"index": index, "pts": pts, "height": height, "width": width}, image.data
        elif index % _PROGRESS == 0:
            yield {"progress": pts}, None
        index += 1
    if index == 1 and container.format.name == "gif":
        raise ClipError(Status.UNSUPPORTED, "a still image, not a video")
    if (reader.damage or index == 0) and _starved():
        raise MemoryError
    if index == 0:
        raise ClipError(Status.CORRUPT, f"no frame can be decoded{': it ' * bool(reader.damage)}{reader.damage}")
    if reader.damage:
        raise ClipError(Status.PARTIAL, f"the video {reader.damage}; {index} frames could be decoded")
    yield {"end": index}, None


def _starved() -> bool:
    """Whether the address space has come near its limit: a codec that gets no memory reports damage like any other."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return False
    peak = next((line for line in status.read_text().splitlines() if line.startswith("VmPeak:")), "VmPeak: 0 kB")
    return 1024 * int(peak.split()[1]) > 0.9 * limit


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


def _reason_against_decord(told: Header, stream: "VideoStream") -> str | None:
    video = told["video"]
    aspect = stream.sample_aspect_ratio
    checks = [
        (importlib.util.find_spec("decord") is not None, "decord is not installed (it has wheels for x86_64 only)"),
        (told["container"].startswith(_CONTAINERS), f"the container is {told['container']}"),
        (video["codec"] in _CODECS, f"the codec is {video['codec']}"),
        (video["pix_fmt"] in _PIXELS, f"the pixel format is {video['pix_fmt']}"),
        (not video["interlaced"], "the video is interlaced"),
        (not video["edit_list"], "the file has an edit list"),
        (min(video["width"], video["height"]) >= _SMALLEST, f"frames are smaller than {_SMALLEST} px"),
        (not aspect or aspect == 1, "its pixels are not square"),
        (not video["choice"], "it has several tracks of pictures"),
    ]
    return next((reason for fine, reason in checks if not fine), None)


def decord_frames(
    path: str, told: Header, container: "InputContainer", stream: "VideoStream", sampler: Sampler
) -> Emitted:
    """Yield chosen frames by decord with the container's own times, after holding its list of frames against them.

    decord 0.6.0 gives the same pixels and times as PyAV for 8-bit progressive 4:2:0 video of some codecs and containers; the
    rest is refused. Frames that change their size, which cannot be known beforehand, it rescales.
    """
    if reason := _reason_against_decord(told, stream):
        raise ClipError(
            Status.UNSUPPORTED, f"--decoder decord cannot take this clip: {reason}; use --decoder auto or pyav"
        )
    import decord

    times = _packet_times(container, stream)
    try:
        reader = decord.VideoReader(path, num_threads=1)
        _compare_times(reader, times)
        for index, pts in enumerate(times):
            if sampler.take(index, pts):
                image: np.ndarray[Any, np.dtype[np.uint8]] = reader.next().asnumpy()
                yield {"index": index, "pts": pts, "height": image.shape[0], "width": image.shape[1]}, image.data
            else:
                reader.skip_frames(1)
    except (decord.DECORDError, RuntimeError, StopIteration) as error:
        raise ClipError(
            Status.CORRUPT, f"decord gives up ({str(error).splitlines()[0]}); try --decoder pyav"
        ) from error
    yield {"end": len(times)}, None


def _packet_times(container: "InputContainer", stream: "VideoStream") -> list[float]:
    origin = (container.start_time or 0) / 1e6
    base = stream.time_base or 0
    return sorted(
        round(float(packet.pts * base) - origin, 6) + 0.0
        for packet in container.demux(stream)
        if packet.pts is not None
    )


def _compare_times(reader: Any, times: list[float]) -> None:  # noqa: ANN401 - decord is not typed
    count = min(10, len(times))
    if len(reader) == len(times):
        told = reader.get_frame_timestamp(range(count))[:, 0]
        if np.all(np.abs(told - told[0] - (np.array(times[:count]) - times[0])) < _TOLERANCE):
            return
    seen = f"it sees {len(reader)} frames, or other times, where the file has {len(times)}"
    raise ClipError(Status.UNSUPPORTED, f"--decoder decord cannot take this clip: {seen}; use --decoder pyav")


if __name__ == "__main__":
    serve(handle)
