"""The temporary folder of a server, which holds people's recordings: for this user alone, and gone with the server."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vidfer.pipeline.lock import is_locked, locked
from vidfer.pipeline.system import is_own

_PREFIX: Final = "vidfer-app-"
_LOCK: Final = ".lock"
_SECONDS_OF_A_START: Final = 60.0


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Lend a new folder that only this user may read, and remove it after the block, with those of servers that were killed."""
    remove_stale()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with locked(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale() -> None:
    """Remove the folders of this user's servers that ended without doing so themselves: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            found = folder.lstat()
        except OSError:  # its server has just removed it
            continue
        if folder.is_symlink() or not folder.is_dir() or not is_own(found):
            continue
        starting = not (folder / _LOCK).exists() and time.time() - found.st_mtime < _SECONDS_OF_A_START
        if not starting and not is_locked(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)
