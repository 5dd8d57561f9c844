"""Names of what is being written, by which a later process knows what a killed one has left behind."""

import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from blake3 import blake3

_NAMES = re.compile(r"(?:\.vidfer-|[a-z_]+-\d+-)([0-9a-f]{32})(?:\.tmp)?")
_UNKNOWN = "0" * 8
_GRAVE = "removed-"
_SECONDS_OF_A_WRITER = 3600.0


def new_mark() -> str:
    """Return 32 hexadecimal digits that are no other's: of this machine, this process, when it began, and 8 at random."""
    return f"{_machine()}{os.getpid():08x}{_beginning(os.getpid()) or 0:08x}{uuid4().hex[:8]}"


def new_grave(root: Path) -> Path:
    """Return where in a store a folder goes to be removed: nobody reads it there, and a later process ends what is broken off."""
    return root / "tmp" / f"{_GRAVE}{os.getpid()}-{new_mark()}"


def is_grave(path: Path) -> bool:
    """Tell whether a folder was being removed, by whomever."""
    return path.name.startswith(_GRAVE)


def is_left(path: Path) -> bool:
    """Tell whether the process that wrote under a mark of this machine's has ended; False of what has no such mark."""
    found = _NAMES.fullmatch(path.name)
    return found is not None and _has_ended(found[1])


def remove_left(folder: Path) -> None:
    """Remove what lies in a folder under a mark of this machine's whose process has ended; nothing if there is no such folder.

    What others left, on other machines or before this one was started, stays for `vidfer cache gc`.
    """
    with suppress(OSError):  # it is no task of the run's to clean up: what cannot be removed stays
        for path in list(folder.iterdir()):
            if not is_left(path):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what writers left in a folder that have died on this machine, or elsewhere an hour ago or earlier."""
    for path in left_drafts(folder.glob(".vidfer-*.tmp")):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def left_drafts(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the drafts whose writers have died: on this machine, or elsewhere an hour ago or earlier."""
    for path in paths:
        with suppress(OSError):
            if is_left(path) or time.time() - path.stat().st_mtime > _SECONDS_OF_A_WRITER:
                yield path


def _has_ended(mark: str) -> bool:
    machine, process, began = mark[:8], int(mark[8:16], 16), int(mark[16:24], 16)
    return machine == _machine() != _UNKNOWN and _beginning(process) != began


def _beginning(process: int) -> int | None:
    """When a process began, in ticks since the system did, modulo 2**32; None if it has ended: numbers are soon used again."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18]) % 2**32


@cache
def _machine() -> str:
    """Name the system in which process numbers are unique: this container on this machine, since it was started."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return _UNKNOWN
    return blake3(f"{boot} {space} {socket.gethostname()}".encode()).hexdigest()[:8]
