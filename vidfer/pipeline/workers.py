"""Work on many clips, or other items, at once; one that kills its worker process costs only itself."""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
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
    work: Work[Item], items: Sequence[Item], jobs: int, on_progress: OnProgress, *, in_order: bool = False
) -> Generator[tuple[int, dict[str, Any] | ClipError], None, None]:
    """Do the work for every item and yield (position, result) as they finish, or in the order of the items.

    In order, results that are not due are held, and none is begun that is `2 * jobs` or more places ahead of the one that is.

    With one job the work runs in this process; with more, in that many spawned processes, each with one item at a time.
    A worker that dies is replaced, and its item alone is `crashed`. A `ClipError` that the work raises is its result.
    Progress is called from this process only.

    Raises:
        VidferError: The work failed for a reason that is not the item's, such as a full store.
    """
    if jobs > 1 and len(items) > 1:
        yield from _run_in_processes(work, items, jobs, on_progress, in_order)
        return
    for position, item in enumerate(items):
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
    """

    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"
    position: int = 0

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
        self.position = position
        with suppress(OSError):  # that a worker has died is noticed when its result is received
            self.pipe.send(item)

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message: its kind, and its value.

        `done` (the summary), `clip` (the `ClipError` that the work raised) or `fatal` (another `VidferError`) is the last one of
        an item; before it come `progress` (stage and share) and `log` (a record). `dead` comes with the process' exit code.
        """
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


class _Forward(logging.Handler):
    """Sends records to the process that started this one, which knows where they are to go."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        said = {"msg": self.format(record), **dict.fromkeys(("args", "exc_info", "exc_text", "stack_info"))}
        with suppress(OSError):  # the parent has gone
            self._pipe.send(("log", logging.makeLogRecord({**record.__dict__, **said})))


def _serve(work: Work[Any], pipe: "Connection[Any, Any]", level: int, jobs: int) -> None:
    share_cores(jobs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupted run does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that drafts are removed on the way out
    logging.getLogger("vidfer").setLevel(level)
    logging.getLogger().addHandler(_Forward(pipe))
    logging.captureWarnings(True)
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            item = pipe.recv()
            try:
                result: tuple[str, Any] = ("done", work(item, lambda *at: pipe.send(("progress", at))))
            except ClipError as error:
                result = ("clip", (error.status, error.message))
            except VidferError as error:
                result = ("fatal", error)
            pipe.send(result)


@dataclass
class _Crew(Generic[Item]):
    """Workers at work on items, and those that wait for one."""

    work: Work[Item]
    items: Sequence[Item]
    jobs: int
    busy: list[Worker] = field(default_factory=list)
    idle: list[Worker] = field(default_factory=list)

    def give(self, position: int) -> None:
        """Have an item worked on, by a new worker if no one waits."""
        self.busy.append(self.idle.pop() if self.idle else Worker.start(self.work, self.jobs))
        self.busy[-1].give(self.items[position], position)

    def collect(self, on_progress: OnProgress) -> dict[int, dict[str, Any] | ClipError]:
        """Wait for news and return the results that have come, by position."""
        done: dict[int, dict[str, Any] | ClipError] = {}
        ready = wait([worker.pipe for worker in self.busy])
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
            done[worker.position] = value
            self.busy.remove(worker)
            if kind == "dead":
                cause = f"its worker process ended with code {value}"
                message = f"{self.items[worker.position]}: {cause}; run it again with --jobs 1 to see why"
                done[worker.position] = ClipError(Status.CRASHED, message)
                worker.stop()
            else:
                self.idle.append(worker)
        return done

    def end(self) -> None:
        """Stop all at once."""
        for worker in self.busy + self.idle:
            worker.process.terminate()
        for worker in self.busy + self.idle:
            worker.stop()


def _run_in_processes(
    work: Work[Item], items: Sequence[Item], jobs: int, on_progress: OnProgress, in_order: bool
) -> Iterator[tuple[int, dict[str, Any] | ClipError]]:
    crew, begun, turn = _Crew(work, items, min(jobs, len(items))), 0, 0
    done: dict[int, dict[str, Any] | ClipError] = {}
    try:
        while turn < len(items):
            while begun < len(items) and len(crew.busy) < jobs and (not in_order or begun < turn + 2 * jobs):
                crew.give(begun)
                begun += 1
            while begun == len(items) and crew.idle:
                crew.idle.pop().stop()
            due = [position for position in done if not in_order or position == turn]
            for position in due:
                turn += 1
                yield position, done.pop(position)
            if not due:
                done |= crew.collect(on_progress)
    finally:
        crew.end()
