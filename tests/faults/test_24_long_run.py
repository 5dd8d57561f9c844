"""A long run over clips of every kind, killed again and again, on a store that fills up."""

import os
import random
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.clips.copies import every_kind, write_copy
from tests.faults.command import environment, start, vidfer
from tests.faults.killing import Storm, seconds_until_gone
from tests.faults.results import OF_THE_RUN, artifacts, digests, left_behind
from vidfer.pipeline.lock import is_locked
from vidfer.pipeline.store import Store
from vidfer.results.clip_folder import LOCK
from vidfer.results.schema import TABLES

pytestmark = pytest.mark.slow

CLIPS, KILLS, FILLS = 500, 12, 3
OF_THE_COPY = [*OF_THE_RUN, "clip_id", "path", "source_blake3"]
OPTIONS = ["-q", "--timeout", "20", "--picture-fps", "10"]


def make(folder: Path, kinds) -> dict[str, Path]:
    """Make a clip of each kind."""
    made = {}
    for name, kind in kinds.items():
        (folder / name).mkdir(parents=True)
        made[name] = kind.make(folder / name)
    return made


def analyze_alone(folder: Path, made: dict[str, Path]) -> Path:
    """Analyse one copy of each clip, one after the other, undisturbed."""
    (folder / "clips").mkdir(parents=True)
    for name, clip in made.items():
        write_copy(clip, folder / "clips" / f"{name}{clip.suffix}", 0)
    words = ["--store", folder / "store", "--out", folder / "out", *OPTIONS]
    done = vidfer("analyze", *sorted((folder / "clips").iterdir()), *words, timeout=1200)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return folder / "out"


def write_all(made: dict[str, Path], folder: Path, dice: random.Random) -> dict[str, str]:
    """Write copies of all kinds in random order; return each copy's kind by the copy's name."""
    folder.mkdir()
    order = [*made, *dice.choices(list(made), k=CLIPS)][:CLIPS]
    dice.shuffle(order)
    found = {}
    for number, name in enumerate(order, 1):
        suffix = made[name].suffix
        found[f"{number:03}-{name}{suffix}"] = f"{name}{suffix}"
        write_copy(made[name], folder / f"{number:03}-{name}{suffix}", number)
    return found


@contextmanager
def small_disk(folder: Path, megabytes: int):
    """Mount a file system of so many megabytes where that is allowed; yields whether it was."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class LongRun:
    """The run, started again as often as it ends before all is done."""

    def __init__(self, clips: Path, folder: Path, disk: Path, *, full: bool) -> None:
        self.store, self.out, self.disk, self.temporary = disk / "store", folder / "out", disk, folder / "tmp"
        self.temporary.mkdir()
        self.storm = Storm(self.store, self.start, seed=24)
        self.fills = 0 if full else FILLS
        self.said = folder / "said"
        words = [*sorted(clips.iterdir()), "--store", self.store, "--out", self.out, "--jobs", "2", *OPTIONS]
        self.words = ["analyze", *words]

    def start(self):
        with self.said.open("w") as said:
            streams = {"stdout": said, "stderr": said, "env": environment(TMPDIR=str(self.temporary))}
            return start(*self.words, **streams)

    def fill(self) -> Path | None:
        """Take all but a little of the disk away, a few times in all."""
        if self.fills >= FILLS:
            return None
        free = os.statvfs(self.disk)
        ballast = self.disk / "ballast"
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - self.storm.dice.randrange(1, 4) * 1_000_000)))
        return ballast

    def step(self, run, total: int):
        """Let a run find the disk full to its end, else kill it."""
        ballast = self.fill()
        if ballast is None:
            more = self.storm.dice.randrange(1 + total // (2 * KILLS))
            return self.storm.kill(run, len(artifacts(self.store)) + more)
        run = run or self.start()
        run.wait(timeout=600)
        said = self.said.read_text()
        assert run.returncode == 1
        assert f"the store {self.store} is full" in said.replace("\n", " ")
        assert "Traceback" not in said
        seconds_until_gone(run.pid)
        ballast.unlink()
        self.fills += 1
        return None

    def rage(self, total: int) -> None:
        """Kill, and let the disk fill up, until it was done so often; nothing that was stored is written anew."""
        ended = lambda: self.storm.kills.total() >= KILLS and self.fills >= FILLS  # noqa: E731
        self.storm.rage(lambda run: self.step(run, total), ended)


def tables(folder: Path, clip_id: str) -> dict[str, object]:
    """A clip's tables, less what is of the run and of the copy."""
    found: dict[str, object] = {}
    for name in TABLES:
        table = pd.read_csv(folder / clip_id / f"{name}.csv", dtype=str)
        table = table.drop(columns=[column for column in OF_THE_COPY if column in table])
        found[name] = table.to_csv().replace(clip_id, "")
    return found


def test_every_clip_of_a_long_run_ends_as_it_does_alone(tmp_path, figure):
    kinds = every_kind()
    made = make(tmp_path / "made", kinds)
    alone = analyze_alone(tmp_path / "alone", made)
    copies = write_all(made, tmp_path / "clips", random.Random(24))
    total = len(artifacts(tmp_path / "alone" / "store")) * CLIPS // len(kinds)
    with small_disk(tmp_path / "disk", 500) as full:
        run = LongRun(tmp_path / "clips", tmp_path, tmp_path / "disk", full=full)
        run.rage(total)
        before = artifacts(run.store)
        done = vidfer(*run.words, timeout=1800, env=environment(TMPDIR=str(run.temporary)))
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
        assert before.items() <= artifacts(run.store).items()
        store = Store(run.store)
        assert not any(store.fault(path) for path in store.folders())
        said = digests(tmp_path / "alone" / "store")
        other = {key: text for key, text in digests(run.store).items() if said.get(key, text) != text}
        assert not other, [(text, said[key]) for key, text in other.items()]
        assert left_behind(run.store, run.out) == []
    assert list(run.temporary.iterdir()) == []
    assert not is_locked(run.out / LOCK)
    wrong = {
        copy: differences
        for copy, name in copies.items()
        if (differences := unlike(tables(run.out, copy), tables(alone, name)))
    }
    assert not wrong
    figure(
        f"{CLIPS} clips of {len(kinds)} kinds, {run.storm.told()}, "
        f"{FILLS * full} times a full store: {len(wrong)} clips differ from the same alone"
    )


def unlike(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return [name for name in other if one[name] != other[name]]
