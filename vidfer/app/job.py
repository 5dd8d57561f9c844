"""One job: a clip on its way."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from vidfer.app.work import Task
from vidfer.types import Status

FAULTS: Final = frozenset(
    {
        Status.CORRUPT,
        Status.UNSUPPORTED,
        Status.UNREADABLE,
        Status.TOO_LARGE,
        Status.TIMEOUT,
        Status.OUT_OF_MEMORY,
        Status.CRASHED,
    }
)
"""Statuses of a clip of which there is nothing to show."""


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """A clip on its way; fields are changed by `Jobs` alone, under its lock.

    Args:
        id: A secret: whoever knows it sees the job.
        folder: The job's files: upload, store, results.
        created: When it was begun, in s since 1970.
        name: What the sender called the file; shown, and never a path.
        ended: When it ended, in s since 1970.
        progress: Share of the analysis that is done, in [0, 1].
        clip_status: What became of the clip, once that is known.
    """

    id: str
    folder: Path
    created: float
    name: str = ""
    state: State = State.QUEUED
    stage: str = ""
    progress: float = 0.0
    message: str = ""
    clip_status: Status | None = None
    summary: dict[str, Any] | None = None
    started: float | None = None
    ended: float | None = None
    task: Task | None = field(default=None, repr=False)
    media_type: str = ""

    @property
    def results(self) -> Path:
        """The folder of the clip's results."""
        return self.folder / "results"
