"""Files of a few seconds whose headers hold very many names, each another, which FFmpeg compares with all before it."""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.faults.odd.films import element, film
from tests.faults.odd.sizes import ONE, mkv, pictures


def _sets_of_tags(folder: Path, count: int) -> Path:
    """Each set has the names of the file converted anew, all that were read before."""
    sets = [element(0x7373, element(0x63C0), _tag(number)) for number in range(count)]
    return _mkv(folder, *sets)


def _tags(folder: Path, count: int) -> Path:
    return _mkv(folder, element(0x7373, element(0x63C0), *map(_tag, range(count))))


def _tag(number: int) -> bytes:
    return element(0x67C8, element(0x45A3, b"K%d" % number), element(0x4487, b"v"))


def _mkv(folder: Path, *sets: bytes) -> Path:
    (folder / "tags.mkv").write_bytes(mkv([pictures(1)], ONE, more=element(0x1254C367, *sets)))
    return folder / "tags.mkv"


def _id3(folder: Path, count: int) -> Path:
    frames = b"".join(
        b"TXXX" + struct.pack(">IH", len(text), 0) + text for text in (b"\0K%d\0v" % number for number in range(count))
    )
    size = bytes(len(frames) >> shift & 127 for shift in (21, 14, 7, 0))
    (folder / "id3.mp3").write_bytes(b"ID3\x03\0\0" + size + frames + (b"\xff\xfb\x90\x64" + bytes(413)) * 40)
    return folder / "id3.mp3"


def _comments(folder: Path, count: int) -> Path:
    """Vorbis comments, which FLAC and Ogg have alike."""
    texts = [b"K%d=v" % number for number in range(count)]
    comments = b"".join(struct.pack("<I", len(text)) + text for text in (b"v", *texts))
    comments = comments[:5] + struct.pack("<I", count) + comments[5:]
    rate = ((44_100 << 44) | (1 << 41) | (15 << 36)).to_bytes(8)
    stream = struct.pack(">HH", 4096, 4096) + bytes(6) + rate + bytes(16)
    head = b"fLaC\0" + (34).to_bytes(3) + stream + b"\x84" + len(comments).to_bytes(3) + comments
    (folder / "comments.flac").write_bytes(head + bytes(1000))
    return folder / "comments.flac"


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def _keys(folder: Path, count: int) -> Path:
    """QuickTime's metadata of any names, at the end of the `moov` box."""
    path = film(folder / "keys.mp4")
    data = path.read_bytes()
    begin = data.rfind(b"moov") - 4
    (size,) = struct.unpack_from(">I", data, begin)
    keys = _box(b"keys", bytes(4), struct.pack(">I", count), *(_box(b"mdta", b"K%d" % at) for at in range(count)))
    value = _box(b"data", struct.pack(">II", 1, 0), b"v")
    values = _box(b"ilst", *(_box(struct.pack(">I", at + 1), value) for at in range(count)))
    meta = _box(b"meta", _box(b"hdlr", bytes(8), b"mdta", bytes(13)), keys, values)
    moov = struct.pack(">I", size + len(meta)) + data[begin + 4 : begin + size] + meta
    path.write_bytes(data[:begin] + moov + data[begin + size :])
    return path


HEADERS: dict[str, tuple[Callable[[Path, int], Path], int, int]] = {
    "sets of tags": (_sets_of_tags, 1000, 6000),
    "tags": (_tags, 12_000, 100_000),
    "id3": (_id3, 12_000, 60_000),
    "comments": (_comments, 12_000, 100_000),
    "keys": (_keys, 15_000, 100_000),
}
"""Of each kind what writes it, how many names take some tenths of a second, and how many take longer than they may."""
