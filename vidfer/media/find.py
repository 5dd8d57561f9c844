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

_STARTS: Final = (
    *(b"\x1a\x45\xdf\xa3", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x06\x0e\x2b\x34", b"DKIF"),
    *(
        b"YUV4MPEG2",
        b"nut/multimedia container",
        b"\0\0\x01\xba",
        b"\0\0\x01\xb3",
        b"\x1f\x07\0",
        b"riff\x2e\x91\xcf\x11",
    ),
    *(b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa", b"\xff\xf1", b"\xff\xf9", b"caff", b"#!AMR"),
    b".snd",
)
_STILL_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
_PACKET: Final = 188  # bytes of an MPEG transport stream's packet; on Blu-ray four more before each


def find_clips(
    paths: Sequence[Path], leave_out: Collection[Path] = (), notify: Callable[[str], None] | None = None
) -> list[Clip]:
    """List the clips that paths stand for, hidden files and folders left out.

    A clip's place is named after the path given and the file below it; clips of the same name share one. A file that is
    named is a clip whatever it holds, so that it gets a status; of a folder's files those are passed over that neither
    are named like media nor begin like media.

    Args:
        paths: What the user named.
        leave_out: Folders of vidfer's own, results and store, that may lie inside those named.
        notify: Gets a line about the files passed over, if there are any.

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
    count = suffixes.total()
    kinds = ", ".join(f"{times} {suffix}" for suffix, times in suffixes.most_common(5))
    more = ", ..." if len(suffixes) > 5 else ""
    subject = "file that is no media was" if count == 1 else "files that are no media were"
    return f"{count} {subject} passed over: {kinds}{more}" if count else ""


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
            return _begins_like_media(opened.read(4096))
    except OSError:
        return True


def _begins_like_media(start: bytes) -> bool:
    kind, brand = start[4:8], start[8:12]
    if kind in (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot"):
        return brand not in _STILL_BRANDS
    if start[:4] in (b"RIFF", b"RF64", b"FORM"):
        return brand in (b"AVI ", b"WAVE", b"AIFF", b"AIFC")
    if start[:4] == b"GIF8":
        return b"NETSCAPE2.0" in start  # moving
    packets = any(
        len(start) > at + 2 * step and start[at : at + 2 * step + 1 : step] == b"GGG"
        for at, step in ((0, _PACKET), (4, _PACKET + 4))
    )
    return packets or start.startswith(_STARTS)
