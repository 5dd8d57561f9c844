"""Files read as the stages read them, and how long and how much memory that took."""

import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidfer.media import audio, decode
from vidfer.media.audio import read_windows
from vidfer.media.decode import probe, read_frames
from vidfer.types import ClipError, Status

TIMEOUT = 20.0
"""Seconds that a child may be waited for; a machine under load takes ten times the usual."""

FAULTS = frozenset({Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED, Status.UNREADABLE})
"""What no odd file may come to: these are told of the machine, and tried again by each run."""


@dataclass
class Seen:
    """What became of files that went through the two child processes."""

    statuses: Counter[Status] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds of the longest answer."""
    memory: int = 0
    """The most memory that a child ever had in use, in bytes; what it asked for and never touched does not count."""

    def probe(self, path: Path) -> Status:
        """Return what the probe says of a file: `ok` or another."""
        return self._status(lambda: probe(path, timeout=TIMEOUT))

    def frames(self, path: Path, **how: Any) -> Status:
        """Decode pictures."""
        return self._status(lambda: sum(1 for _ in read_frames(path, timeout=TIMEOUT, **how)))

    def sound(self, path: Path) -> Status:
        """Hear the sound."""
        return self._status(lambda: read_windows(path, vad=False, timeout=TIMEOUT))

    def read(self, path: Path) -> Status:
        """Do all three; return what would become of a clip without faces."""
        pictures = self.probe(path)
        if pictures is Status.OK:
            pictures = self.frames(path)
        sound = self.sound(path)
        assert not {pictures, sound} & FAULTS, f"{path.name}: {pictures}, and its sound {sound}"
        return Status.NO_FACE if pictures is Status.OK else pictures

    def _status(self, read: Callable[[], Any]) -> Status:
        started = time.monotonic()
        try:
            status = getattr(read(), "status", Status.OK)
        except ClipError as error:
            status = error.status
        self.longest = max(self.longest, time.monotonic() - started)
        for kept in (decode.CHILD, audio.CHILD):
            if (child := kept._take(0.0)) is not None:
                self.memory = max(self.memory, _resident(child.pid))
                kept._give_back(child)
        self.statuses[status] += 1
        return status

    def check(self, memory: int = 1 << 30) -> None:
        """Every file ended in time and within so many bytes."""
        assert self.longest < TIMEOUT + 5
        assert 0 < self.memory < memory, f"{self.memory / 2**20:.0f} MB"

    def told(self) -> str:
        """The longest wait and the most memory."""
        return f"at most {self.longest:.1f} s and {self.memory / 2**20:.0f} MB a file"


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def own_peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
