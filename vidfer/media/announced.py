"""How long a media file says that it is, to know how much is missing of one that breaks off."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_BY_FILE: Final = ("mov", "matroska", "flv", "wav", "flac")  # formats whose length FFmpeg takes from the file's header
_BY_STREAM: Final = ("mov", "wav", "flac")  # and that of each stream; of others, it gives streams the file's
_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the name of an ASF file's header of lengths
_HEADER: Final = 1 << 16  # bytes in which that lies
_BROADCAST: Final = 1  # the flag of an ASF file that was written without knowing its length
_LEAST: Final = 0.5  # s
_SHARE: Final = 0.01


def announced_end(
    container: "InputContainer", stream: "VideoStream | AudioStream", origin: float
) -> "Iterator[tuple[float, bool]]":
    """Yield when a file says that it ends, in s from `origin`, the stamp in s at which it begins.

    Each comes with whether it is said of the stream alone, and not of the longest one. FFmpeg's own figure is not used where it
    guesses by the file's size, which is less of a file that breaks off.
    """
    name = container.format.name
    if name.startswith(_BY_STREAM) and stream.duration and stream.start_time is not None and stream.time_base:
        yield float((stream.start_time + stream.duration) * stream.time_base) - origin, True
    if name == "avi" and stream.frames and stream.time_base:
        yield float(((stream.start_time or 0) + stream.frames) * stream.time_base) - origin, True
    if name.startswith(_BY_FILE) and container.duration:
        written_from_0 = name.startswith("matroska")  # whenever the first frame is shown
        yield container.duration / 1e6 - written_from_0 * origin, False
    if name == "asf" and (length := _asf_length(container.name.removeprefix("file:"))):
        yield length, False


def clearly_missing(announced: float, end: float) -> float:
    """Return by how much a file ends before it says, in s, if that is more than 0.5 s and 1 %, else 0.

    Players differ about how long the last frame is shown, and writers round.
    """
    gap = announced - end
    return gap if gap > max(_LEAST, _SHARE * announced) else 0.0


def _asf_length(path: str) -> float | None:
    """Return the length in s that the header of an ASF file names."""
    with Path(path).open("rb") as file:
        begins = file.read(_HEADER)
    at = begins.find(_PROPERTIES)
    if at < 0 or at + 92 > len(begins):
        return None
    play, _, preroll, flags = struct.unpack_from("<QQQI", begins, at + 64)
    return None if flags & _BROADCAST else play / 1e7 - preroll / 1e3
