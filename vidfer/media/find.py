"""The clips that paths stand for: files as they are, and of folders what holds pictures or sound."""

import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from vidfer.types import UsageError

Clip = tuple[Path, Path]
"""A clip's file, and the name of its place under the output folder."""

_NAMED: Final = re.compile(
    r".*\.(mp4|m4v|mov|qt|3gp|3g2|mkv|webm|avi|flv|mpg|mpeg|vob|m2ts|mts|wmv|asf|ogv|ogg|mxf|dv|nut|ivf|y4m"
    r"|wav|w64|flac|mp3|aac|m4a|wma|aif|aiff|caf|amr|au|oga|opus)",
    re.IGNORECASE | re.DOTALL,
)
"""Names of media: such a file is a clip whatever is in it, so that a damaged one is reported."""

_BEGINS: Final = re.compile(
    rb"""
    (\0.{3}(ftyp|wide|skip|free|pnot)|.{4}(moov|mdat))(?!heic|heix|heim|heis|mif1|avif)   # MP4, QuickTime, but no stills
    |(RIFF|RF64|FORM).{4}(AVI\ |WAVE|AIFF|AIFC)
    |GIF8(?=.*NETSCAPE2\.0)                                                      # moving
    |G.{187}G.{187}G|.{4}G.{191}G.{191}G                                         # MPEG transport streams, of Blu-ray too
    |\x1a\x45\xdf\xa3|FLV\x01|OggS\0|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x06\x0e\x2b\x34|DKIF\0\0|YUV4MPEG2[ ]
    |nut/multimedia\ container\0|\0\0\x01[\xba\xb3]|\x1f\x07\0|riff\x2e\x91\xcf\x11
    |fLaC[\0\x80]|ID3[\2-\4]|\xff[\xf1\xf2\xf3\xf9\xfa\xfb]|caff\0[\1\2]|\#!AMR(-WB)?\n|\.snd\0
    """,
    re.DOTALL | re.VERBOSE,
)
"""How files begin that hold pictures or sound, with bytes that no text has where letters alone could begin one."""


def find_clips(
    paths: Sequence[Path], leave_out: Collection[Path] = (), notify: Callable[[str], None] | None = None
) -> list[Clip]:
    """List the clips that paths stand for, hidden files and folders left out.

    A clip's place is named after the path given and the file below it; clips of the same name share one. A file that is named is
    a clip whatever it holds, so that it gets a status. Of a folder's files, those that neither are named like media nor begin
    like media are passed over, with one line to `notify`; so are, silently, vidfer's own folders in `leave_out`.

    Raises:
        UsageError: A path does not exist, or there is no clip.
    """
    if missing := [path for path in paths if _is_missing(path)]:
        raise UsageError(f"there is no {', no '.join(map(str, missing))}")
    own = {folder.resolve() for folder in leave_out}
    clips: dict[Path, Clip] = {}
    other: dict[Path, str] = {}
    for path in paths:
        base = Path(path.resolve().name or "root")
        for file in _files(path, own):
            identity = file.parent.resolve() / file.name
            if identity in clips:
                continue
            if file != path and not _may_be_media(file):
                other[identity] = file.suffix.lower() or "without suffix"
                continue
            clips[identity] = (file, base if file == path else base / file.relative_to(path))
    note = _passed_over(Counter(suffix for file, suffix in other.items() if file not in clips))
    if not clips:
        raise UsageError(f"{', '.join(map(str, paths))}: no video or sound files there" + (f"; {note}" if note else ""))
    if note and notify:
        notify(note)
    return list(clips.values())


def _passed_over(suffixes: Counter[str]) -> str:
    total = suffixes.total()
    kinds = ", ".join(f"{times} {suffix}" for suffix, times in suffixes.most_common(5))
    more = ", ..." if len(suffixes) > 5 else ""
    subject = "file that is no media was" if total == 1 else "files that are no media were"
    return f"{total} {subject} passed over: {kinds}{more}" if total else ""


def _is_missing(path: Path) -> bool:
    """Tell whether nothing is there; what cannot be looked at, such as in a closed folder, may be."""
    try:
        path.stat()
    except PermissionError:
        return False
    except (OSError, ValueError):  # also a name that no file can have
        return True
    return False


def _files(path: Path, own: set[Path]) -> Iterator[Path]:
    try:
        inside = sorted(path.iterdir()) if path.is_dir() and not path.is_symlink() else None
    except OSError:  # a closed folder: reported as unreadable
        inside = None
    if inside is None:
        yield path
        return
    for entry in inside:
        if not entry.name.startswith(".") and entry.resolve() not in own:
            yield from _files(entry, own)


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
