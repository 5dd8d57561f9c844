"""Who may read a store, which holds crops of faces: what the rights of its folder say, and the user alone where vidfer makes it.

A folder that its group may write (`mkdir -m 2770 DIR`) is a store shared on purpose: what is written into it is the group's,
too, whatever the umask.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from vidfer.pipeline.atomic import sync
from vidfer.pipeline.system import WINDOWS, is_own

PRIVATE: Final = 0o700
"""The rights of a store that vidfer makes."""

_OTHERS: Final = 0o077


def make_root(root: Path) -> None:
    """Make a store's folder, unless it is there, for the user alone; those above it as usual."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        root.mkdir(PRIVATE)


def make_folder(root: Path, folder: Path) -> None:
    """Make a folder of the store, those above it, and the store, where they are missing, with the store's rights."""
    make_root(root)
    mode = stat.S_IMODE(root.stat().st_mode)
    missing = [each for each in (folder, *folder.parents) if each.is_relative_to(root) and not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            each.mkdir(mode & 0o777)
            if _is_shared(mode):
                each.chmod(mode)


def write_synced(root: Path, path: Path, data: bytes) -> None:
    """Write a file of the store with the store's rights, and wait until the disk has it."""
    mode = stat.S_IMODE(root.stat().st_mode) & 0o666
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(handle, "wb") as file:  # noqa: PTH123 - of a number
        if _is_shared(mode):
            os.fchmod(handle, mode)
        file.write(data)
    sync(path)


def _is_shared(mode: int) -> bool:
    return not WINDOWS and bool(mode & stat.S_IWGRP)  # Windows says so of every folder, and rights are inherited there


def close_to_others(root: Path) -> None:
    """Take the rights of others from a store's folder that is the user's own; earlier versions made it with the umask's."""
    with suppress(OSError):  # it is not there yet, or its file system is read-only or knows no rights
        found = root.stat()
        if not WINDOWS and is_own(found) and found.st_mode & _OTHERS:
            root.chmod(PRIVATE)
