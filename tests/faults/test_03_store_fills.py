"""A store whose disk is full: on a real small file system, where one can be mounted."""

import subprocess

import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import vidfer
from tests.faults.results import results


@pytest.mark.slow
def test_a_store_that_fills_up_says_so_and_goes_on(tmp_path):
    (tmp_path / "clips").mkdir()
    for number in range(4):
        write_face_clip(tmp_path / "clips" / f"{number}.mp4", number)
    alone = ["analyze", tmp_path / "clips", "--store", tmp_path / "store", "--out", tmp_path / "alone" / "out"]
    assert vidfer(*alone).returncode == 0
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        words = ["analyze", tmp_path / "clips", "--store", small, "--out", tmp_path / "full" / "out"]
        done = vidfer(*words)
        assert done.returncode == 1
        assert "is full" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
        done = vidfer(*words)
        assert done.returncode == 0, done.stderr
        assert results(tmp_path / "full" / "out") == results(tmp_path / "alone" / "out")
    finally:
        subprocess.run(["umount", str(small)], check=True)
