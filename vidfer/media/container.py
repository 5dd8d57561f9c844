"""What the child processes share: one local media file, opened safely, and one of its streams with its presentation times."""

import re
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import av

from vidfer.limits import MAX_CLIP_SECONDS, MAX_OPEN_SECONDS, MAX_PIXELS
from vidfer.media.boxes import has_edits
from vidfer.media.child import require_local_file
from vidfer.media.timeline import seconds, unwrapped
from vidfer.pipeline.system import compute_at_most, starved
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_Stream = TypeVar("_Stream", "VideoStream", "AudioStream")

_FORMATS: Final = (  # demuxers that read one file and nothing else: no stills, texts, playlists or `concat` scripts
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,m4v,asf,ogg,mxf,dv,nut,ivf,yuv4mpegpipe,h264,hevc,mjpeg,"
    "wav,w64,flac,mp3,aac,aiff,caf,amr,au"
)
_OPTIONS: Final = {"format_whitelist": _FORMATS, "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
"""Of the container and of the codecs that FFmpeg opens to learn what is in it; frames of more pixels it does not decode."""

_STILL_BRANDS: Final = frozenset({"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis"})
_CONVERT: Final = ": save pictures as PNG, JPEG or WebP, and videos as MP4"
_PICTURES: Final = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "GIF": b"GIF8"}
_NO_TEXT: Final = frozenset(map(chr, {*range(32)} - {*b"\t\n\r\f"}))
_RAW: Final = frozenset({"h264", "hevc", "mjpeg", "mpegvideo", "m4v"})
"""Demuxers of streams outside any container, whose frame rate only the codec may know; FFmpeg assumes 25."""


def picture_kind(path: str) -> str | None:
    """Return `PNG`, `JPEG`, `WEBP` or `GIF` where a file begins like one, whatever its name; it may move."""
    with Path(path).open("rb") as file:
        begins = file.read(16)
    if Path(path).suffix.lower() in {".mjpg", ".mjpeg"}:  # one after the other: a video
        return None
    if begins[:4] == b"RIFF" and begins[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for kind, magic in _PICTURES.items() if begins.startswith(magic)), None)


def open_media(path: str) -> "InputContainer":
    """Open a media file with nothing but whitelisted demuxers and the `file` protocol.

    FFmpeg compares the format's name with the whitelist before it reads the header, so a `concat` script never gets to open
    the files it names. Headers of very many names or parts take it long to read; the process that does so for longer than
    `MAX_OPEN_SECONDS` is ended, which `Child` tells.

    Raises:
        ClipError: `unreadable`, `unsupported` (another kind of file) or `corrupt`.
    """
    require_local_file(path)
    if Path(path).stat().st_size == 0:
        raise ClipError(Status.CORRUPT, "the file is empty")
    compute_at_most(MAX_OPEN_SECONDS)
    try:
        container: InputContainer = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise ClipError(Status.UNSUPPORTED, f"not a format that vidfer reads{_CONVERT}") from error
    except av.error.FFmpegError as error:
        reraise_memory(error)
        with Path(path).open("rb") as file:
            if _is_text(file.read(4096)):
                raise ClipError(Status.UNSUPPORTED, "a text, not a video") from error
        raise ClipError(Status.CORRUPT, f"cannot be opened: {reason_of(error)}") from error
    finally:
        compute_at_most(0)
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        container.close()
        raise ClipError(Status.UNSUPPORTED, f"a HEIC or AVIF picture{_CONVERT}")
    if not container.streams.video and not container.streams.audio:
        container.close()
        raise ClipError(Status.CORRUPT, "holds no stream of pictures or sound")
    return container


def reason_of(error: "av.error.FFmpegError") -> str | None:
    """Say why FFmpeg failed: a size that cannot be is no want of memory."""
    return "a size in it cannot be" if isinstance(error, MemoryError) else error.strerror


def size_beyond(path: str) -> tuple[int, int] | None:
    """Return width and height of pictures that FFmpeg refused as too large when the file was opened; None if it did not.

    It forgets the size then, and tells it in words alone.
    """
    with av.logging.Capture() as said:
        av.logging.set_level(av.logging.ERROR)
        try:
            open_media(path).close()
        finally:
            av.logging.set_level(None)
    found = re.search(r"Picture size (\d+)x(\d+)", " ".join(text for _, _, text in said))
    return (int(found[1]), int(found[2])) if found else None


