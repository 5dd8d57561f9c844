"""The engine of a SLURM cluster: arrays of jobs, each with a shard of the items."""

import os
import shutil
import subprocess
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from uuid import uuid4

from vidfer.pipeline.engines.base import Result
from vidfer.pipeline.engines.ray_engine import STALL
from vidfer.pipeline.engines.remote import Surroundings
from vidfer.pipeline.engines.slurm_shard import Shard, Statuses
from vidfer.pipeline.extras import require
from vidfer.pipeline.safe_path import safe_path
from vidfer.pipeline.worker import Work
from vidfer.pipeline.workers import OnProgress
from vidfer.types import ClipError, Status, UsageError, VidferError

Item = TypeVar("Item")

_TICK: Final = 1.0
_SECONDS_BETWEEN_LOOKS: Final = 10.0
_NOT_ITS_FAULT: Final = frozenset({"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"})
_ENDED: Final = _NOT_ITS_FAULT | {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"}


@dataclass(frozen=True)
class SlurmEngine:
    """Does the work in jobs of SLURM, by submitit; each is a machine's part with worker processes of its own (`LocalEngine`).

    The items that a job leaves when it dies get one more job each, and are `crashed` if that dies, too; a job whose node fails or
    that is preempted is submitted again, however often. Jobs write small files into the folder, which all machines have.

    Args:
        folder: A new folder in it holds the jobs' files and logs; it is removed at the end unless an item has crashed.
        jobs: Items at once in a job: the CPUs that it asks for.
        shard: Items of a job.
        max_jobs: Jobs that wait or run at once.
        minutes: Time limit of a job.
        partition: Where they run; None for SLURM's default.
        parameters: Further options of `sbatch` by name, such as `account`.
        gpus: GPUs of a job.
        stall: Seconds without progress after which an item is given up.
        retries: How often an item whose worker, or job, has died is tried again.
        cluster: `local` runs the jobs as processes of this machine, for tests.
    """

    folder: Path
    jobs: int = 1
    shard: int = 100
    max_jobs: int = 100
    minutes: int = 240
    partition: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    gpus: int = 0
    stall: float = STALL
    retries: int = 1
    cluster: Literal["slurm", "local"] = "slurm"

    def run(
        self, work: Work[Item], items: Iterable[Item], on_progress: OnProgress, *, in_order: bool = False
    ) -> Generator[tuple[int, Result], None, None]:
        """Do it, see `Engine.run`.

        Raises:
            UsageError: There is no submitit, or no SLURM.
            VidferError: SLURM refuses the jobs, or the work failed for a reason that is not the item's.
        """
        require("--engine slurm", "submitit")
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UsageError("--engine slurm: there is no command sbatch here: run it on a login node of the cluster")
        folder = self.folder.absolute() / f"jobs-{uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        run = _Run(self, work, enumerate(items), folder)
        try:
            yield from run.results(on_progress, in_order=in_order)
        finally:
            run.end()


@dataclass
class _Job:
    job: Any
    left: dict[int, Any]
    said: Statuses
    missing: int = 0


@dataclass
class _Run:
    engine: SlurmEngine
    work: Work[Any]
    items: Iterator[tuple[int, Any]]
    folder: Path
    taken: int = 0
    exhausted: bool = False
    at_work: list[_Job] = field(default_factory=list)
    waiting: list[dict[int, Any]] = field(default_factory=list)
    died: dict[int, int] = field(default_factory=dict)
    done: dict[int, Result] = field(default_factory=dict)
    looked: float = 0.0
    shards: int = 0
    crashed: bool = False

    def results(self, on_progress: OnProgress, *, in_order: bool) -> Generator[tuple[int, Result], None, None]:
        """Do all the work; see `Engine.run`."""
        turn, ahead = 0, 2 * self.engine.max_jobs * self.engine.shard
        while True:
            self._submit(turn + ahead if in_order else None)
            for job in self.at_work:
                self._read(job, on_progress)
            due = [position for position in self.done if not in_order or position == turn]
            for position in due:
                turn += 1
                yield position, self.done.pop(position)
            if due:
                continue
            if not self.at_work and not self.waiting and self.exhausted:
                return
            time.sleep(_TICK)
            self._look(on_progress)

    def end(self) -> None:
        """Cancel what is at work, and remove the folder unless its logs say why something crashed."""
        for job in self.at_work:
            job.job.cancel(check=False)
        if not self.crashed:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # another run's files are in it
                self.engine.folder.rmdir()

    def _submit(self, limit: int | None) -> None:
        """Submit as many shards as may be at work, as one array."""
        import submitit

        shards: list[dict[int, Any]] = []
        while len(self.at_work) + len(shards) < self.engine.max_jobs:
            if self.waiting:
                shards.append(self.waiting.pop())
                continue
            if self.exhausted or (limit is not None and self.taken >= limit):
                break
            shard = dict(islice(self.items, self.engine.shard))
            self.exhausted = len(shard) < self.engine.shard
            self.taken += len(shard)
            if shard:
                shards.append(shard)
        if not shards:
            return
        calls = [self._shard(items) for items in shards]
        try:
            with safe_path():  # of which sbatch gives the job a copy
                jobs = self._executor().submit_array(calls)
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            reason = " ".join(str(error).split())
            raise VidferError(f"SLURM does not take the jobs: {reason}") from error
        for job, items, call in zip(jobs, shards, calls, strict=True):
            self.at_work.append(_Job(job, dict(items), Statuses(call.status)))

    def _shard(self, items: dict[int, Any]) -> Shard:
        self.shards += 1
        engine, status = self.engine, self.folder / f"shard-{self.shards}"
        return Shard(self.work, items, status, engine.jobs, engine.stall, engine.retries, Surroundings.here())

    def _executor(self) -> Any:  # noqa: ANN401 - submitit's
        import submitit

        engine = self.engine
        executor = submitit.AutoExecutor(folder=self.folder, cluster=engine.cluster)
        chosen: dict[str, Any] = {"name": "vidfer", "timeout_min": engine.minutes, "cpus_per_task": engine.jobs}
        if engine.gpus:
            chosen["gpus_per_node"] = engine.gpus
        if engine.partition is not None:
            chosen["slurm_partition"] = engine.partition
        if engine.parameters:
            chosen["slurm_additional_parameters"] = engine.parameters
        executor.update_parameters(**chosen, slurm_array_parallelism=engine.max_jobs)
        return executor

    def _read(self, job: _Job, on_progress: OnProgress) -> None:
        """Take what a job has said since."""
        for kind, position, value in job.said.read():
            if kind == "fatal":
                raise VidferError(value)
            if kind == "progress":
                on_progress(position, *value)
            elif position in job.left:
                del job.left[position]
                self.died.pop(position, None)
                self.done[position] = ClipError(Status(value[0]), value[1]) if kind == "clip" else value

    def _look(self, on_progress: OnProgress) -> None:
        """Find the jobs that have ended, and submit what they have left undone."""
        if self.engine.cluster == "slurm":
            if time.monotonic() - self.looked < _SECONDS_BETWEEN_LOOKS and all(job.left for job in self.at_work):
                return
            self.looked = time.monotonic()
            states = _states()
            if states is None:
                return  # the controller does not answer: it may later
        else:
            states = {str(job.job.job_id): "FAILED" if job.job.done() else "RUNNING" for job in self.at_work}
        for job in list(self.at_work):
            state = states.get(str(job.job.job_id), "")
            job.missing += not state  # one that has just been submitted may not be listed yet
            if not job.left or state in _ENDED or job.missing > 1:
                self._read(job, on_progress)  # what it said last
                self.at_work.remove(job)
                if job.left:
                    self._after_death(job, state)

    def _after_death(self, job: _Job, state: str) -> None:
        """Submit what a job has left, or say that it has crashed."""
        if state in _NOT_ITS_FAULT:
            self.waiting.append(job.left)
            return
        for position, item in job.left.items():
            self.died[position] = self.died.get(position, 0) + 1
            if self.died[position] <= self.engine.retries:
                self.waiting.append({position: item})
                continue
            self.crashed = True
            ended = f"its job {job.job.job_id} ended ({state or 'unknown to SLURM'}): see {job.job.paths.stderr}"
            self.done[position] = ClipError(Status.CRASHED, f"{item}: {ended}")


def _states() -> dict[str, str] | None:
    """Return the states of the user's jobs by id, also of those that ended lately; None where SLURM does not say."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i %T"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in found.stdout.splitlines() if " " in line.strip())
