"""The work of one job of an array: its shard of the items, and a file that says what became of each."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from vidfer.pipeline.bounded import parse_json
from vidfer.pipeline.engines.local import LocalEngine
from vidfer.pipeline.engines.remote import Surroundings
from vidfer.pipeline.worker import Work
from vidfer.types import ClipError, VidferError

SECONDS_BETWEEN: Final = 2.0
"""How often a job says how far it is."""


@dataclass(frozen=True)
class Shard:
    """Does the work for its items in processes of one machine; an instance is what a job calls.

    Args:
        work: Done for each item.
        items: By position in the whole run.
        status: The files where it says what became of them begin with this path; each start of the job has one of its own, so
            that a line that a killed one has left unfinished is the last of its file.
        jobs: Items at once.
        stall: Seconds without progress after which an item is given up.
        retries: How often an item whose worker has died is tried again.
        surroundings: Of the process that made the shard.
    """

    work: Work[Any]
    items: dict[int, Any]
    status: Path
    jobs: int
    stall: float
    retries: int
    surroundings: Surroundings

    def __call__(self) -> None:
        """Do it; what an earlier start of the same job has done is not done again."""
        done = {position for kind, position, _ in Statuses(self.status).read() if kind != "progress"}
        todo = [position for position in self.items if position not in done]
        file = self.status.with_name(f"{self.status.name}.{uuid4().hex}")
        said = 0.0

        def progress(at: int, stage: str, share: float) -> None:
            nonlocal said
            if time.monotonic() - said >= SECONDS_BETWEEN:
                said = time.monotonic()
                _say(file, "progress", todo[at], (stage, share))

        try:
            self.surroundings.enter(self.jobs)
            engine = LocalEngine(self.jobs, self.stall, self.retries)
            for at, result in engine.run(self.work, [self.items[position] for position in todo], progress):
                if isinstance(result, ClipError):
                    _say(file, "clip", todo[at], (result.status, result.message))
                else:
                    _say(file, "done", todo[at], result)
        except VidferError as error:
            _say(file, "fatal", -1, str(error))

    def checkpoint(self) -> Any:  # noqa: ANN401 - submitit's
        """Return what the job calls when it is started again after it was preempted."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _say(file: Path, kind: str, position: int, value: object) -> None:
    with file.open("ab") as opened:
        opened.write(json.dumps([kind, position, value]).encode() + b"\n")


@dataclass
class Statuses:
    """What the starts of a job have said, read as it comes."""

    path: Path
    offsets: dict[Path, int] = field(default_factory=dict)

    def read(self) -> Iterator[tuple[str, int, Any]]:
        """Yield what is new: the kind, as in `attempt` or `progress`, the item's position, and the value."""
        for file in sorted(self.path.parent.glob(f"{self.path.name}.*")):
            at = self.offsets.get(file, 0)
            with file.open("rb") as opened:
                opened.seek(at)
                said = opened.read()
            whole = said[: said.rfind(b"\n") + 1]  # the last line may still be written
            self.offsets[file] = at + len(whole)
            for line in whole.splitlines():
                try:
                    kind, position, value = parse_json(line)
                except (ValueError, TypeError) as error:
                    raise VidferError(
                        f"{file} has a line that is no status ({error}): run the same command again"
                    ) from error
                yield kind, position, value
