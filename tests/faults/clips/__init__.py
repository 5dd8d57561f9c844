"""Clips of odd kinds, made by the tests: one module for each group, each with a tuple `KINDS`.

Row 24 analyses clips of all kinds: a new one needs nothing but its line in its module's `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of clip and what becomes of it.

    Attributes:
        name: Short and unique, in letters, digits and underscores.
        make: Writes the clip into a folder that is there and returns its path; the same bytes each time.
        status: The clip's status, or several where it depends on the FFmpeg that PyAV brings.
    """

    name: str
    make: Callable[[Path], Path]
    status: str | tuple[str, ...] = "ok"

    @property
    def statuses(self) -> tuple[str, ...]:
        """All statuses that are right."""
        return (self.status,) if isinstance(self.status, str) else self.status
