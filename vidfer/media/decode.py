"""What a media file holds, and frames of its pictures chosen by presentation time; both by a child process."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vidfer.limits import MAX_GRANT_SECONDS, MAX_PIXELS, MEMORY_LIMIT
from vidfer.media.child import Child, require_local_file
from vidfer.media.kept import KeptChild
from vidfer.pipeline.paths import is_folder
from vidfer.types import ClipError, Status

Decoder = Literal["auto", "pyav", "decord"]

CHILD: Final = KeptChild("vidfer.media.decode_child")
"""The process that probes and decodes, kept from one clip to the next."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as it is shown: its number in the video from 0, its presentation time in s from the start of the file.

    `image` is RGB, `(H, W, 3)` uint8, upright, with square pixels. The size may change within a video.
    """

    index: int
    pts: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class VideoInfo:
    """The track of moving pictures that is used; None stands for what the file does not say.

    Codec and pixel format are FFmpeg's names; width and height are coded px, before the rotation, whose degrees
    counter-clockwise `read_frames` applies. `fps` is the average frame rate in Hz: frames carry their own times. `edit_list` says
    whether an MP4 or QuickTime edit list changes the time line, `choice` which of several tracks this is and why, and where the
    frame rate is assumed.
    """

    codec: str | None
    pix_fmt: str | None
    width: int | None
    height: int | None
    rotation: int | None
    fps: float | None
    interlaced: bool | None
    edit_list: bool
    choice: str = ""


@dataclass(frozen=True)
class AudioInfo:
    """The sound track that is used: FFmpeg's codec name, sampling rate in Hz, number of channels, `choice` as above."""

    codec: str | None
    sampling_rate: int | None
    channels: int | None
    choice: str = ""


@dataclass(frozen=True)
class Probe:
    """A media file: container (FFmpeg's name of the demuxer), duration in seconds, streams.

    `recorded` is when the recording was made by the file's metadata, ISO 8601 in UTC, None where it does not say so.
    """

    container: str
    duration: float | None
    video: VideoInfo | None
    audio: AudioInfo | None
    recorded: str | None = None


def probe(path: str | Path, *, picture_fps: float | None = None, timeout: float = 30.0) -> Probe:
    """Describe a local media file, or a folder of numbered pictures at `picture_fps` a second, within `timeout` seconds.

    Raises:
        ClipError: `unreadable`, `unsupported` (texts, playlists, other pictures), `corrupt`, `timeout`, `crashed`.
    """
    with CHILD.lend(timeout=timeout) as child:
        return _probe(child, _place(path, picture_fps))


def measure(path: str | Path, *, timeout: float = 30.0) -> tuple[Probe, float]:
    """Describe a local media file, and measure its length in s: that of what it holds, whatever it announces.

    All of the file is read, and nothing decoded. Of a recording that names no duration, such as a browser's, the length is known
    in no other way.

    Raises:
        ClipError: As `probe`.
    """
    place = _place(path, None)
    with CHILD.lend(timeout=timeout) as child:
        found = _probe(child, place)
        child.send({"op": "length", **place})
        return found, child.receive()[0]["length"]


def _probe(child: Child, place: dict[str, object]) -> Probe:
    child.send({"op": "probe", **place})
    fields, _ = child.receive()
    video = VideoInfo(**fields["video"]) if "video" in fields else None
    audio = AudioInfo(**fields["audio"]) if "audio" in fields else None
    return Probe(fields["container"], fields["duration"], video, audio, fields.get("recorded"))


def read_frames(
    path: str | Path,
    *,
    fps: float | None = 5.0,
    every: int | None = None,
    picture_fps: float | None = None,
    decoder: Decoder = "auto",
    max_pixels: int = MAX_PIXELS,
    timeout: float = 120.0,
    memory: int = MEMORY_LIMIT,
) -> Generator[Frame]:
    """Decode a video, the track flagged as default or else the first, and yield chosen frames in presentation order.

    Frames stream through shared memory, a few at a time, so memory does not grow with the video's length. Skipped frames are
    decoded only where others depend on them, see `SparseReader`, and neither converted nor sent. Closing the iterator before
    its end ends the child.

    Args:
        path: A local file, or a folder of numbered pictures.
        fps: Frames per second of presentation time: the first frame at or after each tick from the first frame on. None with
            `every`, or for all frames.
        every: Take every n-th frame instead; then `fps` has to be None.
        picture_fps: Pictures a second of a folder of them; a number that is missing is a picture that was dropped.
        decoder: `auto` (PyAV, the quicker one for any choice of frames), `pyav`, or `decord`, which refuses what it decodes
            otherwise.
        max_pixels: Refuse larger frames (by default above 8K) before decoding.
        timeout: Seconds of waiting that are allowed beyond the playing time of what was decoded, and for any one frame.
        memory: Limit of the child's address space in bytes.

    Raises:
        ClipError: `unreadable`, `unsupported`, `no_video`, `too_large`, `timeout`, `crashed`, `out_of_memory`; at a damaged spot
            `partial` after the frames that could be decoded, `corrupt` if there are none.
        ValueError: Both or senseless `fps` and `every`.
    """
    if (fps is not None and (every is not None or not fps > 0)) or (every is not None and every < 1):
        raise ValueError(f"give either fps > 0 or every >= 1, not fps={fps} and every={every}")
    request = {"op": "frames", **_place(path, picture_fps), "fps": fps, "every": every, "decoder": decoder}
    return _stream({**request, "max_pixels": max_pixels}, timeout, memory)


def _place(path: str | Path, picture_fps: float | None) -> dict[str, object]:
    if not is_folder(Path(path)):
        return {"path": require_local_file(path)}
    if picture_fps is None:
        raise ClipError(Status.UNREADABLE, f"{path}: a folder of pictures needs their rate, such as --picture-fps 25")
    if not 0 < picture_fps < float("inf"):
        raise ValueError(f"picture_fps has to be above 0, not {picture_fps}")
    return {"path": str(Path(path).absolute()), "picture_fps": picture_fps}


def _stream(request: dict[str, object], timeout: float, memory: int) -> Generator[Frame]:
    reached = 0.0
    with CHILD.lend(timeout=timeout, memory=memory) as child:
        child.send(request)
        while True:
            header, payload = child.receive()
            if "end" in header:
                return
            at: float = header["pts" if "index" in header else "progress"]
            child.left = min(timeout, child.left + min(max(0.0, at - reached), MAX_GRANT_SECONDS))
            reached = max(reached, at)
            if "index" in header:
                image = np.frombuffer(payload, np.uint8).reshape(header["height"], header["width"], 3)
                yield Frame(header["index"], header["pts"], image)
