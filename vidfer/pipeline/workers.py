"""Work on many clips, or other items, at once; one that kills its worker process costs only itself."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from vidfer.pipeline.system import how_ended
from vidfer.pipeline.worker import Work, Worker
from vidfer.types import ClipError, Status

Item = TypeVar("Item")

OnProgress = Callable[[int, str, float], None]
"""Called with an item's position in the list, the stage at work, and the share it has done."""

_LOOK = 0.5  # s between two looks whether the workers still live: what one has started may hold its pipe open


def run_all(
    work: Work[Item],
    items: Iterable[Item],
    jobs: int,
    on_progress: OnProgress,
    *,
    in_order: bool = False,
    stall: float | None = None,
    retries: int = 0,
) -> Generator[tuple[int, dict[str, Any] | ClipError], None, None]:
    """Do the work for every item and yield (position, result) as they finish, or in the order of the items.

    Items are taken as places become free, so that there may be any number of them. In order, results that are not due are held,
    and none is begun that is `2 * jobs` or more places ahead of the one that is.

    With one job the work runs in this process; with more, in that many spawned processes, each with one item at a time. A worker
    that dies is replaced, and its item alone is `crashed`. A `ClipError` that the work raises is its result. Progress is called
    from this process only.

    Args:
        work: Done for each item.
        items: May be an iterator.
        jobs: Items at once.
        on_progress: Told how far each item has come.
        in_order: Whether results come in the order of the items.
        stall: Seconds without progress after which a worker is killed and its item is a `timeout`; the work then never runs in
            this process.
        retries: How often an item whose worker has died is tried again; above 0, the work never runs in this process.

    Raises:
        VidferError: The work failed for a reason that is not the item's, such as a full store.
    """
    waiting = iter(items)
    first = list(islice(waiting, 2 if jobs > 1 else 1))
    rest = enumerate(chain(first, waiting))
    if first and (len(first) > 1 or stall is not None or retries):
        jobs = min(jobs, len(items)) if isinstance(items, Sized) else jobs
        yield from _run_in_processes(_Crew(work, rest, jobs, stall, retries), in_order, on_progress)
        return
    for position, item in rest:
        try:
            yield position, work(item, lambda stage, share, at=position: on_progress(at, stage, share))  # type: ignore[misc]
        except ClipError as error:
            yield position, error


@dataclass
class _Crew(Generic[Item]):
    """Workers at work on items, and those that wait for one."""

    work: Work[Item]
    items: Iterator[tuple[int, Item]]
    jobs: int
    stall: float | None = None
    retries: int = 0
    begun: int = 0
    exhausted: bool = False
    given: dict[int, Item] = field(default_factory=dict)
    died: "Counter[int]" = field(default_factory=Counter)
    busy: list[Worker] = field(default_factory=list)
    idle: list[Worker] = field(default_factory=list)

    def fill(self, limit: float) -> None:
        """Have items before that position worked on, as long as there are workers for them."""
        while not self.exhausted and len(self.busy) < self.jobs and self.begun < limit:
            found = next(self.items, None)
            if found is None:
                self.exhausted = True
            else:
                position, self.given[found[0]] = found
                self.begun += 1
                self._give(position)
        while self.exhausted and self.idle:
            self.idle.pop().stop()

    def _give(self, position: int) -> None:
        """Have an item worked on, by a new worker if no one waits."""
        self.busy.append(self.idle.pop() if self.idle else Worker.start(self.work, self.jobs))
        self.busy[-1].give(self.given[position], position)

    def collect(self, on_progress: OnProgress) -> dict[int, dict[str, Any] | ClipError]:
        """Wait for news and return the results that have come, by position."""
        done: dict[int, dict[str, Any] | ClipError] = {}
        wait([worker.pipe for worker in self.busy], self._patience())
        for worker in [worker for worker in self.busy if worker.has_news()]:
            kind, value = worker.receive()
            if kind == "progress":
                on_progress(worker.position, *value)
                continue
            if kind == "log":
                logging.getLogger(value.name).handle(value)
                continue
            if kind == "fatal":
                raise value
            self.busy.remove(worker)
            if kind == "dead":
                worker.stop()
                value = self._after_death(worker, value)
            else:
                self.idle.append(worker)
            if value is not None:
                done[worker.position] = value
        return self._finished(done | self._stalled())

    def _patience(self) -> float:
        """Return for how many seconds to wait until a worker may have stalled, or ended without a word."""
        if self.stall is None:
            return _LOOK
        return min(_LOOK, max(0.0, min(worker.heard for worker in self.busy) + self.stall - time.monotonic()))

    def _stalled(self) -> dict[int, dict[str, Any] | ClipError]:
        """Kill the workers that have said nothing for too long, and return what became of their items."""
        done: dict[int, dict[str, Any] | ClipError] = {}
        for worker in list(self.busy):
            if self.stall is not None and time.monotonic() - worker.heard >= self.stall:
                worker.kill()
                self.busy.remove(worker)
                done[worker.position] = stalled(self.given[worker.position], self.stall)
        return done

    def _after_death(self, worker: Worker, code: int | None) -> ClipError | None:
        """Try a dead worker's item again, or say what became of it."""
        self.died[worker.position] += 1
        if self.died[worker.position] <= self.retries:
            self._give(worker.position)
            return None
        cause = f"its worker process {how_ended(code)}"
        message = f"{self.given[worker.position]}: {cause}; run it again with --jobs 1 to see why"
        return ClipError(Status.CRASHED, message)

    def _finished(self, done: dict[int, dict[str, Any] | ClipError]) -> dict[int, dict[str, Any] | ClipError]:
        for position in done:
            del self.given[position]
            self.died.pop(position, None)
        return done

    def end(self) -> None:
        """Stop all at once."""
        for worker in self.busy + self.idle:
            worker.process.terminate()
        for worker in self.busy + self.idle:
            worker.stop()


def stalled(item: object, stall: float) -> ClipError:
    """Return what became of an item whose worker was killed since it said nothing for so many seconds."""
    message = f"{item}: no progress for {stall:g} s, so its worker was ended; a longer --stall gives it more time"
    return ClipError(Status.TIMEOUT, message)


def _run_in_processes(
    crew: _Crew[Item], in_order: bool, on_progress: OnProgress
) -> Iterator[tuple[int, dict[str, Any] | ClipError]]:
    turn = 0
    done: dict[int, dict[str, Any] | ClipError] = {}
    try:
        while True:
            crew.fill(turn + 2 * crew.jobs if in_order else float("inf"))
            due = [position for position in done if not in_order or position == turn]
            for position in due:
                turn += 1
                yield position, done.pop(position)
            if due:
                continue
            if not crew.busy:
                return
            done |= crew.collect(on_progress)
    finally:
        crew.end()
