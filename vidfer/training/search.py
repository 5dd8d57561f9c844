"""A search of hyper-parameters on this machine: trials by Optuna, each a run of the pipeline in a process of its own.

The journal in the folder is the one record. Several processes, on several machines of one file system, may work on it at once;
each trial's lock is held by who runs it: a trial that is begun and not locked was killed, and is run again with its values.
"""

import csv
import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import yaml

from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.lock import is_locked, locked
from vidfer.training.space import Value
from vidfer.training.study import grid_points, make_sampler, open_study
from vidfer.training.sweep import Sweep, best_settings, read_entries, trial_command
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    import optuna

DEFAULT_TRIALS: Final = 20
"""Where neither the command line nor the file says how many, and it is no grid."""

_FAILURES: Final = 3  # in a row, after which something is wrong with all
_LOOK = 0.2  # seconds between two looks at the trials that run
_WAIT = 1.0  # seconds between two looks at what other processes run
_JOURNAL, _SWEEP = "journal.log", "sweep.yaml"
_ENDED = (130, 143)  # exit statuses of a process that was asked to end


@dataclass(frozen=True)
class Trial:
    """One trial: its values, and the metric's last value, or why it has none.

    Args:
        number: From 0, in the order in which they were begun.
        values: By parameter.
        score: The metric; None of what failed or is not finished.
        seconds: How long it took, without what was found stored.
        weights: File of the trained weights, in the store.
        reason: Of what failed, its last line.
    """

    number: int
    values: Mapping[str, Value]
    score: float | None = None
    seconds: float | None = None
    weights: str = ""
    reason: str = ""


@dataclass
class _Running:
    """A trial at work in this process."""

    trial: "optuna.Trial"
    values: dict[str, Value]
    folder: Path
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]
    lock: ExitStack
    begun: float = field(default_factory=time.monotonic)


