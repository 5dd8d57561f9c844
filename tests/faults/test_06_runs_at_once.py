"""Several runs at once on one store."""

import os
import random

import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import members, start, vidfer
from tests.faults.results import difference, digests, left_behind, results
from tests.faults.storm import CLIPS, fork_writer, write_all
from vidfer.pipeline.store import Store


def test_four_writers_of_one_store_agree(tmp_path):
    dice = random.Random(6)
    clips = [tmp_path / f"clip{number}.bin" for number in range(CLIPS)]
    for clip in clips:
        clip.write_bytes(dice.randbytes(5_000))
    write_all(Store(tmp_path / "alone"), clips)
    writers = [fork_writer(Store, tmp_path / "store", clips if each % 2 else clips[::-1]) for each in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in writers] == [0, 0, 0, 0]
    assert digests(tmp_path / "store") == digests(tmp_path / "alone") != {}
    assert left_behind(tmp_path / "store") == []


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_face_clip(folder / f"{number}.mp4", number, frames=10 + 5 * number)
    return folder


def analyze(clips, folder, *words):
    done = vidfer("analyze", clips, "--store", folder / "store", "--out", folder / "out", "-q", *words, timeout=600)
    assert done.returncode == 0, done.stderr
    return results(folder / "out")


OPTIONS = ([], ["--fps", "2", "--abstain", "0.5"])


@pytest.mark.slow
def test_four_runs_at_once_agree_with_runs_alone(clips, tmp_path, figure):
    """Two of the four with other options, one of each kind with two jobs."""
    alone = [analyze(clips, tmp_path / f"alone{which}" / "run", *words) for which, words in enumerate(OPTIONS)]
    runs = []
    for number in range(4):
        out = tmp_path / f"{number}" / "run" / "out"
        words = ["analyze", clips, "--store", tmp_path / "store", "--out", out, "-q", "--jobs", str(1 + number // 2)]
        runs.append((out, start(*words, *OPTIONS[number % 2])))
    for number, (out, run) in enumerate(runs):
        said, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
        assert "Traceback" not in said + err
        assert difference(results(out), alone[number % 2]) == {}
        assert members(run.pid) == []
    together = digests(tmp_path / "store")
    assert together == {**digests(tmp_path / "alone0/run/store"), **digests(tmp_path / "alone1/run/store")}
    assert left_behind(tmp_path / "store", *(out for out, _ in runs)) == []
    figure(f"4 runs at once, of 2 sets of options: {len(together)} artifacts and all tables as of runs alone, no error")


@pytest.mark.slow
def test_two_runs_at_once_into_one_folder_agree(clips, tmp_path):
    alone = analyze(clips, tmp_path / "alone")
    words = ["analyze", clips, "--store", tmp_path / "store", "--out", tmp_path / "together" / "out", "-q"]
    runs = [start(*words) for _ in range(2)]
    for run in runs:
        _, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
    assert difference(results(tmp_path / "together" / "out"), alone) == {}
    assert left_behind(tmp_path / "store", tmp_path / "together") == []
