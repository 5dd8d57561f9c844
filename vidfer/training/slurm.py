"""A pipeline as jobs of SLURM: one for each step that is missing, which begins when those that it needs have succeeded.

A job runs `vidfer pipeline run CONFIG --until STEP` on the same store, so that keys and artifacts are those of a local run.
Its number is kept in the store's `jobs/KEY.json`, beside its log: the same command, given again, takes up what is queued already.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.lock import locked
from vidfer.pipeline.store import Store
from vidfer.training.steps import STEPS, Step, share_trained
from vidfer.types import UsageError, VidferError

_SCRIPT: Final = Path(__file__).with_name("job.sbatch")
_FAILED: Final = ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "CANCELLED")
_DONE: Final = "COMPLETED"
_COLUMNS: Final = "JobID:20,State:20,RestartCnt:12"
_DELAY: Final = 60.0  # seconds after which a job that has ended, on another machine, must be seen in the store


@dataclass(frozen=True)
class Job:
    """A job: its number, its state in SLURM's words (empty: SLURM has forgotten it), how often it was requeued, and its log."""

    number: str
    log: Path
    state: str = ""
    requeued: int = 0

    @property
    def alive(self) -> bool:
        """Whether it waits, runs or is about to end."""
        return bool(self.state) and self.state not in (*_FAILED, _DONE)

    def __str__(self) -> str:
        again = f", requeued {self.requeued} times" if self.requeued > 1 else ", requeued once" if self.requeued else ""
        return f"job {self.number} {self.state or 'has ended'}{again}"


@dataclass(frozen=True)
class Submission:
    """How steps become jobs.

    Args:
        command: Words after `vidfer pipeline run` that all jobs have.
        target: Words that the job of the step named first has beside them, such as `--args`.
        options: Of sbatch by their long names, for every job; they go before those of the configuration.
        by_step: The configuration's options: for every job, or for one step under its name.
        cpus: Processors of a job, where no option says so.
    """

    command: Sequence[str]
    target: tuple[str, Sequence[str]] = ("", ())
    options: Mapping[str, str] = field(default_factory=dict)
    by_step: Mapping[str, Any] = field(default_factory=dict)
    cpus: int = 1


def require_slurm() -> None:
    """Raise UsageError where there is no SLURM to submit to."""
    for program in ("sbatch", "squeue"):
        if shutil.which(program) is None:
            raise UsageError(f"--engine slurm needs {program} on PATH: run this on a login node of a SLURM cluster")


def parse_options(words: Sequence[str]) -> dict[str, str]:
    """Read options of sbatch, each NAME=VALUE with its long name."""
    pairs = [word.lstrip("-").partition("=") for word in words]
    for word, (name, given, _) in zip(words, pairs, strict=True):
        if not (name and given):
            raise UsageError(f"--slurm {word}: give an option of sbatch as NAME=VALUE, such as account=mine")
    return {name: value for name, _, value in pairs}


def submit_steps(steps: Sequence[Step], store: Store, submission: Submission) -> dict[str, Job]:
    """Submit a job for each missing step that has none, and return all jobs by step, those that were queued before too.

    The folds of a cross-validation are made by the job of `evaluate`.

    Raises:
        UsageError: sbatch does not take the options, or a training is to run on several nodes.
    """
    due = [step for step in steps if step.due and step.fold is None]
    folder = store.root / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        jobs = {name: job for name, job in jobs_of(due, store).items() if job.alive}
        for step in due:
            if step.name not in jobs:
                after = [jobs[name].number for name in step.needs if name in jobs]
                jobs[step.name] = _submit(step, after, folder, submission)
    return jobs


def jobs_of(steps: Sequence[Step], store: Store) -> dict[str, Job]:
    """Return the jobs that were submitted for steps, by step, as SLURM sees them now."""
    found: dict[str, Job] = {}
    states = None
    for step in steps:
        record = store.root / "jobs" / f"{step.key}.json"
        if step.fold is None and step.key and record.is_file():
            number = str(json.loads(record.read_bytes())["job"])
            states = _queue() if states is None else states
            found[step.name] = Job(number, record.with_suffix(".log"), *states.get(number, ("", 0)))
    return found


