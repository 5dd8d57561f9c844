"""Work that needs no clip: some items kill or hang their worker, as a clip might."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from vidfer.types import ClipError, Status, VidferError


@dataclass(frozen=True)
class TwoParts:
    """Writes a file in its first part, which the second reads: what is not there was not prepared."""

    folder: Path
    seconds: float = 0.0

    def prepare(self, item, progress):
        progress("first", 0.0)
        misbehave(item, "first")
        time.sleep(self.seconds)
        (self.folder / item).write_text(f"{item} prepared")

    def __call__(self, item, progress):
        progress("second", 0.5)
        misbehave(item, "second")
        time.sleep(self.seconds)
        return {"name": item, "read": (self.folder / item).read_text()}


def misbehave(item, part):
    kind, _, where = item.partition("-")
    if where not in ("", part):
        return
    if kind == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(600)
    if kind == "corrupt":
        raise ClipError(Status.CORRUPT, f"{item} is corrupt")
    if kind == "disk":
        raise VidferError("the store is full")
    if kind == "bug":
        raise ZeroDivisionError("no number")


def one_part(item, progress):
    """Work of one part."""
    progress("only", 0.5)
    misbehave(item, "only")
    return {"name": item}
