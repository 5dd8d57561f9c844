"""One process at a time: a file that is locked while a block runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidfer.pipeline.system import WINDOWS, lock_file


@contextmanager
def locked(path: Path, *, remove: bool = False) -> Iterator[int]:
    """Wait until no other process has locked a file, made with its folder if need be, and lend the lock, a file descriptor.

    A process that ends in any way gives its lock back. `remove` leaves no file behind.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            lock_file(lock)
            if _is_at(lock, path):  # and was not removed, alone or with its folder, by who had it before
                try:
                    yield lock
                finally:
                    if remove and not WINDOWS and _is_at(lock, path):
                        _remove(path)
                return
        finally:
            os.close(lock)
            if remove and WINDOWS:  # which leaves it where it is if another process has opened it
                _remove(path)


def is_locked(path: Path) -> bool:
    """Tell whether a process, this one included, has locked a file that exists."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        lock_file(handle, wait=False)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _is_at(handle: int, path: Path) -> bool:
    try:
        return WINDOWS or os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
