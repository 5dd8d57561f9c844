"""What a media file holds, found out in a child process."""

from dataclasses import dataclass
from pathlib import Path

from vidfer.media.child import MEMORY_LIMIT, Child
from vidfer.media.container import require_local_file


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
    """Describe a local media file.

    Args:
        path: A local file.
        timeout: Seconds to wait.
        memory: Limit of the child's address space in bytes.

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