def wait_for_steps(
    steps: Sequence[Step],
    store: Store,
    jobs: Mapping[str, Job],
    progress: Callable[[str, float, str], None],
    look: float,
) -> None:
    """Wait until the jobs of steps have ended well; `look` is the time in seconds between two looks.

    Raises:
        VidferError: A step failed; SLURM cancels the jobs that need it, others go on.
    """
    due = {step.name: step for step in steps if step.name in jobs and step.fold is None}
    ended: dict[str, float] = {}
    while due:
        now = jobs_of(list(due.values()), store)
        for name, step in list(due.items()):
            job = now[name]
            if job.alive:
                progress(name, share_trained(step, store), str(job))
            elif job.state not in _FAILED and store.find(str(step.recipe["stage"]), step.key) is not None:
                progress(name, 1.0, str(job))
                del due[name]
            elif job.state == _DONE and time.monotonic() - ended.setdefault(name, time.monotonic()) < _DELAY:
                continue
            else:
                _fail(now)
        if due:
            time.sleep(look)


def _fail(jobs: Mapping[str, Job]) -> None:
    """Name the step that failed, not one that was cancelled because of it."""
    dead = {name: job for name, job in jobs.items() if not job.alive and job.state != _DONE}
    dead = dead or {name: job for name, job in jobs.items() if not job.alive}
    name, job = min(dead.items(), key=lambda each: (each[1].state == "CANCELLED", list(jobs).index(each[0])))
    lines = job.log.read_text("utf-8", "replace").split("\n") if job.log.is_file() else []
    last = next((line.strip().removeprefix("vidfer: ") for line in reversed(lines) if line.strip()), "it said nothing")
    raise VidferError(f"{name}: {job}, and the steps after it are cancelled: {last} (see {job.log})")


def _submit(step: Step, after: Sequence[str], folder: Path, submission: Submission) -> Job:
    own, given = submission.by_step.get(step.name) or {}, submission.by_step
    options = {
        "job-name": f"vidfer-{step.name}",
        "cpus-per-task": submission.cpus,
        **_devices(step),
        **{name: value for name, value in given.items() if name not in STEPS},
        **own,
        **submission.options,
        "output": folder / f"{step.key}.log",
        "ntasks": 1,
    }
    if after:
        options |= {"dependency": f"afterok:{':'.join(after)}", "kill-on-invalid-dep": "yes"}
    words = ["sbatch", "--parsable", *(f"--{name}={value}" for name, value in options.items()), str(_SCRIPT)]
    words += ["env", "-u", "SLURM_NTASKS"]  # so that Lightning starts the processes of several devices itself
    words += [sys.executable, "-m", "vidfer", "pipeline", "run", *submission.command, "--until", step.name]
    words += submission.target[1] if submission.target[0] == step.name else ()
    answer = subprocess.run(words, text=True, capture_output=True, check=False)
    if answer.returncode:
        said = " ".join(answer.stderr.replace("sbatch: error: ", "").split())
        raise UsageError(f"sbatch does not take the job of {step.name}: {said}")
    number = answer.stdout.strip().partition(";")[0]
    write_atomic(folder / f"{step.key}.json", json.dumps({"job": number, "step": step.name}))
    return Job(number, folder / f"{step.key}.log", "PENDING")


def _devices(step: Step) -> dict[str, Any]:
    """Return the GPUs that a training's `trainer` asks for."""
    trainer = step.settings.get("trainer", {})
    if trainer.get("num_nodes", 1) != 1:
        raise UsageError(f"{step.name}: a pipeline's training runs on one node; for more, see docs/how-to/cluster.md")
    devices = trainer.get("devices", 1)
    on_gpu = trainer.get("accelerator") in ("cuda", "gpu") and isinstance(devices, int) and devices > 0
    return {"gpus-per-node": devices} if on_gpu else {}


def _queue() -> dict[str, tuple[str, int]]:
    """Return the state of each of this user's jobs that SLURM knows, and how often it was requeued."""
    if shutil.which("squeue") is None:  # asked elsewhere than on the cluster
        return {}
    words = ["squeue", "--me", "--noheader", "--states=all", f"--Format={_COLUMNS}"]
    answer = subprocess.run(words, text=True, capture_output=True, check=False)
    if answer.returncode:
        raise VidferError(f"SLURM does not answer: {' '.join(answer.stderr.split())}")
    rows = [line.split() for line in answer.stdout.splitlines() if line.strip()]
    return {number: (state, int(requeued)) for number, state, requeued in rows}
