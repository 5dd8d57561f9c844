"""The `vidfer` command in processes of its own, which tests may kill, and what it leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def environment(**more: str | None) -> dict[str, str]:
    """This process' environment with one thread a library; None takes a variable out."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}
    return {name: value for name, value in env.items() if value is not None}


def start(*words: str | Path, **options: object) -> subprocess.Popen[str]:
    """Start `vidfer WORDS` in a session of its own; both streams are pipes unless `options` say otherwise."""
    command = [sys.executable, "-m", "vidfer", *map(str, words)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment()}
    return subprocess.Popen(command, start_new_session=True, **{**settings, **options})


def vidfer(*words: str | Path, timeout: float = 300, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `vidfer WORDS` to its end; past `timeout` seconds its whole session is killed and TimeoutExpired raised."""
    with start(*words, **options) as run:
        try:
            out, err = run.communicate(timeout=timeout)
        except BaseException:
            kill_session(run.pid)
            raise
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


def members(session: int) -> list[psutil.Process]:
    """The living processes of a session, zombies left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue  # it ended while the list was made
    return found


def kill_session(session: int) -> int:
    """Kill every process of a session (SIGKILL); return how many there were."""
    killed = 0
    for process in members(session):
        try:
            process.send_signal(signal.SIGKILL)
            killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def tree(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, by their relative paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
