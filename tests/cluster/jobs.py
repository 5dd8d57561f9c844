"""SLURM's own commands, as tests use them."""

import subprocess
import time


def submit(*words):
    """Submit a job by sbatch and return its number."""
    return subprocess.run(
        ["sbatch", "--parsable", *map(str, words)], check=True, text=True, capture_output=True
    ).stdout.strip()


def state_of(job):
    """Return the state of a job, such as RUNNING, and how often it was requeued."""
    shown = subprocess.run(["scontrol", "show", "job", "-o", job], check=True, text=True, capture_output=True).stdout
    words = dict(word.partition("=")[::2] for word in shown.split())
    return words["JobState"], int(words["Restarts"])


def wait_until(seconds, question):
    """Wait until a question is answered by yes."""
    until = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.2)


def ended(job):
    """Tell whether a job has ended for good."""
    return state_of(job)[0] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
