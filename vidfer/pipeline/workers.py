"""Work on many clips, or other items, at once, so that one that kills its worker costs only itself."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from vidfer.types import ClipError, Status, VidferError

Item = TypeVar("Item")
"""What is worked on: a clip's path, or anything else that can be pickled and whose text names it."""

Work = Callable[[Item, Callable[[str, float], None]], dict[str, Any]]
"""From an item and a progress callback (stage, share) to the item's summary."""

OnProgress = Callable[[int, str, float], None]
"""Called with a clip's position in the list, the stage at work, and the share it has done."""


def run_all(
    work: Work[Item], clips: Sequence[Item], jobs: int, on_progress: OnProgress
) -> Iterator[tuple[int, dict[str, Any] | ClipError]]:
    """Do the work for every clip and yield (position, result) as they finish.

    With one job the work runs in this process; with more, in that many spawned processes, each with one clip at a time.
    A worker that dies is replaced, and its clip alone is `crashed`. A `ClipError` that the work raises is its result.
    Progress is called from this process only.

    Raises:
        VidferError: The work failed for a reason that is not the clip's, such as a full store.
    """
    if jobs == 1 or len(clips) <= 1:
        for position, clip in enumerate(clips):
            try:
                yield position, work(clip, lambda stage, share, at=position: on_progress(at, stage, share))  # type: ignore[misc]
            except ClipError as error:
                yield position, error
    else:
        yield from _run_in_processes(work, clips, min(jobs, len(clips)), on_progress)


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"
    position: int = -1

    @classmethod
    def start(cls, work: Work[Any]) -> "_Worker":
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(work, theirs), daemon=False)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, position: int, clip: object) -> None:
        self.position = position
        with suppress(OSError):  # a worker that has died meanwhile is noticed when it is listened to
            self.pipe.send(clip)

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(work: Work[Any], pipe: "Connection[Any, Any]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupted run does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that drafts are removed on the way out
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            clip = pipe.recv()
            try:
                answer: tuple[str, Any] = ("done", work(clip, lambda *told: pipe.send(("progress", told))))
            except ClipError as error:
                answer = ("clip", (error.status, error.message))
            except VidferError as error:
                answer = ("fatal", error)
            pipe.send(answer)


def _run_in_processes(
    work: Work[Item], clips: Sequence[Item], jobs: int, on_progress: OnProgress
) -> Iterator[tuple[int, dict[str, Any] | ClipError]]:
    waiting = list(enumerate(clips))[::-1]
    busy: list[_Worker] = []
    try:
        for _ in range(jobs):
            busy.append(_Worker.start(work))
            busy[-1].give(*waiting.pop())
        while busy:
            ready = wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                kind, value = _receive(worker, clips)
                if kind == "progress":
                    on_progress(worker.position, *value)
                    continue
                if kind == "fatal":
                    raise value
                yield worker.position, value
                _go_on(worker, busy, waiting, work, dead=kind == "dead")
    finally:
        for worker in busy:
            worker.process.terminate()
        for worker in busy:
            worker.stop()


def _go_on(
    worker: _Worker, busy: list[_Worker], waiting: list[tuple[int, Item]], work: Work[Item], *, dead: bool
) -> None:
    """Give a worker the next clip; replace it if it has died, let it go if nothing is left."""
    if dead or not waiting:
        worker.stop()
        busy.remove(worker)
    if dead and waiting:
        worker = _Worker.start(work)
        busy.append(worker)
    if waiting:
        worker.give(*waiting.pop())


def _receive(worker: _Worker, clips: Sequence[object]) -> tuple[str, Any]:
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        cause = f"its worker process ended with code {worker.process.exitcode}"
        clip = clips[worker.position]
        return "dead", ClipError(Status.CRASHED, f"{clip}: {cause}; run it again with --jobs 1 to see why")
    return (kind, ClipError(*value)) if kind == "clip" else (kind, value)
