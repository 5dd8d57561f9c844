"""One process at a time: a file that is locked while a block runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, remove: bool = False) -> Iterator[int]:
    """Wait until no other process has locked a file, made with its folder if need be, and lend the lock, a file descriptor.

    A process that ends in any way gives its lock back. `remove` leaves no file behind.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, path):  # and was not removed, alone or with its folder, by who had it before
                try:
                    yield lock
                finally:
                    if remove and _is_at(lock, path):
                        with suppress(OSError):
                            path.unlink()
                return
        finally:
            os.close(lock)


def is_locked(path: Path) -> bool:
    """Tell whether a process, this one included, has locked a file that exists."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
