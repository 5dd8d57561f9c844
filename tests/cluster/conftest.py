"""A real SLURM of one node for tests, see slurm.sh: started for a module, stopped after it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = Path(__file__).with_name("slurm.sh")
SKIPPED = 77  # slurm.sh's exit status where SLURM cannot start


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Point sbatch and the others at a SLURM of this module's own; returns its folder."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        started = subprocess.run([SCRIPT, "start", folder], text=True, capture_output=True, timeout=90)
        if started.returncode == SKIPPED:
            pytest.skip(started.stderr.strip().splitlines()[-1])
        assert started.returncode == 0, started.stderr
        name, _, value = started.stdout.removeprefix("export ").strip().partition("=")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            patch.setenv("PYTHONPATH", str(ROOT))
            patch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
            yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False, timeout=90)
