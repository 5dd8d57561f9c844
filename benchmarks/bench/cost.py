"""CPU seconds, time by the clock and memory of processes with all their children."""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER of Linux
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU seconds with all children, seconds by the clock, and, if sampled, the peak memory of all in MB."""

    cpu: float
    wall: float
    peak: float | None = None


class CommandError(RuntimeError):
    """A command that was to be measured failed."""


def run(command: Sequence[str | Path], *, memory: bool = False, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, and to that of whatever it left behind, and return what it cost.

    Memory is sampled every 50 ms, which disturbs times a little: those of a run with `memory` are not to be quoted.

    Raises:
        CommandError: It ended with another status than 0.
    """
    _adopt_orphans()
    here = set(_children())
    before, started, peak = _children_cpu(), time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(word) for word in command], stdout=said, stderr=said, cwd=ROOT, env={**os.environ, **(env or {})}
        )
        if memory:
            while process.poll() is None:
                peak = max(peak, sum(map(resident, tree(process.pid))))
                time.sleep(0.05)
        status, wall = process.wait(), time.perf_counter() - started
        if status:
            said.seek(0)
            raise CommandError(f"{' '.join(map(str, command))} ended with {status}:\n{said.read().decode()[-2000:]}")
    while left := set(_children()) - here:  # children of this process that it keeps are not waited for
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return Cost(_children_cpu() - before, wall, peak if memory else None)


def vidfer(*words: str | Path) -> list[str]:
    """Return the command line of `vidfer` with this interpreter."""
    return [sys.executable, "-m", "vidfer", *map(str, words)]


def call(function: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Call `module.function` of this package in a process of its own and return its result; both ways as JSON.

    Raises:
        CommandError: The process failed.
    """
    command = [sys.executable, "-m", "benchmarks.bench.child", function, json.dumps(arguments, default=str)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}  # threads that spin are no floor
    ended = subprocess.run(command, capture_output=True, cwd=ROOT, env=env, check=False)
    if ended.returncode:
        raise CommandError(f"{function} ended with {ended.returncode}:\n{ended.stderr.decode()[-2000:]}")
    return json.loads(ended.stdout.decode().splitlines()[-1])


class Spent:
    """CPU seconds of this process alone and time by the clock, summed over the blocks of `with spent:`."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time() - self._cpu
        self.wall += time.perf_counter() - self._wall


@contextmanager
def whole_tree() -> Iterator[list[Cost]]:
    """Measure a block in this process, with the children that run on after it: the list has its cost when it ends."""
    found: list[Cost] = []
    cpu, wall = tree_cpu(), time.perf_counter()
    yield found
    found.append(Cost(tree_cpu() - cpu, time.perf_counter() - wall))


def tree_cpu() -> float:
    """Return the CPU seconds so far of this process, of children that ended, and of those that run."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    running = 0
    for pid in tree(os.getpid())[1:]:
        with suppress(OSError):
            running += sum(int(field) for field in _stat(pid)[11:15])
    return own.ru_utime + own.ru_stime + _children_cpu() + running / _TICKS


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it; only the process where there is no /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


def _children() -> list[int]:
    """Return the processes whose parent is this one, those included that ended and were not waited for."""
    return [pid for pid in tree(os.getpid())[1:] if _parent(pid) == os.getpid()]


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(_stat(pid)[1])
    return None


def resident(pid: int) -> float:
    """Return a process's memory in MB; pages that several share are divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, the third."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _adopt_orphans() -> None:
    """Become the parent of what a command leaves behind, so that none of its CPU time is lost; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
