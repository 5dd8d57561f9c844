"""Large payloads of a child process in memory that the parent sees, too, instead of a pipe that copies them twice.

The memory is a file without a name, see `shared_file`.
"""

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Final

_SMALL: Final = 1 << 16  # bytes; less is as quick through the pipe
_LARGE: Final = 1 << 25  # bytes; more, such as frames of 8K, would hold too much memory
_SLOTS: Final = 4
_HELD: Final = (
    2  # slots that the caller may keep, such as this frame and the last one, so that the child goes on meanwhile
)
_FREED: Final = b"freed "


class SlotWriter:
    """The child's end: places payloads in a few slots of the shared file, so that it works ahead of the parent by so many.

    Args:
        file: Descriptor of the shared file; None where there is none.
        lines: Where the parent says which slots are free again.
    """

    def __init__(self, file: int | None, lines: Iterator[bytes]) -> None:
        self._file, self._lines = file, lines
        self._start = self._size = 0  # of the slots in the file
        self._free: list[int] = []
        self._map: mmap.mmap | None = None

    def place(self, payload: memoryview) -> int | None:
        """Copy a payload to the file, as soon as a slot is free, and return where it begins; None if the pipe has to take it."""
        if self._file is None or not _SMALL <= payload.nbytes <= _LARGE:
            return None
        if payload.nbytes > self._size and not self._make(self._file, payload.nbytes):
            self._file = None
            return None
        assert self._map is not None
        while not self._free:
            if not self.freed(next(self._lines, b"")):
                sys.exit(0)  # the parent has gone
        at = self._free.pop()
        self._map[at - self._start : at - self._start + payload.nbytes] = payload.cast("B")
        return at

    def freed(self, line: bytes) -> bool:
        """Whether a line of the parent says that a slot is free; one of those before the present ones is forgotten."""
        if not line.startswith(_FREED):
            return False
        if (at := int(line.removeprefix(_FREED))) >= self._start:
            self._free.append(at)
        return True

    def _make(self, file: int, size: int) -> bool:
        """Make slots for payloads of at least so many bytes, behind those of before, which the parent may still read.

        Returns whether the file may grow so far: a limit on the size of files (`ulimit -f`) is one of these, too.
        """
        self._start = os.fstat(file).st_size
        self._size = max(
            1 << (size - 1).bit_length(), mmap.ALLOCATIONGRANULARITY
        )  # what is not written takes no memory
        try:
            os.ftruncate(file, self._start + _SLOTS * self._size)
        except OSError:
            return False
        try:
            self._map = mmap.mmap(file, _SLOTS * self._size, offset=self._start)
        except OSError as error:  # over the limit of the address space
            raise MemoryError from error
        self._free = [self._start + number * self._size for number in reversed(range(_SLOTS))]
        return True


class SlotReader:
    """The parent's end: shows payloads where they lie, and frees a slot when nothing refers to its payload any more.

    Args:
        file: Descriptor of the shared file.
        pipe: Where to say that a slot is free; it may be closed.
    """

    def __init__(self, file: int, pipe: IO[bytes]) -> None:
        self._file, self._pipe, self._owner = file, pipe, os.getpid()
        self._map: mmap.mmap | None = None
        self._held: set[int] = set()

    def view(self, at: int, size: int) -> memoryview:
        """Return the payload that begins at a place of the file; a copy where the caller holds too many in it already.

        Raises:
            ValueError: There is no such place.
        """
        import weakref

        import numpy as np

        if self._map is None or len(self._map) < at + size:
            try:
                self._map = mmap.mmap(self._file, os.fstat(self._file).st_size)
            except OSError as error:  # no address space is left
                raise MemoryError from error
        block = np.frombuffer(self._map, np.uint8, size, at)
        if len(self._held) >= _HELD:
            block = block.copy()
            self._free(at)
        else:
            self._held.add(at)
            weakref.finalize(block, self._let_go, at).atexit = False
        return block.data

    def _let_go(self, at: int) -> None:
        if os.getpid() != self._owner:  # a fork: the other process may still look at the payload
            return
        self._held.discard(at)
        self._free(at)

    def _free(self, at: int) -> None:
        with suppress(OSError, ValueError):  # the child has ended, or was closed
            self._pipe.write(b"%s%d\n" % (_FREED, at))
