"""Several `vidfer analyze` at once, and one that is killed: whole processes, so slow."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from vidfer.datasets.synthetic import write_demo_clip
from vidfer.pipeline.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_demo_clip(folder / f"{number}.mp4", seconds=1.0 + 0.2 * number, noise_sigma=2.0 + number)
    return folder


def start(clips, store, out, *more):
    command = [sys.executable, "-m", "vidfer.cli.main", "analyze", str(clips), "--store", str(store), "--out", str(out)]
    return subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(clips, folder / "store", folder / "out").wait() == 0
    return tree(folder / "out")


def test_four_concurrent_runs_agree(clips, tmp_path, undisturbed):
    runs = [start(clips, tmp_path / "store", tmp_path / f"out{n}", "--jobs", str(1 + n % 2)) for n in range(4)]
    for run in runs:
        _, err = run.communicate()
        assert run.returncode == 0, err
    for n in range(4):
        assert tree(tmp_path / f"out{n}") == undisturbed
    assert not any(Store(tmp_path / "store").fault(path) for path in Store(tmp_path / "store").folders())


def test_killed_again_and_again_then_finished(clips, tmp_path, undisturbed):
    dice = random.Random(3)
    for _ in range(8):
        run = start(clips, tmp_path / "store", tmp_path / "out")
        time.sleep(dice.uniform(4.0, 14.0))
        run.send_signal(signal.SIGKILL)
        run.wait()
    run = start(clips, tmp_path / "store", tmp_path / "out")
    _, err = run.communicate()
    assert run.returncode == 0, err
    assert tree(tmp_path / "out") == undisturbed
    verify = [sys.executable, "-m", "vidfer.cli.main", "cache", "verify", "--store", str(tmp_path / "store")]
    assert subprocess.run(verify, check=False).returncode == 0


def test_a_store_that_fills_up_says_so_and_goes_on(clips, tmp_path, undisturbed):
    """On a real small file system, where one can be mounted."""
    store = tmp_path / "small"
    store.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(store)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        run = start(clips, store, tmp_path / "out")
        _, err = run.communicate()
        assert run.returncode == 1
        assert "is full" in err
        assert "Traceback" not in err
        subprocess.run(["mount", "-o", "remount,size=200m", str(store)], check=True)
        run = start(clips, store, tmp_path / "out")
        _, err = run.communicate()
        assert run.returncode == 0, err
        assert tree(tmp_path / "out") == undisturbed
    finally:
        subprocess.run(["umount", str(store)], check=True)


def test_json_lines_are_json(clips, tmp_path):
    command = [sys.executable, "-m", "vidfer.cli.main", "analyze", str(clips), "--store", str(tmp_path / "s"), "--json"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "o"), "--jobs", "2"], capture_output=True, text=True, check=True
    )
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["ok"] * 4
