"""The queue: jobs in the order in which they came, and processes that do them."""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from vidfer.app.job import FAULTS, Job, State
from vidfer.app.settings import AppOptions
from vidfer.app.work import Task
from vidfer.pipeline.system import how_ended
from vidfer.pipeline.worker import Work, Worker
from vidfer.stages.progress import LOADING, STAGES, ClipProgress
from vidfer.types import ClipError, Status

_LOG = logging.getLogger(__name__)

_SECONDS_BETWEEN_SWEEPS: Final = 30.0
_SECONDS_UNTIL_AGAIN: Final = 5.0


class QueueFullError(Exception):
    """As many jobs wait as may."""


class Jobs:
    """All jobs of a server, and its worker processes.

    Args:
        settings: How many jobs run and wait, and for how long.
        root: Where jobs have their folders.
        work: What is done with a `Task`; with None it loads what it needs.
        clock: The time in s since 1970.
    """

    def __init__(
        self, settings: AppOptions, root: Path, work: Work[Any], clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._root, self._work, self._clock = settings, root, work, clock
        self._news = threading.Condition()
        self._all: dict[str, Job] = {}
        self._queue: list[Job] = []
        self._receiving = 0
        self._number = 0
        self._at_work: dict[str, Worker] = {}
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(settings.jobs)]
        self._threads.append(threading.Thread(target=self._sweep_at_times, daemon=True))

    def start(self) -> None:
        """Start the processes, which load the models at once."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the processes, whatever they do, and wait until they have ended. Closing twice is fine."""
        with self._news:
            self._closing.set()
            for worker in self._at_work.values():
                worker.process.kill()
            self._news.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def begin(self) -> Job:
        """Make a job with a folder, whose upload is still to come; `submit` or `discard` follows.

        Raises:
            QueueFullError: It would have no place in the queue.
        """
        with self._news:
            if len(self._queue) + self._receiving >= self._settings.max_queue:
                raise QueueFullError
            self._receiving += 1
            self._number += 1
            job = Job(secrets.token_urlsafe(24), self._root / str(self._number), self._clock())
        job.folder.mkdir(mode=0o700)
        return job

    def discard(self, job: Job) -> None:
        """Remove a job whose upload failed."""
        with self._news:
            self._receiving -= 1
        shutil.rmtree(job.folder, ignore_errors=True)

    def submit(self, job: Job, task: Task, fault: ClipError | None = None) -> None:
        """Put a job into the queue; with a fault of its clip, it has failed already."""
        with self._news:
            self._receiving -= 1
            job.task = task
            self._all[job.id] = job
            if fault is None:
                self._queue.append(job)
                self._news.notify_all()
                return
            self._end(job, State.FAILED, fault.message, fault.status)
        shutil.rmtree(job.folder, ignore_errors=True)

    def find(self, job_id: str) -> Job | None:
        """Return a job that has not expired."""
        with self._news:
            job = self._all.get(job_id)
            return None if job is None or self._expired(job) else job

    def position(self, job: Job) -> int:
        """Return a job's place in the queue: 1 for the next, 0 where it waits no longer."""
        with self._news:
            return self._queue.index(job) + 1 if job in self._queue else 0

    def waiting(self) -> int:
        """Return how many jobs wait."""
        with self._news:
            return len(self._queue)

    def expires(self, job: Job) -> float | None:
        """Return when an ended job's files are removed, in s since 1970."""
        return None if job.ended is None else job.ended + self._settings.keep

    def cancel(self, job: Job) -> None:
        """Stop a job that waits or runs, at once, and remove its files; an ended one is removed and forgotten."""
        with self._news:
            if job.ended is not None:
                self._all.pop(job.id, None)
            elif job in self._queue:
                self._queue.remove(job)
                self._end(job, State.CANCELLED, "cancelled before it began")
            else:
                self._end(job, State.CANCELLED, "cancelled")
                if worker := self._at_work.get(job.id):
                    worker.process.kill()
                    return  # its files go when it has ended, so that it makes none anew
        shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the jobs that have expired, with their files."""
        with self._news:
            expired = [job for job in self._all.values() if self._expired(job)]
            for job in expired:
                del self._all[job.id]
        for job in expired:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _expired(self, job: Job) -> bool:
        return job.ended is not None and self._clock() >= job.ended + self._settings.keep

    def _sweep_at_times(self) -> None:
        while not self._closing.wait(min(_SECONDS_BETWEEN_SWEEPS, self._settings.keep)):
            self.sweep()

    def _serve(self) -> None:
        """Do jobs, one after the other, by one process, which is replaced where it ended."""
        crew: _Process | None = None
        try:
            while (crew := crew or self._start()) is not None and (job := self._next()) is not None:
                if not crew.worker.process.is_alive():
                    crew.worker.kill()
                    crew = self._start()
                    if crew is None:
                        return
                if not self._do(job, crew) or job.state is State.CANCELLED:
                    crew.worker.kill()
                    crew = None
                if job.state is not State.DONE:  # nothing of it is shown
                    shutil.rmtree(job.folder, ignore_errors=True)
        finally:
            if crew is not None:
                crew.worker.kill()

    def _start(self) -> "_Process | None":
        """Start a process, as soon as the system has room for one; None when the server ends."""
        while not self._closing.is_set():
            try:
                return _Process(self._work, self._settings.jobs)
            except OSError as error:
                _LOG.error("no process can be started (%s): trying again", error.strerror)
                self._closing.wait(_SECONDS_UNTIL_AGAIN)
        return None

    def _next(self) -> Job | None:
        """Wait for the job whose turn it is; None when the server ends."""
        with self._news:
            self._news.wait_for(lambda: self._queue or self._closing.is_set())
            if self._closing.is_set():
                return None
            job = self._queue.pop(0)
            job.state, job.stage, job.started = State.RUNNING, LOADING, self._clock()
            return job

    def _do(self, job: Job, crew: "_Process") -> bool:
        """Have a job done, and return whether the process can do another."""
        with self._news:
            if job.state is State.CANCELLED or self._closing.is_set():
                return True
            self._at_work[job.id] = crew.worker
        try:
            crew.worker.give(job.task)
            deadline, way = time.monotonic() + self._settings.max_time, ClipProgress()
            while crew.worker.pipe.poll(max(0.0, deadline - time.monotonic())):
                kind, value = crew.worker.receive()
                if kind == "progress":
                    self._move(job, way, *value)
                elif kind == "log":
                    logging.getLogger(value.name).handle(value)
                elif crew.cold and kind != "dead":  # the models are loaded; what failed there will fail again
                    crew.cold, deadline = False, time.monotonic() + self._settings.max_time
                else:
                    return self._finish(job, kind, value)
            took = f"stopped: the analysis took longer than {self._settings.max_time:g} s"
            self._end(job, State.FAILED, took, Status.TIMEOUT)
            return False
        finally:
            with self._news:
                del self._at_work[job.id]

    def _move(self, job: Job, way: ClipProgress, stage: str, share: float) -> None:
        with self._news:
            if job.state is State.RUNNING:
                job.stage = STAGES[stage][0]
                job.progress = max(job.progress, min(1.0, way.done(stage, share)))

    def _finish(self, job: Job, kind: str, value: Any) -> bool:  # noqa: ANN401 - by kind
        if kind == "done":
            status = Status(value["status"])
            with self._news:
                if job.state is State.RUNNING:
                    job.summary = value
            self._end(job, State.FAILED if status in FAULTS else State.DONE, value["message"], status)
        elif kind == "dead":
            if job.ended is None and not self._closing.is_set():
                _LOG.warning("the process of a job %s", how_ended(value))
            self._end(job, State.FAILED, "the analysis broke off: try again, or another file", Status.CRASHED)
        else:
            _LOG.error("%s", value)
            self._end(job, State.FAILED, str(value), value.status if kind == "clip" else None)
        return kind != "dead"

    def _end(self, job: Job, state: State, message: str, status: Status | None = None) -> None:
        """Note how a job ended; one that was cancelled stays so."""
        with self._news:
            if job.ended is not None:
                return
            if job.task is not None:  # where files lie on this machine is no sender's matter
                message = message.replace(str(job.task.clip), job.name).replace(str(self._root), "")
            job.state, job.message, job.clip_status, job.ended = state, message, status, self._clock()
            job.stage, job.progress = "", 1.0 if state is State.DONE else job.progress
            self._news.notify_all()


class _Process:
    """A worker process that loads the models first: until then it is cold."""

    def __init__(self, work: Work[Any], processes: int) -> None:
        self.worker = Worker.start(work, processes)
        self.worker.give(None)
        self.cold = True
