"""Work on many clips, or other items, at once; one that kills its worker process costs only itself."""

import logging
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from vidfer.pipeline.cores import share_cores
from vidfer.types import ClipError, Status, VidferError

Item = TypeVar("Item")
"""What is worked on: a clip's path, or anything else that can be pickled and whose text names it."""

Work = Callable[[Item, Callable[[str, float], None]], dict[str, Any]]
"""From an item and a progress callback (stage, share) to the item's summary."""

OnProgress = Callable[[int, str, float], None]
"""Called with an item's position in the list, the stage at work, and the share it has done."""


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
class Worker:
    """A spawned process that does the work for one item after the other, and keeps what it has loaded; `run_all` uses several.

    Args:
        process: The process.
        pipe: What it says, to be read by `receive`; `multiprocessing.connection.wait` takes it.
        position: The place in the list of the item that it was given last.
        heard: When it was given that item or last said something of it, by `time.monotonic`, in s.
    """

    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"
    position: int = 0
    heard: float = 0.0

    @classmethod
    def start(cls, work: Work[Any], jobs: int = 1) -> "Worker":
        """Start a process, one of so many that work at once; the work has to be picklable."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        level = logging.getLogger("vidfer").getEffectiveLevel()
        process = context.Process(target=_serve, args=(work, theirs, level, jobs), daemon=False)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, item: object, position: int = 0) -> None:
        """Have an item worked on."""
        self.position, self.heard = position, time.monotonic()
        with suppress(OSError):  # that a worker has died is noticed when its result is received
            self.pipe.send(item)

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message: its kind, and its value.

        `done` (the summary), `clip` (the `ClipError` that the work raised) or `fatal` (another `VidferError`) is the last one of
        an item; before it come `progress` (stage and share) and `log` (a record). `dead` comes with the process' exit code.
        """
        self.heard = time.monotonic()
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return "dead", self.process.exitcode
        return (kind, ClipError(*value)) if kind == "clip" else (kind, value)

    def kill(self) -> None:
        """End the process at once, whatever it does; child processes of `vidfer.media.child` end with it."""
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        """Let the process end; one that is still at work after 5 s is killed."""
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Forward(logging.Handler):
    """Sends records to the process that started this one, which knows where they are to go."""

    def __init__(self, send: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send it as one that can be pickled."""
        said = {"msg": self.format(record), **dict.fromkeys(("args", "exc_info", "exc_text", "stack_info"))}
        with suppress(OSError):  # the parent has gone
            self._send(logging.makeLogRecord({**record.__dict__, **said}))


def _serve(work: Work[Any], pipe: "Connection[Any, Any]", level: int, jobs: int) -> None:
    share_cores(jobs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupted run does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that drafts are removed on the way out
    logging.getLogger("vidfer").setLevel(level)
    logging.getLogger().addHandler(Forward(lambda record: pipe.send(("log", record))))
    logging.captureWarnings(True)
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            pipe.send(attempt(work, pipe.recv(), lambda *at: pipe.send(("progress", at))))


def attempt(
    work: Callable[[Item, Callable[[str, float], None]], Any], item: Item, progress: Callable[[str, float], None]
) -> tuple[str, Any]:
    """Do the work for an item, and say what became of it so that it can be sent to another process.

    That is `done` with what the work returned, `clip` with status and message, or `fatal` with a `VidferError` that is not the
    item's.
    """
    try:
        return "done", work(item, progress)
    except ClipError as error:
        return "clip", (error.status, error.message)
    except VidferError as error:
        return "fatal", error


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
        ready = wait([worker.pipe for worker in self.busy], self._patience())
        for worker in [worker for worker in self.busy if worker.pipe in ready]:
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

    def _patience(self) -> float | None:
        """Return for how many seconds nothing may be heard until a worker has stalled."""
        if self.stall is None:
            return None
        return max(0.0, min(worker.heard for worker in self.busy) + self.stall - time.monotonic())

    def _stalled(self) -> dict[int, dict[str, Any] | ClipError]:
        """Kill the workers that have said nothing for too long, and return what became of their items."""
        done: dict[int, dict[str, Any] | ClipError] = {}
        for worker in list(self.busy):
            if self.stall is not None and time.monotonic() - worker.heard >= self.stall:
                worker.kill()
                self.busy.remove(worker)
                done[worker.position] = stalled(self.given[worker.position], self.stall)
        return done

    def _after_death(self, worker: Worker, code: int) -> ClipError | None:
        """Try a dead worker's item again, or say what became of it."""
        self.died[worker.position] += 1
        if self.died[worker.position] <= self.retries:
            self._give(worker.position)
            return None
        cause = f"its worker process ended with code {code}"
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
