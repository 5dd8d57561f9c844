"""The clips that paths stand for: files as they are, and of folders what holds videos, pictures or sound."""

import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidfer.pipeline.numbered import PICTURES, numbered_pictures
from vidfer.pipeline.paths import identity, is_file, is_folder, is_link, real
from vidfer.types import ClipError, UsageError

Clip = tuple[Path, Path]
"""A clip's file, or its folder of numbered pictures, and the name of its place under the output folder."""

SUFFIXES: Final = (
    *("mp4", "m4v", "mov", "qt", "3gp", "3g2", "mkv", "webm", "avi", "flv", "mpg", "mpeg", "vob", "m2ts", "mts", "wmv"),
    *("asf", "ogv", "ogg", "mxf", "dv", "nut", "ivf", "y4m"),
    *("h264", "264", "avc", "h265", "265", "hevc", "mjpg", "mjpeg"),
    *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif"),
    *("wav", "w64", "flac", "mp3", "aac", "m4a", "wma", "aif", "aiff", "caf", "amr", "au", "oga", "opus"),
)
"""How names of media end, without the dot, in small letters."""

_NAMED: Final = re.compile(rf".*\.({'|'.join(SUFFIXES)})", re.IGNORECASE | re.DOTALL)
"""Names of media: such a file is a clip whatever is in it, so that a damaged one is reported."""

_BEGINS: Final = re.compile(
    rb"""
    (\0.{3}(ftyp|wide|skip|free|pnot)|.{4}(moov|mdat))(?!he[iv][cxms]|mif1|msf1|avi[fs])  # MP4, QuickTime, but no HEIC, AVIF
    |(RIFF|RF64|FORM).{4}(AVI\ |WAVE|AIFF|AIFC|WEBP)
    |\0\0\0\x01[\x09\x27\x47\x67\x40\x46]                                           # H.264 and H.265 as such
    |\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8
    |G.{187}G.{187}G|.{4}G.{191}G.{191}G                                         # MPEG transport streams, of Blu-ray too
    |.{1,187}?G(.{187}G){19}                                                     # and recordings that begin within a packet
    |\x1a\x45\xdf\xa3|FLV\x01|OggS\0|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x06\x0e\x2b\x34|DKIF\0\0|YUV4MPEG2[ ]
    |nut/multimedia\ container\0|\0\0\x01[\xba\xb3]|\x1f\x07\0|riff\x2e\x91\xcf\x11
    |fLaC[\0\x80]|ID3[\2-\4]|\xff[\xf1\xf2\xf3\xf9\xfa\xfb]|caff\0[\1\2]|\#!AMR(-WB)?\n|\.snd\0
    """,
    re.DOTALL | re.VERBOSE,
)
"""How files begin that hold pictures or sound, with bytes that no text has where letters alone could begin one."""


_RESULTS: Final = ("summary.json", "frames.parquet")
"""Files that tell a clip's results, whose pictures are no clips."""

_HINTS: Final = {".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff", ".jxl", ".jp2"}
"""Pictures that are not read."""


def find_clips(
    paths: Sequence[Path],
    leave_out: Collection[Path] = (),
    notify: Callable[[str], None] | None = None,
    picture_fps: float | None = None,
) -> list[Clip]:
    """List the clips that paths stand for, hidden files and folders left out.

    With `picture_fps`, a folder whose pictures are one series of numbered frames is a clip; where they are no series, `notify`
    is told why, and each is a clip of its own, as without `picture_fps`.

    A clip's place is named after the path given and the file below it; clips of the same name share one. A file that is named is
    a clip whatever it holds, so that it gets a status. Of a folder's files, those that neither are named like media nor begin
    like media are passed over, with one line to `notify`; so are, silently, files and folders in `leave_out`, and
    folders of a clip's results, plots of comparisons, and folders in folders that are links.

    Raises:
        UsageError: A path does not exist, or there is no clip.
    """
    if missing := [path for path in paths if _is_missing(path)]:
        raise UsageError(f"there is no {', no '.join(map(str, missing))}")
    own = {real(folder) for folder in leave_out}
    series = _Series(picture_fps is not None, notify or (lambda _: None))
    clips: dict[Path, Clip] = {}
    other: dict[Path, str] = {}
    for path in paths:
        base = Path(real(path).name or "root")
        for file in _files(path, own, series):
            place = identity(file)
            if place in clips:
                continue
            if file != path and not is_folder(file) and not _may_be_media(file):
                other[place] = file.suffix.lower() or "without suffix"
                continue
            clips[place] = (file, base if file == path else base / file.relative_to(path))
    note = _passed_over(Counter(suffix for file, suffix in other.items() if file not in clips))
    if not clips:
        raise UsageError(
            f"{', '.join(map(str, paths))}: no videos, pictures or sound files there" + (f"; {note}" if note else "")
        )
    if note and notify:
        notify(note)
    return list(clips.values())


def _passed_over(suffixes: Counter[str]) -> str:
    total = suffixes.total()
    kinds = ", ".join(f"{times} {suffix}" for suffix, times in suffixes.most_common(5))
    more = ", ..." if len(suffixes) > 5 else ""
    subject = "file that is no media was" if total == 1 else "files that are no media were"
    remedy = "; save the pictures as PNG, JPEG or WebP" if _HINTS & suffixes.keys() else ""
    return f"{total} {subject} passed over: {kinds}{more}{remedy}" if total else ""


def _is_missing(path: Path) -> bool:
    """Tell whether nothing is there; what cannot be looked at, such as in a closed folder, may be."""
    try:
        path.stat()
    except PermissionError:
        return False
    except (OSError, ValueError):  # also a name that no file can have
        return True
    return False


@dataclass(frozen=True)
class _Series:
    """Whether folders of numbered pictures are clips, and whom to tell that one is not."""

    wanted: bool
    notify: Callable[[str], None]

    def is_one(self, folder: Path, inside: Collection[Path]) -> bool:
        if not self.wanted or not any(entry.suffix.lower() in PICTURES and entry.name[0] != "." for entry in inside):
            return False
        try:
            numbered_pictures(folder)
        except ClipError as error:
            self.notify(f"{error.message}: each picture is a clip")
            return False
        return True


def _files(path: Path, own: set[Path], series: _Series) -> Iterator[Path]:
    """Yield the files of a folder; folders in it that are links are passed over, since they may lead in a circle."""
    try:
        inside = sorted(path.iterdir()) if is_folder(path) else None
    except OSError:  # a closed folder: reported as unreadable
        inside = None
    if inside is None:
        yield path
        return
    if {*_RESULTS} <= {entry.name for entry in inside}:
        return
    one = series.is_one(path, inside)
    if one:
        yield path
    for entry in inside:
        if entry.name.startswith(".") or real(entry) in own or (one and entry.suffix.lower() in PICTURES):
            continue
        if (is_link(entry) and is_folder(entry)) or _is_plot(entry):
            continue
        yield from _files(entry, own, series)


def _is_plot(file: Path) -> bool:
    """Tell whether a picture is one of those that `vidfer compare` writes beside its text."""
    return file.name.startswith("compare_") and file.suffix == ".png" and is_file(file.with_suffix(".md"))


def _may_be_media(file: Path) -> bool:
    """Look at a file's name, and where that says nothing at its first bytes; what cannot be read is reported later."""
    if _NAMED.fullmatch(file.name):
        return True
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return True
        with file.open("rb") as opened:
            return bool(_BEGINS.match(opened.read(4096)))
    except OSError:
        return True
