"""What the child processes share: opening one local media file safely and describing it.

Runs in the children only, apart from `require_local_file`.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_Stream = TypeVar("_Stream", "VideoStream", "AudioStream")

FORMATS: Final = (
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,m4v,asf,gif,ogg,mxf,dv,nut,ivf,yuv4mpegpipe,"
    "wav,w64,flac,mp3,aac,aiff,caf,amr,au"
)
"""Demuxers that read one file and nothing else: no stills, texts, subtitles, playlists, `concat` scripts or patterns."""

_STILL_BRANDS: Final = frozenset({"heic", "heix", "heim", "heis", "mif1", "avif"})
_FIRST_EDIT: Final = 8  # payload offset of the first entry of an `elst` box


def require_local_file(path: str | Path) -> Path:
    """Return the absolute path of a regular file that can be read.

    Raises:
        ClipError: `unreadable`: missing, a directory, a device or pipe, or without permission.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link into another name
    try:
        mode = absolute.stat().st_mode
    except (OSError, ValueError) as error:
        raise ClipError(Status.UNREADABLE, f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(mode):
        raise ClipError(Status.UNREADABLE, f"{path}: not a regular file")
    if not os.access(absolute, os.R_OK):
        raise ClipError(Status.UNREADABLE, f"{path}: no permission to read it")
    return absolute


def open_media(path: str) -> "InputContainer":
    """Open a media file with nothing but whitelisted demuxers and the `file` protocol.

    FFmpeg compares the format's name with the whitelist before it reads the header, so a `concat` script never gets to open
    the files it names.

    Raises:
        ClipError: `unreadable`, `unsupported` (another kind of file) or `corrupt`.
    """
    import av

    require_local_file(path)
    if Path(path).stat().st_size == 0:
        raise ClipError(Status.CORRUPT, "the file is empty")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container: InputContainer = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise ClipError(Status.UNSUPPORTED, "not a video or sound format that vidfer reads") from error
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        if _is_text(path):
            raise ClipError(Status.UNSUPPORTED, "a text, not a video") from error
        raise ClipError(Status.CORRUPT, f"cannot be opened: {error.strerror}") from error
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        container.close()
        raise ClipError(Status.UNSUPPORTED, "a still image, not a video")
    if not container.streams.video and not container.streams.audio:
        container.close()
        raise ClipError(Status.CORRUPT, "holds no stream of pictures or sound")
    return container


def _is_text(path: str) -> bool:
    with Path(path).open("rb") as file:
        start = file.read(4096)
    return all(byte in b"\t\n\r\f" or byte >= 32 for byte in start) and start.isascii()


def reraise_memory(error: Exception) -> None:
    """Let a failed allocation through where damaged data are being forgiven."""
    if isinstance(error, MemoryError):
        raise error


def choose(streams: "Sequence[_Stream]") -> "tuple[_Stream | None, str]":
    """Choose the track of pictures or sound that a player would take: the one flagged as default, else the first.

    Cover art is no track of pictures, and a track whose codec is not known comes last.

    Returns:
        The stream, None if there is none, and a sentence about the choice, empty where there was none.
    """
    import av

    tracks = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if not tracks:
        return None, ""
    flagged = [bool(stream.disposition & av.stream.Disposition.default) for stream in tracks]
    order = [(not stream.codec_context, not default) for stream, default in zip(tracks, flagged, strict=True)]
    number = order.index(min(order))
    reason = "the one flagged as default" if flagged[number] and sum(flagged) == 1 else "the first that a player takes"
    note = f"of {len(tracks)} {tracks[0].type} tracks, number {number + 1} is used: {reason}" if len(tracks) > 1 else ""
    return tracks[number], note


def describe(container: "InputContainer", path: str) -> dict[str, Any]:
    """Return the fields of `vidfer.media.decode.Probe` as plain values, without decoding."""
    video, video_note = choose(container.streams.video)
    audio, audio_note = choose(container.streams.audio)
    rate = video.average_rate if video else None
    return {
        "container": container.format.name,
        "duration": container.duration / 1e6 if container.duration else None,
        "video": video
        and {
            "codec": video.codec_context.name if video.codec_context else None,
            "pix_fmt": video.codec_context.pix_fmt if video.codec_context else None,
            "width": video.codec_context.width if video.codec_context else None,
            "height": video.codec_context.height if video.codec_context else None,
            "rotation": None,
            "fps": float(rate) if rate else None,
            "interlaced": int(video.codec_context.field_order) > 1 if video.codec_context else None,
            "edit_list": has_edit_list(path) if container.format.name.startswith("mov") else False,
            "choice": video_note,
        },
        "audio": audio
        and {
            "codec": audio.codec_context.name if audio.codec_context else None,
            "sampling_rate": audio.codec_context.sample_rate if audio.codec_context else None,
            "channels": audio.codec_context.channels if audio.codec_context else None,
            "choice": audio_note,
        },
    }


def has_edit_list(path: str) -> bool:
    """Whether an MP4 or QuickTime file rearranges its time line: any `elst` that does more than start at media time 0."""
    with Path(path).open("rb") as file:
        return any(_rearranges(payload) for payload in _boxes(file, 0, Path(path).stat().st_size))


def _boxes(file: BinaryIO, start: int, end: int) -> "Iterator[bytes]":
    """Yield the payload of every `elst` box below `moov/trak/edts`."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind, header = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16]), 16
        elif size == 0:
            size = end - start
        if size < header:
            return
        if kind in {b"moov", b"trak", b"edts"}:
            yield from _boxes(file, start + header, min(start + size, end))
        elif kind == b"elst":
            file.seek(start + header)
            yield file.read(min(size - header, 64))
        start += size


def _rearranges(elst: bytes) -> bool:
    long = elst[:1] == b"\x01"
    width = 8 if long else 4
    at = _FIRST_EDIT + width
    count, media_time = int.from_bytes(elst[4:8]), int.from_bytes(elst[at : at + width], signed=True)
    return count > 1 or (count == 1 and media_time != 0)
