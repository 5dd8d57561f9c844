"""A whole `vidfer analyze` killed again and again: the parent alone, a child alone, or all at once."""

import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import environment, kill_session, start, vidfer
from tests.faults.killing import kill_something, seconds_until_gone
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
        self.dice, self.jobs = random.Random(seed), jobs
        self.logs: list[Path] = []
        self.kills: Counter[str] = Counter()
        self.slowest = 0.0

    def start(self):
        self.logs.append(self.folder / f"log-{len(self.logs)}")
        words = [*self.words, "--log-file", self.logs[-1]]
        return start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for_a_moment(self, run) -> bool:
        """Wait until some more is stored, and then a little; False if the run has ended."""
        wanted = min(len(artifacts(self.store)) + self.dice.randrange(9), CLIPS * STAGES)
        while run.poll() is None and len(artifacts(self.store)) < wanted:
            time.sleep(0.02)
        time.sleep(self.dice.uniform(0.0, 0.4))
        return run.poll() is None

    def kill(self, run) -> bool:
        """Kill something of the run; return whether the run goes on."""
        how = kill_something(run, self.dice)
        self.kills[how] += 1
        if how == "child":
            return True
        self.slowest = max(self.slowest, seconds_until_gone(run.pid))
        return False

    def storm(self) -> None:
        """Kill until it was done so often, and check after each death that nothing stored was written anew."""
        run, seen = None, {}
        try:
            while self.kills.total() < KILLS:
                run = run or self.start()
                if self.wait_for_a_moment(run) and self.kill(run):
                    continue
                run = None
                now = artifacts(self.store)
                assert seen.items() <= now.items()
                seen = now
        finally:
            if run is not None:
                kill_session(run.pid)
                run.wait()

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
    killed.storm()
    before = artifacts(killed.store)
    done = vidfer(*killed.words, "--log-file", tmp_path / "last", timeout=600)
    killed.logs.append(tmp_path / "last")
    assert done.returncode == 0, done.stderr
    assert difference(results(killed.out), undisturbed) == {}
    assert before.items() <= artifacts(killed.store).items(), "something stored was computed again"
    clips_again, stages_again = killed.recomputed()
    assert clips_again <= jobs * killed.kills.total()
    assert (
        stages_again <= STAGES * jobs * killed.kills["child"]
    )  # of a clip whose child was killed nothing later is stored
    store = Store(killed.store)
    assert not any(store.fault(path) for path in store.folders())
    assert left_behind(killed.store, killed.out) == []
    kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(killed.kills.items()))
    figure(
        f"--jobs {jobs}: {killed.kills.total()} kills ({kinds}) over {CLIPS} clips: {clips_again} clips begun again, "
        f"{stages_again} stages computed again, no process left after {killed.slowest:.1f} s"
    )
