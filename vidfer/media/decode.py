"""What a media file holds, and frames of its pictures chosen by presentation time; both by a child process."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vidfer.media.child import MEMORY_LIMIT, Child
from vidfer.media.container import require_local_file

MAX_PIXELS: Final = 7680 * 4320
"""Largest frame that is decoded, in pixels: 8K."""

Decoder = Literal["auto", "pyav", "decord"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as it is shown.

    Args:
        index: Number of the frame in the video, counting all frames, from 0.
        pts: Presentation time in seconds from the start of the file, as the container says it.
        image: RGB, `(H, W, 3)` uint8, upright, square pixels. The size may change within a video.
    """

    index: int
    pts: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class VideoInfo:
    """The track of moving pictures that is used; None stands for what the file doesn't say.

    Args:
        codec: FFmpeg's name, such as `h264`.
        pix_fmt: FFmpeg's name, such as `yuv420p`.
        width: Coded width in px, before rotation.
        height: Coded height in px, before rotation.
        rotation: Degrees counter-clockwise that turn the coded frame upright; already applied by `read_frames`.
        fps: Average frame rate in Hz. Only informative: frames carry their own times.
        interlaced: Whether frames hold two fields.
        edit_list: Whether an MP4 or QuickTime edit list rearranges the time line.
        choice: Which of several tracks this is and why; empty if it is the only one.
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
    """A media file: container (FFmpeg's name of the demuxer), duration in seconds, streams."""

    container: str
    duration: float | None
    video: VideoInfo | None
    audio: AudioInfo | None


def probe(path: str | Path, *, timeout: float = 30.0, memory: int = MEMORY_LIMIT) -> Probe:
    """Describe a local media file within `timeout` seconds and `memory` bytes of the child's address space.

    Raises:
        ClipError: `unreadable`, `unsupported` (stills, texts, playlists), `corrupt`, `timeout`, `crashed`.
    """
    with Child("vidfer.media.decode_child", timeout=timeout, memory=memory) as child:
        child.send({"op": "probe", "path": str(require_local_file(path))})
        told = child.receive()[0]["probe"]
    return Probe(
        container=told["container"],
        duration=told["duration"],
        video=VideoInfo(**told["video"]) if told["video"] else None,
        audio=AudioInfo(**told["audio"]) if told["audio"] else None,
    )


def read_frames(
    path: str | Path,
    *,
    fps: float | None = 5.0,
    every: int | None = None,
    decoder: Decoder = "auto",
    max_pixels: int = MAX_PIXELS,
    timeout: float = 120.0,
    memory: int = MEMORY_LIMIT,
) -> Generator[Frame]:
    """Decode a video, the track flagged as default or else the first, and yield chosen frames in order.

    Frames stream through a pipe, so memory does not grow with the video's length. Skipped frames are decoded, since later ones
    depend on them, but neither converted nor sent. Closing the iterator ends the child.

    Args:
        path: A local file.
        fps: Frames per second of presentation time: the first frame at or after each tick from the first frame on. None with
            `every`, or for all frames.
        every: Take every n-th frame instead; then `fps` has to be None.
        decoder: `auto` (PyAV, which is as quick and forgives more), `pyav`, or `decord`, which refuses what it decodes otherwise.
        max_pixels: Refuse larger frames before decoding.
        timeout: Seconds of waiting that are allowed beyond the playing time of what was decoded.
        memory: Limit of the child's address space in bytes.

    Yields:
        Frames in presentation order.

    Raises:
        ClipError: `unreadable`, `unsupported`, `no_video`, `too_large`, `timeout`, `crashed`, `out_of_memory`; at a damaged spot
            `partial` after the frames that could be decoded, `corrupt` if there are none.
        ValueError: Both or senseless `fps` and `every`.

    Example:
        >>> for frame in read_frames("clip.mp4", fps=1.0):  # doctest: +SKIP
        ...     print(frame.index, frame.pts, frame.image.shape)
    """
    if (fps is not None and (every is not None or not fps > 0)) or (every is not None and every < 1):
        raise ValueError(f"give either fps > 0 or every >= 1, not fps={fps} and every={every}")
    request = {"op": "frames", "path": str(require_local_file(path)), "fps": fps, "every": every, "decoder": decoder}
    return _stream({**request, "max_pixels": max_pixels}, timeout, memory)


def _stream(request: dict[str, object], timeout: float, memory: int) -> Generator[Frame]:
    reached = 0.0
    with Child("vidfer.media.decode_child", timeout=timeout, memory=memory) as child:
        child.send(request)
        while True:
            header, payload = child.receive()
            if "end" in header:
                return
            at: float = header["pts" if "index" in header else "progress"]
            if at > reached:
                child.allow(at - reached)
                reached = at
            if "index" in header:
                image = np.frombuffer(payload, np.uint8).reshape(header["height"], header["width"], 3)
                yield Frame(header["index"], header["pts"], image)
