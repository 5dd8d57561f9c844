"""How the training stages start: without a warning, and soon."""

import os
import resource
import subprocess
import sys

import pytest

CONFIGS = {"denoise": "denoise", "finetune": "finetune", "classify": "classify"}


@pytest.mark.slow
@pytest.mark.parametrize("stage", CONFIGS)
@pytest.mark.parametrize(
    "words", [["fit", "--config=configs/{}.yaml", "--print_config"], ["fit", "--help"], ["--help"]]
)
def test_help_and_settings_come_soon_and_without_warnings(stage, words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [word.format(CONFIGS[stage]) for word in words]
    run = subprocess.run(
        [sys.executable, "-W", "default", "-m", f"stages.{stage}", *words],
        capture_output=True, text=True, timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout
    assert (
        used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 12
    )  # s; wall time means nothing on busy machines
