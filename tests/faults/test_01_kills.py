import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def storm(folder, kills, kind):
    command = [sys.executable, "-m", "tests.faults.storm", str(folder), str(kills), kind, "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240)
    return json.loads(done.stdout)


def test_kills_lose_nothing_and_a_naive_writer_shows_that_they_could(tmp_path):
    told = storm(tmp_path, 15, "atomic")
    assert told["kills"] >= 15
    assert told["wrong"] == 0
    assert told["torn"] > 0
    assert storm(tmp_path, 10, "naive")["wrong"] > 0, "the test cannot tell a safe writer from an unsafe one"


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(tmp_path, figure):
    told = storm(tmp_path, 200, "atomic")
    assert told["kills"] >= 200
    assert told["torn"] >= 50, "too few kills landed in the middle of a write to prove anything"
    assert told["wrong"] == 0
    control = storm(tmp_path, 40, "naive")
    assert control["wrong"] > 0, "the test cannot tell a safe writer from an unsafe one"
    figure(
        f"{told['kills']} kills, {told['torn']} in the middle of a write, in {told['runs']} runs: {told['wrong']} wrong"
    )
    figure(f"naive writer: {control['wrong']} of {control['runs']} runs wrong")
