"""Kinds of clips by name, and copies of a clip that differ in nothing but their bytes."""

import importlib
import pkgutil
import shutil
import struct
from pathlib import Path

from tests.faults import clips
from tests.faults.clips import Kind


def every_kind() -> dict[str, Kind]:
    """All kinds of all modules of this folder, by name."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(clips.__path__, f"{clips.__name__}."):
        for kind in getattr(importlib.import_module(module.name), "KINDS", ()):
            assert kind.name not in found, f"two kinds are called {kind.name}"
            found[kind.name] = kind
    return found


def write_copy(clip: Path, target: Path, number: int) -> None:
    """Copy a clip, with a note of the number behind its end where its format has a place for that, which readers skip."""
    if clip.is_dir():
        shutil.copytree(clip, target)
        return
    content = clip.read_bytes()
    target.write_bytes(content + _note(content, f"copy {number:08}".encode()))


def _note(content: bytes, text: bytes) -> bytes:
    if _ends_whole(content, _box):
        return struct.pack(">I4s", 8 + len(text), b"free") + text
    riff = content[:4] == b"RIFF" and len(content) == 8 + struct.unpack("<I", content[4:8])[0]
    if riff and b"data" + bytes(4) not in content:  # sound of no size goes on to the end of the file
        return struct.pack("<4sI", b"JUNK", len(text)) + text + bytes(len(text) % 2)
    if content[:4] == b"\x1a\x45\xdf\xa3" and _ends_whole(content, _element):
        return bytes([0xEC, 0x80 | len(text)]) + text
    return b""


def _ends_whole(content: bytes, measure) -> bool:
    """Whether parts, each as long as `measure` says, end exactly where the content does."""
    at = parts = 0
    while at < len(content):
        length = measure(content, at)
        if length is None or length < 2:
            return False
        at, parts = at + length, parts + 1
    return at == len(content) and parts > 1


def _box(content: bytes, at: int) -> int | None:
    """Length of the box of MP4 that begins there."""
    head = content[at : at + 8]
    if len(head) < 8 or not head[4:].isalnum():
        return None
    return int.from_bytes(head[:4]) if int.from_bytes(head[:4]) >= 8 else None


def _element(content: bytes, at: int) -> int | None:
    """Length of the element of Matroska that begins there, of a known size."""
    for number in range(2):
        lead = content[at] if at < len(content) else 0
        width = 9 - lead.bit_length()
        if not lead or at + width > len(content):
            return None
        value = int.from_bytes(content[at : at + width]) & ((1 << 7 * width) - 1)
        at += width
        if number == 0:
            first = width
    return None if value == (1 << 7 * width) - 1 else first + width + value
