"""What the child processes share: one local media file, opened safely, and one of its streams with its presentation times."""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import av

from vidfer.limits import MAX_CLIP_SECONDS, MAX_PIXELS
from vidfer.media.announced import announced_end, clearly_missing
from vidfer.media.boxes import has_edits
from vidfer.media.child import require_local_file
from vidfer.media.timeline import RESTART, SLIP, TimeLine, seconds, unwrapped
from vidfer.pipeline.system import starved
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

_SOONEST: Final = 1e-6  # s from one picture to the next, the resolution of times


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
    the files it names.

    Raises:
        ClipError: `unreadable`, `unsupported` (another kind of file) or `corrupt`.
    """
    require_local_file(path)
    if Path(path).stat().st_size == 0:
        raise ClipError(Status.CORRUPT, "the file is empty")
    try:
        container: InputContainer = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise ClipError(Status.UNSUPPORTED, f"not a format that vidfer reads{_CONVERT}") from error
    except av.error.FFmpegError as error:
        reraise_memory(error)
        with Path(path).open("rb") as file:
            if _is_text(file.read(4096)):
                raise ClipError(Status.UNSUPPORTED, "a text, not a video") from error
        raise ClipError(Status.CORRUPT, f"cannot be opened: {_reason(error)}") from error
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        container.close()
        raise ClipError(Status.UNSUPPORTED, f"a HEIC or AVIF picture{_CONVERT}")
    if not container.streams.video and not container.streams.audio:
        container.close()
        raise ClipError(Status.CORRUPT, "holds no stream of pictures or sound")
    return container


def _reason(error: "av.error.FFmpegError") -> str | None:
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
        return stream.average_rate, ""
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


class Clock:
    """Turn a stream's time stamps into seconds from the start of the file.

    Frames that carry neither a stamp nor a duration lie `step` s apart.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream | AudioStream", step: float) -> None:
        self.base: Fraction = stream.time_base or Fraction(1, 1000)
        self._origin = origin(container)
        self._container, self._stream, self._step = container, stream, step
        self._last: float | None = None  # time of the last frame
        self._raw = 0.0  # its stamp, without any shift
        self._length = self._end = self._read_to = self._shift = 0.0
        self._restarts = 0
        self.repeated_to = 0.0
        """When the last packet is over, in s, that says that a frame is shown again."""
        self._line: TimeLine | None = None

    def read(self, packet: Any, *, repeats: bool) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Note how far the file could be read, in whatever stream; `repeats` says that a packet shows the last frame again."""
        pts, base = packet.pts, packet.time_base
        if pts is not None and base is not None:
            end = seconds(pts + (packet.duration or 0), base) - self._origin
            self._read_to = max(self._read_to, end)
            if repeats:
                self.repeated_to = max(self.repeated_to, end)
                self._end = max(self._end, end)

    def time(self, pts: int | None, length: float) -> float:
        """Return when a frame is presented, in s, by its stamp and its duration in s (0 if unknown).

        A frame without a stamp follows its predecessor. Where recordings were joined without care, stamps start anew in the
        middle: time goes on from the last frame of pictures or sound, whichever is later, for both alike. Pictures never come at
        the same time, nor before the one that was there.
        """
        follows = 0.0 if self._last is None else self._last + self._length
        shown = follows
        if pts is not None:
            stamp = unwrapped(seconds(pts, self.base) - self._origin, self._raw, self._container.format.name)
            stamp = round(stamp, 6)  # the origin is known to 1e-6 s
            if self._last is not None and stamp + self._shift < min(self._last, follows - SLIP):
                self._shift = self._shift_anew(stamp, follows - stamp)
            self._raw, shown = stamp, stamp + self._shift
        if self._stream.type == "video":  # a stamp may even go back before the one that the file names as its first
            shown = max(shown, 0.0 if self._last is None else self._last + _SOONEST)
        self._length = length or self._step
        gap = 0.0 if self._last is None else shown - self._last
        self._last, self._end = shown, max(self._end, shown + max(self._length, gap))
        return shown

    def _shift_anew(self, stamp: float, least: float) -> float:
        """Return what stamps are shifted by from one on that steps back: by `least` s at least if they start anew there."""
        if self._line is None:
            with open_media(self._container.name.removeprefix("file:")) as again:
                self._line = TimeLine.scan(again, both_tracks(again))
        number = self._line.restart(self._stream.index, stamp + self._origin, self._restarts)
        if number is None and least - self._shift <= RESTART:
            return self._shift
        self._restarts = number or self._restarts + 1
        shift = self._line.shift(self._restarts)
        return least if shift is None or shift < least - RESTART else shift

    def missing(self, *, whole: bool) -> float:
        """Return how many seconds the file announces clearly beyond what it holds, else 0.

        `whole` says that the packets of all streams went through `read`, so that the file's length can be judged.
        """
        ends = announced_end(self._container, self._stream, self._origin)
        read_to = max(self._read_to, self._end)
        gaps = [clearly_missing(end, self._end if ours else read_to) for end, ours in ends if ours or whole]
        return max(gaps, default=0.0)


class Reader:
    """Decode one stream of an open file.

    Packets that do not decode are skipped, and those before the first frame are not counted: a recording may start between key
    frames. A packet without data says that the last frame is shown again, and gives no frame.

    After `patience` packets in a row that do not decode, the rest is given up. `whole` says that the packets of the other streams
    are read too, to judge whether the file is complete. `line` is shown the packets of pictures and sound.
    """

    def __init__(
        self,
        container: "InputContainer",
        stream: "VideoStream | AudioStream",
        *,
        step: float = 0.0,
        patience: float = float("inf"),
        whole: bool,
        line: TimeLine | None = None,
    ) -> None:
        self._container, self._stream, self._patience, self._whole = container, stream, patience, whole
        self._line = line
        self.clock = Clock(container, stream, step)
        self.damage = ""
        """What is the matter with the stream, as a predicate; known when `frames` has ended."""

    def frames(self) -> Iterator[Any]:
        """Yield what decodes, in presentation order; each has to go through `clock.time` before the next."""
        seen = bad = early = in_row = 0
        for packet in self.packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_memory(error)
                in_row, bad, early = in_row + 1, bad + (seen > 0), early + (seen == 0)
                if in_row >= self._patience:
                    break
                continue
            in_row = 0
            seen += len(frames)
            yield from frames
        self.judge(bad if seen else early)

    def judge(self, bad: int) -> None:
        """Say what is the matter, once everything was read, by the number of packets that did not decode."""
        said = [self.damage] if self.damage else []
        if bad and not said:
            said.append(f"is damaged: {bad} packets do not decode")
        whole = self._whole or len(self._container.streams) == 1
        if gap := self.clock.missing(whole=whole):
            said.append(f"breaks off {gap:.1f} s before its announced end")
        self.damage = " and ".join(said)

    def packets(self) -> Iterator[Any]:
        """Yield the stream's packets; the stream's own index counts, since the last packet of each stream has none."""
        try:
            others = both_tracks(self._container) if self._line else [self._stream]
            for packet in self._container.demux(*([] if self._whole else others)):
                if self._line:
                    self._line.watch(packet)
                ours = packet.stream.index == self._stream.index
                repeats = ours and not packet.size and (packet.pts is not None or packet.dts is not None)
                self.clock.read(packet, repeats=repeats)
                if ours and not repeats:
                    yield packet
        except av.error.FFmpegError as error:
            reraise_memory(error)
            self.damage = f"is damaged: {_reason(error)}"
