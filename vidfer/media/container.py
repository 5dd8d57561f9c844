"""What the child processes share: one local media file, opened safely, and one of its streams with its presentation times."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import av

from vidfer.media.child import require_local_file
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_Stream = TypeVar("_Stream", "VideoStream", "AudioStream")

_FORMATS: Final = (  # demuxers that read one file and nothing else: no stills, texts, playlists or `concat` scripts
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,m4v,asf,gif,ogg,mxf,dv,nut,ivf,yuv4mpegpipe,"
    "wav,w64,flac,mp3,aac,aiff,caf,amr,au"
)
_STILL_BRANDS: Final = frozenset({"heic", "heix", "heim", "heis", "mif1", "avif"})
_TEXT: Final = frozenset({*b"\t\n\r\f", *range(32, 128)})
_RESTART: Final = 1.0  # s; smaller steps back are a writer's slips
_ANNOUNCE_DURATION: Final = ("mov", "matroska", "avi", "flv", "asf", "wav", "flac")


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
        container = _open(path)
    except av.error.ArgumentError as error:
        raise ClipError(Status.UNSUPPORTED, "not a video or sound format that vidfer reads") from error
    except av.error.FFmpegError as error:
        reraise_memory(error)
        with Path(path).open("rb") as file:
            if _TEXT.issuperset(file.read(4096)):
                raise ClipError(Status.UNSUPPORTED, "a text, not a video") from error
        raise ClipError(Status.CORRUPT, f"cannot be opened: {error.strerror}") from error
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        container.close()
        raise ClipError(Status.UNSUPPORTED, "a still image, not a video")
    if not container.streams.video and not container.streams.audio:
        container.close()
        raise ClipError(Status.CORRUPT, "holds no stream of pictures or sound")
    return container


def _open(path: str, **options: str) -> "InputContainer":
    options |= {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    return av.open(f"file:{path}", options=options, metadata_errors="replace")


def reraise_memory(error: Exception) -> None:
    """Let a failed allocation through where damaged data are being forgiven."""
    if isinstance(error, MemoryError):
        raise error


def choose(streams: "Sequence[_Stream]") -> "tuple[_Stream | None, str]":
    """Return the track that a player would take, if there is one, and a sentence about the choice, if there was a choice.

    That is the one flagged as default, else the first; cover art is no track, and an unknown codec comes last.
    """
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
    fields: dict[str, Any] = {
        "container": container.format.name,
        "duration": container.duration / 1e6 if container.duration else None,
        "video": None,
        "audio": None,
    }
    if video:
        codec, rate = video.codec_context, video.average_rate
        fields["video"] = {
            "codec": codec.name if codec else None,
            **{name: getattr(codec, name, None) for name in ("pix_fmt", "width", "height")},
            "rotation": None,
            "fps": float(rate) if rate else None,
            "interlaced": int(codec.field_order) > 1 if codec else None,
            "edit_list": container.format.name.startswith("mov") and _has_edit_list(container, path),
            "choice": video_note,
        }
    if audio:
        sound = audio.codec_context
        fields["audio"] = {
            "codec": sound.name if sound else None,
            "sampling_rate": sound.sample_rate if sound else None,
            "channels": sound.channels if sound else None,
            "choice": audio_note,
        }
    return fields


def _has_edit_list(container: "InputContainer", path: str) -> bool:
    """Whether an MP4 or QuickTime file's edit lists change its time line."""
    with _open(path, ignore_editlist="1") as plain:
        edited, unedited = (
            [
                (
                    each.start_time,
                    each.duration,
                    len(each.index_entries),
                    [entry.timestamp for entry in each.index_entries[:1]],
                )
                for each in opened.streams
            ]
            for opened in (container, plain)
        )
    return edited != unedited