class Search:
    """A sweep's search in a folder, begun or gone on with.

    Args:
        sweep: What is searched.
        folder: Journal, logs and results of this sweep alone.
        count: Trials in all, those that are there included; None: the file's `run_cap`, or the whole grid.
        jobs: Trials at once in this process.
        wandb: Let the trials send what the file's command says.
        tell: Takes a line on each trial.

    Raises:
        UsageError: The folder holds another sweep, or the pipeline takes no such values.
        VidferError: The journal cannot be read.
    """

    def __init__(
        self,
        sweep: Sweep,
        folder: Path,
        count: int | None = None,
        jobs: int = 1,
        *,
        wandb: bool = False,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.sweep, self.folder, self._jobs, self._wandb, self._tell = sweep, folder, jobs, wandb, tell
        self._grid = grid_points(sweep)
        wanted = count or sweep.cap or len(self._grid) or DEFAULT_TRIALS
        self.count = min(wanted, len(self._grid)) if self._grid else wanted
        best_settings(sweep, {each.name: each.grid()[0] for each in sweep.parameters})  # else every trial would fail
        with locked(folder / "lock"):
            self._require_same()
            self._study = open_study(sweep, folder / _JOURNAL)
        self._running: list[_Running] = []
        self._given_up: list[int] = []
        self._failed = 0

    def run(self) -> None:
        """Run trials until there are enough, also those that another process runs; what is finished is not run again.

        Raises:
            UsageError: The metric is not among a trial's figures.
            VidferError: Trials failed one after another.
        """
        try:
            while True:
                for each in [each for each in self._running if each.process.poll() is not None]:
                    self._running.remove(each)
                    with each.lock:
                        self._finish(each)
                while len(self._running) < self._jobs and self._start():
                    pass
                if not self._running and not self._open():
                    return
                time.sleep(_LOOK if self._running else _WAIT)
        finally:
            for each in self._running:
                each.process.terminate()
            for each in self._running:
                with each.lock:
                    each.process.wait()
                    each.output.close()

    def trials(self) -> list[Trial]:
        """Return all trials: the finished ones from the best on, then those that failed, then those that are not finished."""
        import optuna

        found = []
        for each in self._study.get_trials(deepcopy=False):
            if each.state != optuna.trial.TrialState.WAITING:
                finished = each.state == optuna.trial.TrialState.COMPLETE
                about = {
                    name: each.user_attrs[name] for name in ("seconds", "weights", "reason") if name in each.user_attrs
                }
                values = each.user_attrs.get("values", each.params)
                found.append(Trial(each.number, values, each.value if finished else None, **about))
        sign = -1 if self.sweep.maximize else 1
        return sorted(
            found, key=lambda each: (each.score is None, not each.reason, sign * (each.score or 0), each.number)
        )

    def importances(self) -> dict[str, float]:
        """Return how much of the metric's variance each parameter that varies explains by itself (fANOVA), from the most on."""
        from optuna.importance import FanovaImportanceEvaluator

        varied = [each.name for each in self.sweep.parameters if not each.fixed]
        found = FanovaImportanceEvaluator(seed=0).evaluate(self._study, varied)
        return dict(sorted(found.items(), key=lambda each: -each[1]))

    def _open(self) -> bool:
        """Tell whether another process still runs a trial, or has left one that can be run here."""
        import optuna

        begun = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        return any(each.number not in self._given_up for each in begun)

    def _require_same(self) -> None:
        """Write what the folder holds, or hold the sweep against it."""
        kept = {name: self.sweep.content.get(name) for name in ("method", "metric", "parameters", "command")}
        path = self.folder / _SWEEP
        if not path.is_file():
            write_atomic(path, yaml.safe_dump(kept, sort_keys=False))
            return
        before = read_entries(path)
        different = [name for name in kept if kept[name] != before.get(name)]
        if different:
            raise UsageError(
                f"{self.folder} holds a sweep of another {' and '.join(different)} than {self.sweep.path}: give another "
                "folder by --out, or remove it"
            )

    def _start(self) -> bool:
        """Start a trial, one that was killed before a new one; False where there are enough."""
        with ExitStack() as held:
            with locked(self.folder / "lock"):
                trial = self._next()
                if trial is None:
                    return False
                values = {each.name: each.draw(trial) for each in self.sweep.parameters}
                folder = self._folder(trial.number)
                held.enter_context(locked(folder / "lock"))
            trial.set_user_attr("values", values)  # rounded
            output = held.enter_context((folder / "weights.txt").open("wb"))
            with (folder / "log.txt").open("ab") as log:
                words = trial_command(self.sweep, values, wandb=self._wandb)
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=log)
            self._running.append(_Running(trial, values, folder, process, output, held.pop_all()))
        return True

    def _next(self) -> "optuna.Trial | None":
        """Return a trial to run, under the folder's lock."""
        import optuna

        state = optuna.trial.TrialState
        trials = self._study.get_trials(deepcopy=False)
        for each in trials:
            left = each.state == state.RUNNING and not is_locked(self._folder(each.number) / "lock")
            if left and each.number not in self._given_up:
                return optuna.trial.Trial(self._study, each._trial_id)
        counted = [each for each in trials if each.state in (state.COMPLETE, state.RUNNING)]
        if len(counted) >= self.count:
            return None
        if self._grid and not any(each.state == state.WAITING for each in trials):
            tried = [each.params for each in trials if each.state in (state.COMPLETE, state.RUNNING)]
            tried += [each.params for each in trials if each.number in self._given_up]
            point = next((point for point in self._grid if point not in tried), None)
            if point is None:
                return None
            self._study.enqueue_trial(point)
        self._study.sampler = make_sampler(self.sweep, len(trials))
        return self._study.ask()

    def _finish(self, done: _Running) -> None:
        """Record how a trial ended."""
        done.output.close()
        number, status = done.trial.number, done.process.returncode
        if status < 0 or status in _ENDED:
            self._given_up.append(number)
            self._count_failure(done, "it was ended by a signal; the same command runs it again")
            return
        reason, score = "", math.nan
        if status:
            reason = _last_line(done.folder / "log.txt")
        else:
            weights = Path(_last_line(done.folder / "weights.txt"))
            done.trial.set_user_attr("weights", str(weights))
            score = self._score(weights)
            reason = "" if math.isfinite(score) else f"{self.sweep.metric} is {score}"
        seconds = round(time.monotonic() - done.begun, 1)
        done.trial.set_user_attr("seconds", seconds)
        if reason:
            import optuna

            done.trial.set_user_attr("reason", reason)
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)
            self._given_up.append(number)
            self._count_failure(done, reason)
            return
        self._study.tell(number, score)
        self._failed = 0
        best = self._study.best_trial
        self._tell(
            f"trial {number}: {self.sweep.metric} {score:.4f}, {seconds:.0f} s ({shown(done.values)}); "
            f"best {best.value:.4f} (trial {best.number})"
        )

    def _count_failure(self, done: _Running, reason: str) -> None:
        self._tell(f"trial {done.trial.number} failed ({shown(done.values)}): {reason}")
        self._failed += 1
        if self._failed == _FAILURES:
            raise VidferError(
                f"{_FAILURES} trials failed in a row, the last one with: {reason} (see {done.folder / 'log.txt'}); "
                "what is finished is kept, run the same command again to go on"
            )

    def _score(self, weights: Path) -> float:
        """Return the last value of the metric in the figures of a training."""
        with weights.with_name("metrics.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = [row[self.sweep.metric] for row in rows if row.get(self.sweep.metric)]
        if not found:
            there = sorted({name for row in rows for name, value in row.items() if value} - {"step", "epoch"})
            raise UsageError(
                f"{self.sweep.path}: the metric '{self.sweep.metric}' is not among a trial's figures: {', '.join(there)}"
            )
        return float(found[-1])

    def _folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:04d}"


def shown(values: Mapping[str, Value]) -> str:
    """Write values for people: names without section and group, numbers with four digits."""
    return ", ".join(f"{short_name(name)} {short_value(value)}" for name, value in values.items())


def short_name(name: str) -> str:
    """Return a parameter's last word."""
    return name.rpartition(".")[2]


def short_value(value: Value) -> str:
    """Write a value for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _last_line(path: Path) -> str:
    lines: Sequence[Any] = [line.strip() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    return str(lines[-1]).removeprefix("vidfer: ") if lines else "it said nothing"
