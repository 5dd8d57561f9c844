"""The child process that decodes one video: `python -m vidfer.media.decode_child`, started by `vidfer.media.decode`."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from av.video.reformatter import VideoReformatter

from vidfer.limits import MAX_ERRORS, MAX_PIXELS
from vidfer.media.child import Emitted, Header, require_local_file, serve
from vidfer.media.container import (
    beyond,
    both_tracks,
    choose,
    describe,
    frame_rate,
    open_media,
    picture_kind,
    size_beyond,
)
from vidfer.media.reader import Reader
from vidfer.media.sparse import SparseReader
from vidfer.media.timeline import TimeLine
from vidfer.media.upright import AS_IT_IS, PixelAspect, upright
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.system import starved
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from vidfer.media.picture import Picture, Series

_PROGRESS: Final = 100  # pictures between two signs of life
_QUIET: Final = 3.0  # s of a video between them
_MIRRORED: Final = "the file says that its pictures are to be shown mirrored, and so they are"
_TOLERANCE: Final = 2e-3  # s; decord hands out float32


class Sampler:
    """Choose every n-th frame, or the first at or after each multiple of 1/fps s, counted from the first frame.

    A rounded time stamp may miss its tick by `slack` s: half a unit of the stream's clock.
    """

    def __init__(self, fps: float | None, every: int | None, slack: float) -> None:
        self._fps, self._every, self._slack = fps, every or 1, slack + 1e-9
        self._first: float | None = None
        self._tick = 0

    @property
    def every_frame(self) -> bool:
        """Whether all frames are wanted."""
        return self._fps is None and self._every == 1

    def take(self, index: int, pts: float) -> bool:
        """Whether frame `index` at `pts` seconds is wanted; to be called once for each frame in order."""
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
    """Answer `{"op": "probe", ...}`, `{"op": "length", ...}` or `{"op": "frames", "fps", "every", "decoder", "max_pixels", ...}`.

    All have a `path`. The length in s is that of the packets, whatever the file announces.

    A `path` that is a folder of numbered pictures comes with their `picture_fps`.
    """
    path = request["path"]
    if pictures := _pictures(request):
        yield from _shown(pictures, request)
        return
    with open_media(path) as container:
        if request["op"] == "length":
            yield {"length": TimeLine.scan(container, both_tracks(container)).length()}, None
            return
        stream, _ = choose(container.streams.video)
        if stream is not None and stream.codec_context is not None:
            if not stream.codec_context.width and (size := size_beyond(path)):
                check_size(*size, MAX_PIXELS)
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        if request["op"] == "probe":
            yield _described(container, stream, path), None
            return
        if stream is None:
            raise ClipError(Status.NO_VIDEO, "the file has no video stream")
        if stream.codec_context is None:
            raise ClipError(Status.UNSUPPORTED, "the file has a video codec that is not known")
        check_size(stream.codec_context.width, stream.codec_context.height, request["max_pixels"])
        sampler = Sampler(request["fps"], request["every"], float(stream.time_base or 0) / 2)
        if request["decoder"] == "decord":
            yield from _decord_frames(path, describe(container, path), container, stream, sampler)
        else:
            yield from _frames(container, stream, sampler, request["max_pixels"])


def _described(container: "InputContainer", stream: "VideoStream | None", path: str) -> Header:
    """Return what `describe` says, and what only a frame carries: how it is to be turned and mirrored."""
    fields = describe(container, path)
    if stream is not None and stream.codec_context is not None:
        frame = next(Reader(container, stream, patience=1, whole=False).frames(), None)
        if frame is not None:
            way, said = upright(frame), fields["video"]["choice"]
            fields["video"]["rotation"] = way.degrees
            fields["video"]["choice"] = "; ".join(filter(None, [said, _MIRRORED * way.mirrored]))
    return fields


def _pictures(request: Header) -> "Picture | Series | None":
    """Open what Pillow reads; it is imported where it is needed, so that videos start quickly."""
    path, folder = request["path"], is_folder(Path(request["path"]))
    kind = None if folder else picture_kind(require_local_file(path))
    if not folder and kind is None:
        return None
    from vidfer.media.picture import Picture, Series

    if request.get("decoder") == "decord":
        raise _refused("it is a picture; use --decoder auto or pyav")
    limit = request.get("max_pixels", MAX_PIXELS)
    return Series(path, request["picture_fps"], limit, picture_kind) if kind is None else Picture(path, kind, limit)


def _shown(pictures: "Picture | Series", request: Header) -> Emitted:
    if request["op"] == "probe":
        yield pictures.describe(), None
        return
    if request["op"] == "length":
        yield {"length": pictures.describe()["duration"] or 0.0}, None
        return
    sampler = Sampler(request["fps"], request["every"], 0.0)
    index = seen = 0
    for index, (pts, decode) in enumerate(pictures.frames()):
        if jump := beyond(pts):
            raise ClipError(Status.PARTIAL, f"it {jump}; {seen} frames could be decoded")
        if not sampler.take(index, pts):
            if index % _PROGRESS == 0:
                yield {"progress": pts}, None
        elif (image := decode()) is not None:
            seen += 1
            yield _message(index, pts, image)
    if not seen:
        raise ClipError(Status.CORRUPT, f"no picture can be decoded: it {pictures.damage}")
    if pictures.damage:
        raise ClipError(Status.PARTIAL, f"it {pictures.damage}; {seen} frames could be decoded")
    yield {"end": index + 1}, None


def _frames(container: "InputContainer", stream: "VideoStream", sampler: Sampler, max_pixels: int) -> Emitted:
    rate, _ = frame_rate(container, stream)
    step = float(1 / rate) if rate else 0.04
    reader = SparseReader(container, stream, sampler, step=step, patience=MAX_ERRORS)
    reformatter, aspect = VideoReformatter(), PixelAspect(stream)
    stream.codec_context.thread_count = 1
    said = 0.0
    for index, pts, frame in reader.chosen():
        if jump := beyond(pts):
            reader.damage, reader.index = jump, index
            break
        if frame is not None:
            shape = aspect.now()
            check_size(square_width(frame.width, shape), frame.height, max_pixels)
            yield _shape(index, pts, frame, reformatter, shape)
        elif pts - said >= _QUIET:
            yield {"progress": pts}, None
        else:
            continue
        said = pts
    index = reader.index
    if (reader.damage or index == 0) and starved():
        raise MemoryError
    if index == 0:
        raise ClipError(Status.CORRUPT, f"no frame can be decoded{': it ' * bool(reader.damage)}{reader.damage}")
    if reader.damage:
        raise ClipError(Status.PARTIAL, f"the video {reader.damage}; {index} frames could be decoded")
    yield {"end": index}, None


def _message(index: int, pts: float, image: "np.ndarray[Any, Any]") -> tuple[Header, memoryview]:
    return {"index": index, "pts": pts, "height": image.shape[0], "width": image.shape[1]}, image.data


def _shape(
    index: int, pts: float, frame: "VideoFrame", reformatter: VideoReformatter, aspect: Fraction | None
) -> tuple[Header, memoryview]:
    """Return the message of a frame, RGB `(H, W, 3)` uint8 as it is to be shown: square pixels, turned by the display matrix."""
    width = square_width(frame.width, aspect)
    rgb = reformatter.reformat(frame, width=width, height=frame.height, format="rgb24", threads=1)
    plane, line, way = rgb.planes[0], 3 * rgb.width, upright(frame)
    if way == AS_IT_IS and plane.line_size == line:  # as most frames are: their child does without the import of numpy
        size = {"height": rgb.height, "width": rgb.width}
        return {"index": index, "pts": pts, **size}, memoryview(plane)[: rgb.height * line]
    import numpy as np

    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: rgb.height, :line]
    image = rows.reshape(rgb.height, rgb.width, 3)
    return _message(index, pts, np.ascontiguousarray(way.show(image)))


def square_width(width: int, aspect: Fraction | None) -> int:
    """Return how many square pixels stand for so many of an aspect ratio; one beyond 4 is taken for a slip."""
    return round(width * aspect) if aspect and 1 / 4 < aspect < 4 else width


def check_size(width: int, height: int, limit: int) -> None:
    """Refuse frames of more pixels than a limit, as `too_large`."""
    if width * height > limit:
        raise ClipError(Status.TOO_LARGE, f"frames of {width}x{height} are over the limit of {limit} pixels")


def _reason_against_decord(fields: Header, stream: "VideoStream") -> str | None:
    """Say why a clip is outside the class in which decord decodes as PyAV does, if it is."""
    import importlib.util

    video = fields["video"]
    aspect = stream.sample_aspect_ratio
    checks = [
        (importlib.util.find_spec("decord") is not None, "decord is not installed (it has wheels for x86_64 only)"),
        (fields["container"].startswith(("mov", "matroska", "avi", "flv")), f"the container is {fields['container']}"),
        (video["codec"] in {"h264", "vp9", "mpeg4", "mjpeg"}, f"the codec is {video['codec']}"),
        (video["pix_fmt"] in {"yuv420p", "yuvj420p"}, f"the pixel format is {video['pix_fmt']}"),
        (not video["interlaced"], "the video is interlaced"),
        (not video["edit_list"], "the file has an edit list"),
        (min(video["width"], video["height"]) >= 64, "frames are smaller than 64 px"),  # decord takes rows for RGBA
        (not aspect or aspect == 1, "its pixels are not square"),
        (not video["choice"], "it has several tracks of pictures"),
    ]
    return next((reason for fine, reason in checks if not fine), None)


def _decord_frames(
    path: str, fields: Header, container: "InputContainer", stream: "VideoStream", sampler: Sampler
) -> Emitted:
    """Yield chosen frames by decord with the container's own times, after comparing its list of frames with them.

    decord 0.6.0 gives the same pixels and times as PyAV for 8-bit progressive 4:2:0 video of some codecs and containers; the
    rest is refused. Frames that change their size, which cannot be known beforehand, it rescales.
    """
    if reason := _reason_against_decord(fields, stream):
        raise _refused(f"{reason}; use --decoder auto or pyav")
    import decord

    times, damage = _packet_times(container, stream)
    if damage:
        raise _refused(f"it {damage}; use --decoder auto or pyav")
    try:
        reader = decord.VideoReader(path, num_threads=1)
        if not _same_times(reader, times):
            seen = f"it sees {len(reader)} frames, or other times, where the file has {len(times)}"
            raise _refused(f"{seen}; use --decoder pyav")
        for index, pts in enumerate(times):
            if sampler.take(index, pts):
                yield _message(index, pts, reader.next().asnumpy())
            else:
                reader.skip_frames(1)
    except (decord.DECORDError, RuntimeError, StopIteration) as error:
        reason = f"decord gives up ({str(error).splitlines()[0]}); try --decoder pyav"
        raise ClipError(Status.CORRUPT, reason) from error
    yield {"end": len(times)}, None


def _packet_times(container: "InputContainer", stream: "VideoStream") -> tuple[list[float], str]:
    """Return when frames are shown by the packets' stamps, in s, and what is the matter with the file, which decord hides."""
    reader = Reader(container, stream, whole=True)
    lengths = {
        packet.pts: packet.duration or 0 for packet in reader.packets() if packet.size and packet.pts is not None
    }
    times = [reader.clock.time(pts, float(lengths[pts] * reader.clock.base)) for pts in sorted(lengths)]
    reader.judge(0)
    return times, reader.damage or beyond(max(times, default=0.0))


def _refused(reason: str) -> ClipError:
    return ClipError(Status.UNSUPPORTED, f"--decoder decord cannot take this clip: {reason}")


def _same_times(reader: Any, times: list[float]) -> bool:  # noqa: ANN401 - decord is not typed
    """Whether decord sees as many frames, and the first ones at the same distances."""
    import numpy as np

    if len(reader) != len(times):
        return False
    first = np.array(times[:10])
    seen = reader.get_frame_timestamp(range(len(first)))[:, 0]
    return bool(np.all(np.abs(seen - seen[0] - (first - first[0])) < _TOLERANCE))


if __name__ == "__main__":
    serve(handle)
