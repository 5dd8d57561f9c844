"""`vidfer purge` killed at any moment: the same command ends it, and nothing half removed is taken for a result meanwhile."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import ROOT, environment, kill_session, start, tree, vidfer
from tests.faults.killing import seconds_until_gone
from tests.faults.results import difference, results
from tests.toy import Count, Largest
from vidfer.api import ClipResult, write_result
from vidfer.pages.run import finish_run
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.types import ClipError, Status

STEP, KILLS = 13, 24
KILLS = 12
PIXELS = {"anna.bin": b"\x89her face\x00", "bob.bin": b"\x89his face\x00"}
OF_BOTH = ("plots/x.png", "plots/x.svg", "compare/compare_film.csv")


def write_place(place: Path) -> dict[str, bytes]:
    """Write two clips with what a store, a folder of results, exports, figures and a log have of them; return all of bob's."""
    place.mkdir()
    os.chdir(place)
    for name in ("bob.bin", "anna.bin"):
        Path(name).write_bytes(name.encode())
        with finished((Count(), Largest()), "largest", Path(name), Store(Path("store"))):
            pass
        failed = ClipResult.failed(Path(name), ClipError(Status.CORRUPT, f"{name} is torn"), name)
        failed.summary["provenance"] = {"source_blake3": file_digest(Path(name)), "stages": {}}
        failed.summary["consent"] = {"consent": "yes" if name == "bob.bin" else "withdrawn"}
        write_result(failed, Path("run") / name)
        Path(f"run/{name}/poster.jpg").write_bytes(PIXELS[name])
        Path("run/export").mkdir(exist_ok=True)
        Path(f"run/export/{name}.vtt").write_text(name)
        if name == "bob.bin":
            of_bob = tree(place)
    for each in OF_BOTH:
        Path("run", each).parent.mkdir(exist_ok=True)
        Path("run", each).write_bytes(PIXELS["anna.bin"])
    Path("run/run.log").write_text("read anna.bin\nread bob.bin\n")
    finish_run(Path("run"), excel=False)
    return of_bob


def kill_at_each(place: Path, step: int) -> list[dict]:
    """Kill purges of a place in a process of its own, see `tests.faults.purging`."""
    digest = file_digest(place / "anna.bin")
    ways = {
        "path": ["--clip", "anna.bin"],
        "expired": ["--expired"],
        "digest": ["--clip", digest],
        "gone": ["--clip", "anna.bin"],
    }
    wanted = {"place": str(place), "ways": ways, "gone": ["gone"], "clip_id": "anna.bin", "step": step}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.purging", json.dumps(wanted)],
        cwd=ROOT, env=environment(TMPDIR=str(place.parent)), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_purge_that_was_killed_is_ended_by_the_same_command_and_serves_nothing_half_removed(
    tmp_path, monkeypatch, step, figure
):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "place"
    of_bob = write_place(place)
    traces = (file_digest(place / "anna.bin").encode(), b"anna", PIXELS["anna.bin"])
    trials = kill_at_each(place, step)
    for trial in trials:
        what = {name: value for name, value in trial.items() if name != "files"}
        assert trial["served"] == 0, what
        if trial["how"] == "gone" and trial["second"] == 2:
            assert "nothing in run is of it" in " ".join(trial["said"].split()), what
        else:
            assert trial["second"] == 0, what
            assert "Nothing is left there." in trial["said"], what
        after = {name: bytes.fromhex(data) for name, data in trial["files"].items() if name != "anna.bin"}
        assert {name: after.get(name) for name in of_bob} == of_bob, what
        left = [name for name, data in after.items() if "anna" in name or any(each in data for each in traces)]
        assert left == [], what
        assert not any(name.startswith("store/tmp/") for name in after), what
        assert after["run/run.log"] == b"read bob.bin\n"
        assert "run/index.html" in after
    killed = sum(trial["killed"] for trial in trials)
    assert killed > 4
    figure(
        f"purge: {killed} kills, each before another change: all ended by the same command, nothing half removed was served"
    )


@pytest.mark.slow
def test_a_purge_of_real_clips_is_killed_at_random_moments_and_they_are_analysed_again(tmp_path, monkeypatch, figure):
    """By another process, the parent alone or its session; a clip that is analysed after that gets its results whole."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    for number, name in enumerate(("anna.mp4", "bob.mp4")):
        write_face_clip(Path("clips") / name, number)
    analysis = ("analyze", "clips", "--store", "store", "--out", "run", "-q")
    assert vidfer(*analysis).returncode == 0
    assert vidfer("export", "run", "--format", "webvtt").returncode == 0
    for name in ("store", "run"):
        shutil.move(name, f"whole-{name}")
    undisturbed = {name: value for name, value in results(Path("whole-run")).items() if not name.startswith("export/")}
    dice, killed, slowest = random.Random(2), 0, 0.0
    for number in range(KILLS):
        for name in ("store", "run"):
            shutil.rmtree(name, ignore_errors=True)
            shutil.copytree(f"whole-{name}", name)
        words = ("purge", "--clip", "clips/anna.mp4", "--out", "run", "--store", "store", "--yes")
        with start(*words, stdout=subprocess.DEVNULL) as purge:
            while "removing" not in (line := purge.stderr.readline()):
                assert line, "it ended without a word"
            time.sleep(dice.uniform(0.0, 0.15))
            if number % 2:
                kill_session(purge.pid)
            else:
                purge.kill()
            killed += purge.wait() == -signal.SIGKILL
            slowest = max(slowest, seconds_until_gone(purge.pid))
        if number % 4 == 0:
            assert vidfer(*analysis).returncode == 0
            again = {name: value for name, value in results(Path("run")).items() if not name.startswith("export/")}
            assert difference(again, undisturbed) == {}
        done = vidfer(*words)
        assert done.returncode == 0, done.stderr
        assert "Nothing is left there." in done.stdout
        digest = file_digest(Path("clips/anna.mp4")).encode()
        of_anna = (name for name, data in tree(Path()).items() if digest in data or b"anna" in data)
        assert [name for name in of_anna if name.startswith(("run/", "store/"))] == []
        bob = {name: data for name, data in tree(Path("run")).items() if "/bob.mp4" in name}
        assert bob == {name: data for name, data in tree(Path("whole-run")).items() if "/bob.mp4" in name}
    assert killed > KILLS // 2
    figure(f"purge of real clips: {killed} of {KILLS} killed by another process, no process left after {slowest:.1f} s")
