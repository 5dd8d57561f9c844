"""The SLURM that the other tests use: two at once, and nothing left behind."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import SCRIPT, SKIPPED

pytestmark = pytest.mark.slow


def processes_of(folder):
    """Return the command lines of processes whose environment or arguments name a folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            arguments, environment = (each / "cmdline").read_bytes(), (each / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if str(folder).encode() in arguments + environment and int(each.name) != os.getpid():
            found.append(arguments)
    return found


def test_jobs_run(slurm):
    answer = subprocess.run(
        ["srun", "--partition=high", "printenv", "SLURM_JOB_PARTITION"], text=True, capture_output=True
    )

    assert answer.stdout == "high\n", answer.stderr


def test_another_one_beside_it_leaves_nothing_behind_though_a_job_was_running(slurm, tmp_path):
    started = subprocess.run([SCRIPT, "start", tmp_path / "other"], text=True, capture_output=True)
    assert started.returncode == 0, started.stderr
    environment = {**os.environ, "SLURM_CONF": str(tmp_path / "other" / "slurm.conf")}
    submit = ["sbatch", f"--output={tmp_path}/job.log", "--wrap", "trap '' TERM; echo begun; sleep 600"]
    subprocess.run(submit, env=environment, check=True, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not (tmp_path / "job.log").is_file() or "begun" not in (tmp_path / "job.log").read_text():
        assert time.monotonic() < until
        time.sleep(0.2)
    ours = subprocess.run(["squeue", "--noheader"], text=True, capture_output=True, check=True).stdout
    assert ours == ""  # the job is the other's
    assert len(processes_of(tmp_path)) >= 4

    subprocess.run([SCRIPT, "stop", tmp_path / "other"], check=True, timeout=60)

    assert processes_of(tmp_path) == []


def test_a_folder_that_is_in_use_is_left_alone(tmp_path):
    (tmp_path / "slurm.conf").touch()
    again = subprocess.run([SCRIPT, "start", tmp_path], text=True, capture_output=True)

    assert again.returncode == SKIPPED
    assert "holds one already" in again.stderr