class Clock:
    """Turn a stream's time stamps into seconds from the start of the file.

    Args:
        container, stream: The open file and one of its streams.
        step: Seconds between frames that carry neither a stamp nor a duration.
    """

    def __init__(self, container: "InputContainer", stream: Any, step: float) -> None:  # noqa: ANN401 - any kind of stream
        self.base: Fraction = stream.time_base or Fraction(1, 1000)
        self._origin = (container.start_time or 0) / 1e6
        self._container, self._stream, self._step = container, stream, step
        self._last: float | None = None
        self._length = self._end = self._read_to = self._shift = 0.0

    def read(self, packet: Any, *, repeats: bool) -> None:  # noqa: ANN401 - packet of any kind of stream
        """Note how far the file could be read, in whatever stream; `repeats` says that a packet shows the last frame again."""
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._origin
            self._read_to = max(self._read_to, end)
            if repeats:
                self._end = max(self._end, end)

    def time(self, pts: int | None, length: float) -> float:
        """Return when a frame is presented, in s, by its stamp and its duration in s (0 if unknown).

        A frame without a stamp follows its predecessor. Where recordings were joined without care, stamps start anew in the
        middle: time goes on from the last frame.
        """
        follows = 0.0 if self._last is None else self._last + self._length
        seconds = follows
        if pts is not None:
            seconds = round(float(pts * self.base) - self._origin, 6) + self._shift  # the origin is known to 1e-6 s
            if self._last is not None and seconds < self._last - _RESTART:
                self._shift += follows - seconds
                seconds = follows
        self._length = length or self._step
        gap = 0.0 if self._last is None else seconds - self._last
        self._last, self._end = seconds, max(self._end, seconds + max(self._length, gap))
        return seconds

    def missing(self, *, whole: bool) -> float:
        """Return how many seconds the file announces clearly beyond what it holds, else 0.

        Clearly means more than 0.5 s and 5 %: players differ about the last frame, and writers round. `whole` says that the
        packets of all streams went through `read`, so that the container's duration can be judged.
        """
        if not self._container.format.name.startswith(_ANNOUNCE_DURATION):
            return 0.0
        gaps = []
        if self._stream.duration and self._stream.start_time is not None:
            announced = float((self._stream.start_time + self._stream.duration) * self.base) - self._origin
            gaps.append((announced - self._end, announced))
        if whole and self._container.duration:
            announced = self._container.duration / 1e6
            gaps.append((announced - max(self._read_to, self._end), announced))
        return max((gap for gap, announced in gaps if gap > max(0.5, 0.05 * announced)), default=0.0)


class Reader:
    """Decode one stream of an open file.

    Packets that do not decode are skipped, and those before the first frame are not counted: a recording may start between key
    frames. A packet without data says that the last frame is shown again, and gives no frame.

    Args:
        container, stream, step: As for `Clock`.
        patience: Packets in a row that do not decode, after which the rest is given up.
        whole: Whether the packets of the other streams are read too, to judge whether the file is complete.
    """

    def __init__(
        self,
        container: "InputContainer",
        stream: Any,  # noqa: ANN401 - any kind of stream
        *,
        step: float = 0.0,
        patience: float = float("inf"),
        whole: bool,
    ) -> None:
        self._container, self._stream, self._patience = container, stream, patience
        self._streams = () if whole else (stream,)
        self._whole = whole or len(container.streams) == 1
        self.clock = Clock(container, stream, step)
        self.damage = ""
        """What is the matter with the stream, as a predicate; known when `frames` has ended."""

    def frames(self) -> Iterator[Any]:
        """Yield what decodes, in presentation order; each has to go through `clock.time` before the next."""
        seen = bad = in_row = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_memory(error)
                in_row, bad = in_row + 1, bad + (seen > 0)
                if in_row >= self._patience:
                    break
                continue
            in_row = 0
            seen += len(frames)
            yield from frames
        if bad and not self.damage:
            self.damage = f"is damaged: {bad} packets do not decode"
        if not self.damage and (gap := self.clock.missing(whole=self._whole)):
            self.damage = f"breaks off {gap:.1f} s before its announced end"

    def _packets(self) -> Iterator[Any]:
        """Yield the stream's packets; the stream's own index counts, since the last packet of each stream has none."""
        try:
            for packet in self._container.demux(*self._streams):
                ours = packet.stream.index == self._stream.index
                repeats = ours and not packet.size and (packet.pts is not None or packet.dts is not None)
                self.clock.read(packet, repeats=repeats)
                if ours and not repeats:
                    yield packet
        except av.error.FFmpegError as error:
            reraise_memory(error)
            self.damage = f"is damaged: {error.strerror}"
