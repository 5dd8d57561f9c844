"""Kills of a run that has a session of its own: the parent alone, a child alone, or all at once."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress

import psutil

from tests.faults.command import kill_session, members

PATIENCE = 25.0  # s; on a quiet machine all have ended within one


def seconds_until_gone(session: int) -> float:
    """Wait until no process of a session is left, and return how long that took."""
    began = time.monotonic()
    while left := members(session):
        assert time.monotonic() - began < PATIENCE, [process.cmdline() for process in left]
        time.sleep(0.05)
    return time.monotonic() - began


def kill_something(run: "subprocess.Popen[str]", dice: random.Random) -> str:
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
