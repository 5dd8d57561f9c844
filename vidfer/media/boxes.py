"""Edit lists of MP4 and QuickTime files, which FFmpeg applies but does not report."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from vidfer.limits import MAX_BOXES

_WAY: Final = (b"moov", b"trak", b"edts", b"elst")
"""Each box lies in the one before."""


def has_edits(path: str) -> bool:
    """Tell whether an edit list does more than start at media time 0."""
    with Path(path).open("rb") as file:
        budget = iter(range(MAX_BOXES))
        return any(map(_rearranges, _payloads(file, 0, Path(path).stat().st_size, _WAY, budget)))


def _payloads(file: BinaryIO, start: int, end: int, way: tuple[bytes, ...], budget: Iterator[int]) -> Iterator[bytes]:
    """Yield the first bytes in every box at the end of a way, looking at as many boxes as there are items in `budget`."""
    while start + 8 <= end and next(budget, None) is not None:
        file.seek(start)
        size, kind, large = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        header = 16 if size == 1 else 8
        size = {0: end - start, 1: large}.get(size, size)
        if size < header:
            return
        if kind == way[0]:
            if len(way) > 1:
                yield from _payloads(file, start + header, min(start + size, end), way[1:], budget)
            else:
                file.seek(start + header)
                yield file.read(min(size - header, 64))
        start += size


def _rearranges(elst: bytes) -> bool:
    count, (at, width) = int.from_bytes(elst[4:8]), (16, 8) if elst[:1] == b"\x01" else (12, 4)
    return count > 1 or (count == 1 and int.from_bytes(elst[at : at + width], signed=True) != 0)
