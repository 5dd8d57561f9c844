"""Frames of a camera, by FFmpeg's input devices."""

import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from vidfer.media.decode import Frame
from vidfer.media.record import record_frames
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class CameraInput:
    """How a system's cameras are opened: FFmpeg's format, None for a file; its file with `{name}` for the camera; options."""

    format: str | None
    file: str
    options: Mapping[str, str] = field(default_factory=dict)


INPUTS: Final[Mapping[str, CameraInput]] = {
    "linux": CameraInput("v4l2", "/dev/video{name}"),
    "darwin": CameraInput(
        "avfoundation", "{name}:none", {"framerate": "30"}
    ),  # its own default is refused by many cameras
    "win32": CameraInput("dshow", "video={name}"),
}
"""By Python's name of the system."""

_PATIENCE: Final = 10.0  # s without a picture
_DAMAGED: Final = 100  # pictures in a row


class CameraSource:
    """Frames of a camera as they come, RGB and upright, with times in s from the first; a context manager.

    Args:
        name: Number of the camera, from 0; on Windows its name.
        seconds: When to end; None for never.
        source: How it is opened; by default as this system's cameras are.

    Raises:
        UsageError: There is no such camera, or cameras are not known of this system.
        VidferError: It cannot be used: another program has it, or this user may not.

    Example:
        >>> from vidfer.media.camera import CameraSource
        >>> with CameraSource(0, seconds=5) as camera:  # doctest: +SKIP
        ...     print([frame.pts for frame in camera])
    """

    def __init__(self, name: int | str = 0, *, seconds: float | None = None, source: CameraInput | None = None) -> None:
        source = source or INPUTS.get(sys.platform)
        if source is None:
            raise UsageError(f"cameras of {sys.platform} are not known: give a file instead")
        self.name, self._seconds, self._stopped = name, seconds, False
        self._container = _open(name, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def stop(self) -> None:
        """End the iteration after the frame that is being waited for; may be called by a signal's handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames whose times increase, until `stop`, `seconds`, or the end of what stands for the camera.

        Raises:
            VidferError: The camera gives no more pictures.
        """
        first = last = None
        index = 0
        for picture in self._pictures():
            now = time.monotonic() if picture.pts is None else float(picture.pts * picture.time_base)
            first = now if first is None else first
            if self._stopped or (self._seconds is not None and now - first >= self._seconds):
                return
            if last is None or now > last:  # a camera's clock may stand still
                last = now
                yield Frame(index, now - first, picture.to_ndarray(format="rgb24"))
                index += 1

    def _pictures(self) -> Iterator[Any]:
        """Yield what decodes: single pictures are damaged by the transport, and the first ones often."""
        import av

        damaged = 0
        try:
            for packet in self._container.demux(video=0):
                try:
                    pictures = packet.decode()
                except av.error.InvalidDataError:
                    damaged += 1
                    if damaged > _DAMAGED:
                        raise
                    continue
                damaged = 0 if pictures else damaged
                yield from pictures
        except av.error.FFmpegError as error:
            if not self._stopped:
                raise VidferError(f"camera {self.name} gives no more pictures: {error.strerror}") from error


def record_camera(camera: CameraSource, folder: Path) -> Path:
    """Record a camera into a lossless file `camera-NAME-START` of a folder, START in UTC, until it ends or Ctrl-C is pressed.

    Raises:
        UsageError: Not one picture came.
        VidferError: The camera breaks off, or the file cannot be written.
    """
    path = folder / f"camera-{re.sub('[^A-Za-z0-9]+', '-', str(camera.name))}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    before = signal.signal(signal.SIGINT, lambda *_: camera.stop())
    try:
        record_frames(((frame.pts, frame.image) for frame in camera), path)
    finally:
        signal.signal(signal.SIGINT, before)
    return path


def _open(name: int | str, source: CameraInput) -> "InputContainer":
    import av

    file = source.file.format(name=name)
    try:
        opened: Any = av.open(file, format=source.format, options=dict(source.options), timeout=_PATIENCE)
    except av.error.FileNotFoundError as error:
        there = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
        known = f": there are {', '.join(there)}" if there else ", nor any other: connect one, or give a file instead"
        raise UsageError(f"there is no camera {name} ({file}){known}") from error
    except av.error.PermissionError as error:
        raise VidferError(f"camera {name} ({file}) may not be used: join the group video, or ask who may") from error
    except (av.error.FFmpegError, ValueError) as error:  # ValueError: this FFmpeg knows no such devices
        reason = getattr(error, "strerror", None) or error
        raise VidferError(
            f"camera {name} ({file}) cannot be opened: {reason}; close other programs that use it"
        ) from error
    if not opened.streams.video:
        opened.close()
        raise VidferError(f"camera {name} ({file}) gives no pictures")
    return opened  # type: ignore[no-any-return]