def _is_text(begins: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters; the last character may be cut."""
    try:
        return _NO_TEXT.isdisjoint(getincrementaldecoder("utf-8")().decode(begins))
    except UnicodeDecodeError:
        return False


def reraise_memory(error: Exception) -> None:
    """Let a failed allocation through where damaged data are being forgiven.

    FFmpeg also reports one where a file names an absurd size: that is damage, and memory is not short.
    """
    if isinstance(error, MemoryError) and starved():
        raise error


def beyond(time: float) -> str:
    """Say, as a predicate, that a time in s is no time of a clip; nothing if it may be one."""
    return f"jumps to {time / 3600:.0f} h in its time stamps" if abs(time) > MAX_CLIP_SECONDS else ""


def choose(streams: "Sequence[_Stream]") -> "tuple[_Stream | None, str]":
    """Return the track that a player would take, if there is one, and a sentence about the choice, if there was a choice.

    That is the one flagged as default, else the first; cover art is no track. Of others, one for the blind, for the deaf or with
    a comment comes after those without, and an unknown codec last.
    """
    kinds = av.stream.Disposition
    beside = kinds.comment | kinds.hearing_impaired | kinds.visual_impaired | kinds.karaoke | kinds.timed_thumbnails
    tracks = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if not tracks:
        return None, ""
    flagged = [bool(stream.disposition & av.stream.Disposition.default) for stream in tracks]
    order = [
        (not stream.codec_context, not default, bool(stream.disposition & beside))
        for stream, default in zip(tracks, flagged, strict=True)
    ]
    number = order.index(min(order))
    if len(tracks) == 1:
        return tracks[0], ""
    reason = "the one flagged as default" if flagged[number] and sum(flagged) == 1 else "the first that a player takes"
    language = f" (language {spoken})" if (spoken := getattr(tracks[number], "language", None)) else ""
    return tracks[number], f"of {len(tracks)} {tracks[0].type} tracks, number {number + 1} is used: {reason}{language}"


def both_tracks(container: "InputContainer") -> "list[VideoStream | AudioStream]":
    """Return the tracks of pictures and of sound that are used, as far as there are any."""
    tracks = [choose(container.streams.video)[0], choose(container.streams.audio)[0]]
    return [track for track in tracks if track is not None]


def frame_rate(container: "InputContainer", stream: "VideoStream") -> "tuple[Fraction | None, str]":
    """Return the average frame rate in Hz, and what is to be said of it: that it is assumed."""
    if container.format.name not in _RAW:
        average, base = stream.average_rate, stream.base_rate
        if average and base and average > 2 * base:  # FFmpeg takes the unit of a DV file's time stamps for its rate
            return stream.guessed_rate, ""
        return average, ""
    known: Fraction | None = stream.codec_context.framerate if stream.codec_context else None
    note = "the stream has neither time stamps nor a frame rate: 25 frames a second are assumed"
    return (known, "") if known else (Fraction(25), note)


def describe(container: "InputContainer", path: str) -> dict[str, Any]:
    """Return the fields of `vidfer.media.decode.Probe` as plain values, without decoding."""
    video, video_note = choose(container.streams.video)
    audio, audio_note = choose(container.streams.audio)
    edited = container.format.name.startswith("mov") and has_edits(path)
    fields: dict[str, Any] = {
        "container": container.format.name,
        "duration": container.duration / 1e6 if container.duration else None,
        "recorded": recorded_at(container.metadata),
    }
    if video:
        rate, rate_note = frame_rate(container, video)
        order = getattr(video.codec_context, "field_order", None)
        fields["video"] = {
            **_codec(video, codec="name", pix_fmt="pix_fmt", width="width", height="height"),
            "rotation": None,
            "fps": float(rate) if rate else None,
            "interlaced": None if order is None else int(order) > 1,
            "edit_list": edited,
            "choice": "; ".join(filter(None, [video_note, rate_note])),
        }
    if audio:
        names = _codec(audio, codec="name", sampling_rate="sample_rate", channels="channels")
        fields["audio"] = {**names, "choice": audio_note}
    return fields


def recorded_at(metadata: Mapping[str, str]) -> str | None:
    """Return when a recording was made, as ISO 8601 in UTC; cameras without a clock write the year 1904 or 1970."""
    for name in ("creation_time", "com.apple.quicktime.creationdate"):
        try:
            time = datetime.fromisoformat(metadata.get(name, ""))
        except ValueError:
            continue
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        if 1970 < time.year < 9999:  # in the last hours of 9999 other zones have no date any more
            return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None


def _codec(stream: "VideoStream | AudioStream", **names: str) -> dict[str, Any]:
    """Return attributes of a stream's codec by our names for them; None where the codec is not known."""
    return {ours: getattr(stream.codec_context, name, None) for ours, name in names.items()}


def origin(container: "InputContainer") -> float:
    """Return the stamp in s at which the pictures or the sound that are used begin: other streams are not counted."""
    starts = [
        seconds(track.start_time, track.time_base)
        for track in both_tracks(container)
        if track.start_time is not None and track.time_base
    ]
    if not starts:
        return (container.start_time or 0) / 1e6
    return round(min(unwrapped(start, min(starts), container.format.name) for start in starts), 6)
