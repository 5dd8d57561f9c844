"""A whole `vidfer analyze` killed again and again: the parent alone, a child alone, or all at once."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import environment, kill_session, start, vidfer
from tests.faults.killing import Storm, seconds_until_gone
from tests.faults.results import artifacts, difference, left_behind, results
from vidfer.pipeline.store import Store

CLIPS, KILLS, STAGES = 20, 20, 7

PARENT = """
import sys, time
from vidfer.pipeline.workers import run_all

def work(item, progress):
    progress("only", 0.5)
    time.sleep(600)

if __name__ == "__main__":
    list(run_all(work, [1, 2, 3], 2, lambda at, *_: print(at, flush=True)))
"""


def test_workers_end_with_a_parent_that_is_killed_and_not_only_when_their_clip_is_done(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), start_new_session=True) as parent:
        try:
            assert {parent.stdout.readline(), parent.stdout.readline()} == {b"0\n", b"1\n"}
            parent.kill()
            parent.wait()
            seconds_until_gone(parent.pid)
        finally:
            kill_session(parent.pid)


class Killed:
    """A run over clips that is started again each time it is killed, each start with its log."""

    def __init__(self, clips: Path, folder: Path, jobs: int, seed: int) -> None:
        self.store, self.out, self.folder = folder / "store", folder / "out", folder
        self.words = ["analyze", clips, "--store", self.store, "--out", self.out, "--jobs", str(jobs), "-q"]
        self.logs: list[Path] = []
        self.storm = Storm(self.store, self.start, seed)

    def start(self):
        self.logs.append(self.folder / f"log-{len(self.logs)}")
        words = [*self.words, "--log-file", self.logs[-1]]
        return start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, run):
        """Kill something when some more is stored."""
        more = len(artifacts(self.store)) + self.storm.dice.randrange(9)
        return self.storm.kill(run, min(more, CLIPS * STAGES))

    def recomputed(self) -> tuple[int, int]:
        """How many clips were at work in more than one run, by the number of these, and stages computed again after they were."""
        runs, stages = Counter(), Counter()
        for log in self.logs:
            said = log.read_text() if log.exists() else ""  # it was killed before
            found = re.findall(r"DEBUG (\S+): (\w+) computed in \S+ s \((\w+)\)", said)
            runs.update({clip for clip, *_ in found})
            stages.update((clip, stage) for clip, stage, status in found if status != "crashed")
        return sum(runs.values()) - len(runs), sum(stages.values()) - len(stages)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS):
        write_face_clip(folder / f"{number:02}.mp4", number)
    return folder


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = vidfer("analyze", clips, "--store", folder / "store", "--out", folder / "out", "-q", timeout=600)
    assert done.returncode == 0, done.stderr
    return results(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_was_killed_again_and_again_ends_as_one_that_nobody_disturbed(
    clips, tmp_path, undisturbed, jobs, figure
):
    killed = Killed(clips, tmp_path, jobs, seed=jobs)
    killed.storm.rage(killed.kill, lambda: killed.storm.kills.total() >= KILLS)
    before = artifacts(killed.store)
    done = vidfer(*killed.words, "--log-file", tmp_path / "last", timeout=600)
    killed.logs.append(tmp_path / "last")
    assert done.returncode == 0, done.stderr
    assert difference(results(killed.out), undisturbed) == {}
    assert before.items() <= artifacts(killed.store).items(), "something stored was computed again"
    clips_again, stages_again = killed.recomputed()
    assert clips_again <= jobs * killed.storm.kills.total()
    assert (
        stages_again <= STAGES * jobs * killed.storm.kills["child"]
    )  # of a clip whose child was killed nothing later is stored
    store = Store(killed.store)
    assert not any(store.fault(path) for path in store.folders())
    assert left_behind(killed.store, killed.out) == []
    figure(
        f"--jobs {jobs}: {killed.storm.told()} over {CLIPS} clips: {clips_again} clips begun again, "
        f"{stages_again} stages computed again, no process left after {killed.storm.slowest:.1f} s"
    )
