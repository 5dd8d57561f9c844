"""The child process that writes one overlay: `python -m vidfer.overlay.child`, started by `vidfer.overlay.write`.

Frames are decoded as for the analysis, drawn on, encoded, and written with the sound in one pass, so that nothing of the clip's
length is held in memory.
"""

import errno
import json
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av

from vidfer.limits import MAX_ERRORS
from vidfer.media.child import Emitted, Header, serve
from vidfer.media.container import choose, frame_rate, open_media, origin, picture_kind
from vidfer.media.decode_child import check_size
from vidfer.media.reader import Reader
from vidfer.media.upright import PixelAspect
from vidfer.overlay.canvas import Canvas, Painter
from vidfer.overlay.scene import Scene
from vidfer.overlay.sound import Sound
from vidfer.pipeline.shortage import FULL
from vidfer.pipeline.system import starved
from vidfer.types import DISPLAYED, ClipError, Status

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

THREADS: Final = 2
"""Of the encoder; of a fixed number, since the bytes that it writes depend on it."""

_PRESET: Final = {
    "preset": "veryfast",
    "crf": "20",
    "bf": "0",
}  # without B-frames: no player has to reorder, or to cut the start
_PROGRESS: Final = 10  # frames between two signs of life
_FINE: Final = 10_000  # Hz; clocks that are coarser are divided, as the MP4 writer would
_LAST: Final = 5.0  # s that a last frame may be shown
_JUMP: Final = 2.0  # s between key frames


def handle(request: Header) -> Emitted:
    """Answer `{"path", "plan", "out", "max_pixels"}`: both plan and out are files; the end says what was written."""
    path = request["path"]
    if picture_kind(path):
        raise ClipError(Status.NO_VIDEO, "pictures have no overlay: their tables say all")
    plan = json.loads(Path(request["plan"]).read_bytes())
    with open_media(path) as container:
        stream, _ = choose(container.streams.video)
        if stream is None:
            raise ClipError(Status.NO_VIDEO, "it has sound alone, and so no overlay")
        if stream.codec_context is None:
            raise ClipError(Status.UNSUPPORTED, "it has a video codec that is not known, and so no overlay")
        check_size(stream.codec_context.width, stream.codec_context.height, request["max_pixels"])
        try:
            with av.open(request["out"], "w", format="mp4", options={"movflags": "+faststart"}) as out:
                out.metadata.update(comment=DISPLAYED, description=DISPLAYED)
                end = yield from _write(container, stream, out, plan, request)
        except OSError as error:
            if error.errno not in FULL:
                raise
            yield {"errno": error.errno or errno.ENOSPC}, None
        else:
            yield end, None  # not before the file is whole


def _write(
    container: "InputContainer", stream: "VideoStream", out: "OutputContainer", plan: Header, request: Header
) -> Generator[tuple[Header, None], None, Header]:
    rate, _ = frame_rate(container, stream)
    step = float(1 / rate) if rate else 0.04
    reader = Reader(container, stream, step=step, patience=MAX_ERRORS, whole=True)
    stream.codec_context.thread_count = 1
    lead = min(0.0, origin(container))  # a codec's warming up, which is before the clip's begin
    aspect = PixelAspect(stream)
    painter, scene, film, sound = Painter(stream.sample_aspect_ratio), None, None, None
    index, time, end = 0, 0.0, 0.0
    for frame in reader.frames():
        if not isinstance(frame, av.VideoFrame):
            continue
        length = float((frame.duration or 0) * reader.clock.base)
        time = reader.clock.time(frame.pts, length)
        end = time + (length or step)
        check_size(frame.width, frame.height, request["max_pixels"])
        painter.aspect = aspect.now()
        canvas, *fit = painter.canvas(frame)
        if scene is None or film is None or sound is None:
            scene = Scene(plan, canvas)
            film = _Film(out, scene.size, reader.clock.base, rate, painter)
            sound = Sound(request["path"], out, lead)
        film.add(scene.draw(canvas, time, *fit), time + lead)
        sound.write(time + lead)
        if index % _PROGRESS == 0:
            yield {"progress": time}, None
        index += 1
    if (reader.damage or index == 0) and starved():
        raise MemoryError
    if film is None or sound is None:
        raise ClipError(Status.CORRUPT, f"no frame can be decoded{': it ' * bool(reader.damage)}{reader.damage}")
    announced = _announced_end(container, stream)
    if not reader.damage and time < announced < time + _LAST:
        end = announced
    film.close(max(end, reader.clock.repeated_to) + lead)
    sound.write(float("inf"))
    sound.close()
    damage = f"it has {index} frames, since the video {reader.damage}" if reader.damage else ""
    return {"end": index, "notes": [note for note in (damage, sound.note) if note]}


def _announced_end(container: "InputContainer", stream: "VideoStream") -> float:
    """Return when the pictures end by the file's own account, in s; 0 where it has none.

    An MP4 file does not keep how long its last frame is shown if frames are stored in another order.
    """
    if stream.duration is None or stream.start_time is None or stream.time_base is None:
        return 0.0
    return float((stream.start_time + stream.duration) * stream.time_base) - origin(container)


class _Film:
    """The pictures of the overlay: H.264, each frame at its own time."""

    def __init__(
        self, out: "OutputContainer", size: tuple[int, int], base: Fraction, rate: Fraction | None, painter: Painter
    ) -> None:
        while base.denominator < _FINE * base.numerator:
            base /= 2
        self._out, self._base, self._last, self._lengths = out, base, -1, dict[int, int]()
        distance = max(1, round(_JUMP * float(rate or 25)))
        options = {**_PRESET, "g": str(min(distance, 250))}
        self._stream: Any = out.add_stream("libx264", rate=rate or 25, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = base
        context = self._stream.codec_context
        context.time_base, context.thread_count = base, THREADS
        colours = painter.colours
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        self._tags = colours
        self._held: Canvas | None = None

    def add(self, canvas: Canvas, time: float) -> None:
        """Take the next frame and its time in s; the one before is encoded, whose length is known now."""
        ticks = max(round(time / self._base), self._last + 1, 0)
        if self._held is not None:
            self._encode(self._held, ticks - self._last)
        self._held, self._last = canvas, ticks

    def close(self, end: float) -> None:
        """Encode the last frame, which is shown until a time in s."""
        assert self._held is not None
        self._encode(self._held, max(1, round(end / self._base) - self._last))
        for packet in self._stream.encode(None):
            self._mux(packet)

    def _encode(self, canvas: Canvas, length: int) -> None:
        frame = canvas.frame()
        frame.pts, frame.time_base = self._last, self._base
        frame.colorspace, frame.color_range = self._tags.matrix, self._tags.range
        self._lengths[self._last] = length
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: Any) -> None:  # noqa: ANN401 - PyAV's
        packet.duration = self._lengths.pop(packet.pts)
        self._out.mux(packet)


if __name__ == "__main__":
    serve(handle)
