"""Temporary folders that hold people's recordings: for this user alone, and gone with the process that has them."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from vidfer.pipeline.lock import is_locked, locked
from vidfer.pipeline.system import is_own

KINDS: Final = ("app", "frames", "camera", "work")
"""What they hold: uploads and results of a server, frames that are no file, what a camera shows, and what is made of a clip in
passing, such as a copy of it or the names and places of faces."""

_LOCK: Final = ".lock"
_SECONDS_OF_A_START: Final = 60.0


@contextmanager
def temporary_folder(kind: Literal["app", "frames", "camera", "work"]) -> Iterator[Path]:
    """Lend a new folder that only this user may read, and remove it after the block, with those of processes that were killed."""
    remove_stale()
    folder = Path(tempfile.mkdtemp(prefix=f"vidfer-{kind}-"))
    try:
        with locked(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale() -> None:
    """Remove the folders of this user's processes that ended without doing so themselves: nobody holds their lock."""
    for folder in temporary_folders():
        try:
            found = folder.lstat()
        except OSError:  # its process has just removed it
            continue
        starting = not (folder / _LOCK).exists() and time.time() - found.st_mtime < _SECONDS_OF_A_START
        if not starting and not is_locked(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)


def temporary_folders() -> Iterator[Path]:
    """Yield the folders of this user's processes, those that ended included."""
    place = Path(tempfile.gettempdir())
    for folder in (found for kind in KINDS for found in place.glob(f"vidfer-{kind}-*")):
        with suppress(OSError):  # its process has just removed it
            if not folder.is_symlink() and folder.is_dir() and is_own(folder.lstat()):
                yield folder
