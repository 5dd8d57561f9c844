"""Kills of a run that has a session of its own: the parent alone, a child alone, or all at once."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.command import kill_session, members
from tests.faults.results import artifacts

Run = subprocess.Popen[str]

PATIENCE = 25.0  # s; on a quiet machine all have ended within one


def seconds_until_gone(session: int) -> float:
    """Wait until no process of a session is left, and return how long that took."""
    began = time.monotonic()
    while left := members(session):
        assert time.monotonic() - began < PATIENCE, [process.cmdline() for process in left]
        time.sleep(0.05)
    return time.monotonic() - began


def kill_something(run: Run, dice: random.Random) -> str:
    """Kill `parent`, `child` or `session`, and say which it was; a run goes on after the loss of a child."""
    how = dice.choice(["parent", "child", "session"])
    children = [process for process in members(run.pid) if process.pid != run.pid]
    if how == "child" and children:
        with suppress(psutil.NoSuchProcess):  # it has just ended by itself
            dice.choice(children).send_signal(signal.SIGKILL)
        return how
    if how == "session":
        kill_session(run.pid)
    else:
        how = "parent"
        os.kill(run.pid, signal.SIGKILL)
    run.wait()
    return how


class Storm:
    """Kills of a run on one store, which is started again each time.

    Args:
        store: What it writes to.
        start: Starts it, in a session of its own.
        seed: Of the moments and of what is killed.
    """

    def __init__(self, store: Path, start: Callable[[], Run], seed: int) -> None:
        self.store, self.start, self.dice = store, start, random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.slowest = 0.0

    def kill(self, run: Run | None, wanted: int) -> Run | None:
        """Kill something of the run, or of a new one, once so many artifacts are stored, and a little later.

        Returns the run if it goes on. One that has ended before is not counted.
        """
        run = run or self.start()
        while run.poll() is None and len(artifacts(self.store)) < wanted:
            time.sleep(0.02)
        time.sleep(self.dice.uniform(0.0, 0.4))
        if run.poll() is None:
            how = kill_something(run, self.dice)
            self.kills[how] += 1
            if how == "child":
                return run
        self.slowest = max(self.slowest, seconds_until_gone(run.pid))
        return None

    def rage(self, step: Callable[[Run | None], Run | None], ended: Callable[[], bool]) -> None:
        """Do steps, each of which returns the run if it goes on; after each end, what was stored before is not written anew."""
        run, seen = None, {}
        try:
            while not ended():
                run = step(run)
                if run is None:
                    now = artifacts(self.store)
                    assert seen.items() <= now.items()
                    seen = now
        finally:
            if run is not None:
                kill_session(run.pid)
                run.wait()

    def told(self) -> str:
        """How many kills there were, and of what."""
        kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(self.kills.items()))
        return f"{self.kills.total()} kills ({kinds})"
