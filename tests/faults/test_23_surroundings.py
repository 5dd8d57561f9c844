"""The command in odd surroundings: it works and writes the same tables, or one sentence names the remedy."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests import toy
from tests.faults.clips.plain import write_face_clip
from tests.faults.command import ROOT, environment
from tests.faults.surroundings import CLOSED, REFUSING, WORKING, Surrounding, possible, script
from vidfer.pipeline.artifact import StoreError
from vidfer.pipeline.digest import dump_json, seal_of
from vidfer.pipeline.manifest import MANIFEST
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store

TABLES = ("frames.csv", "windows.csv", "people.csv")

ALL_AT_ONCE = (
    "no passwd entry",
    "HOME='/none/of/these'",
    "LC_ALL='POSIX'",
    "64 open files",
    "2 GiB of address space",
    "no network",
)
ALL_AT_ONCE += ("streams 012 closed", "working folder deleted", "umask 077", "OMP_NUM_THREADS='0'", "COLUMNS='0'")
ALL_AT_ONCE += (
    "TMPDIR='/none/of/these'",
    "children not waited for",
    "PYTHONHASHSEED='0'",
    "no /dev/shm",
)


@pytest.fixture(scope="module")
def folder():
    """A folder that other users may enter, with a name of two words that is not ASCII, and a short clip in it."""
    with tempfile.TemporaryDirectory(prefix="größe zwei ") as name:
        place = Path(name)
        for each in (place, place / "work"):
            each.mkdir(exist_ok=True)
            each.chmod(0o777)
        write_face_clip(place / "clip ä.mp4")
        yield place


def run(chosen, folder, *words):
    """Run `vidfer WORDS` there; return its exit status and what it said."""
    env = environment(VIDFER_STORE=None, XDG_CACHE_HOME=None, HOME=str(folder))
    command = script(chosen, folder, [sys.executable, "-m", "vidfer", *words])
    settings = {"env": env, "stdin": subprocess.DEVNULL, "capture_output": True, "start_new_session": True}
    done = subprocess.run(command, timeout=300, check=False, **settings)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def analyzed(chosen, folder, name):
    """Analyse the clip there into new folders, and return the tables."""
    out, store = folder / f"out {name}", folder / f"store {name}"
    status, said = run(chosen, folder, "analyze", folder / "clip ä.mp4", "--out", out, "--store", store)
    odd = " + ".join(each.name for each in chosen)
    assert "Traceback" not in said, f"{odd}: {said}"
    assert status == 0, f"{odd}: {said}"
    return {table: (out / table).read_bytes() for table in TABLES}


@pytest.fixture(scope="module")
def plain(folder):
    """The tables of the clip where nothing is odd."""
    found = analyzed([], folder, "plain")
    assert len(found["people.csv"].splitlines()) == 2
    return found


def groups(folder: Path, rounds: int, size: int) -> list[list[Surrounding]]:
    """Combine the surroundings that can be had here, each once a round, kinds apart."""
    dice = random.Random(18)
    found: list[list[Surrounding]] = []
    for _ in range(rounds):
        rest = [each for each in WORKING if possible(each, folder)]
        dice.shuffle(rest)
        while rest:
            group: list[Surrounding] = []
            for each in list(rest):
                if len(group) < size and each.about not in {other.about for other in group}:
                    group.append(each)
                    rest.remove(each)
            found.append(group)
    return found


def test_help_and_versions_are_said_whatever_is_closed_or_full(folder):
    for chosen in CLOSED[::3]:
        status, said = run([chosen], folder, "--help")
        assert (status, "Traceback" in said) == (0, False), chosen.name
        assert ("turn videos into tables" in said) == ("1" not in chosen.name), chosen.name
    if os.path.exists("/dev/full"):  # noqa: PTH110 - a device
        (full,) = [each for each in REFUSING if each.about == "streams"]
        status, said = run([full], folder, "--version")
        assert status == 1
        assert re.fullmatch(rf"vidfer: .*{full.says}.*\n", said.replace("\n", " ").strip() + "\n"), said


def at_once(folder):
    """Return the surroundings of `ALL_AT_ONCE` that can be had here."""
    found = [each for each in WORKING if each.name in ALL_AT_ONCE]
    assert len(found) == len(ALL_AT_ONCE)
    return [each for each in found if possible(each, folder)]


def test_many_surroundings_at_once_do_not_matter(folder, figure):
    found = analyzed(chosen := at_once(folder), folder, "at once")
    assert len(found["people.csv"].splitlines()) == 2
    figure(f"{len(chosen)} odd surroundings at once: it works")


def test_two_versions_share_a_store_and_neither_takes_nor_harms_what_the_other_made(tmp_path, clips, monkeypatch):
    def results(version):
        monkeypatch.setattr(toy.Count, "version", version)
        monkeypatch.setattr(toy.Largest, "version", version)
        chain = (toy.Count(bins=4 + version), toy.Largest())
        toy.RUNS.clear()
        for clip in clips:
            with finished(chain, "largest", clip, Store(tmp_path / "store")) as artifact:
                assert artifact.manifest["recipe"]["version"] == version
        return len(toy.RUNS)

    assert [results(version) for version in (1, 2, 1, 2)] == [4, 4, 0, 0]
    store = Store(tmp_path / "store")
    assert not any(store.fault(path) for path in store.folders())
    assert not list((tmp_path / "store").glob("quarantine/*/*"))


@pytest.mark.parametrize("entries", [{"shape": 2, "engine": "x"}, {"status": "felt"}])
def test_what_a_newer_version_may_write_is_read_or_named(tmp_path, clips, entries):
    """More entries in a manifest, and a state that this version does not know."""
    chain, store = (toy.Count(), toy.Largest()), Store(tmp_path / "store")
    with finished(chain, "largest", clips[0], store) as artifact:
        place = store.path("largest", artifact.key) / MANIFEST
    manifest = {**json.loads(place.read_bytes()), **entries}
    place.write_bytes(dump_json(manifest | {"seal": seal_of(manifest)}))
    toy.RUNS.clear()
    remedy = pytest.raises(StoreError, match=r"newer vidfer.*update this one, or give another store")
    with (
        remedy if "status" in entries else nullcontext(),
        finished(chain, "largest", clips[0], Store(tmp_path / "store")) as again,
    ):
        assert again.status == "ok"
    assert (toy.RUNS, place.exists()) == ([], True)


@pytest.mark.slow
def test_each_surrounding_combined_with_others_changes_no_table(folder, plain, figure):
    combined = groups(folder, rounds=2, size=5)
    wrong = []
    for number, group in enumerate(combined):
        try:
            if analyzed(group, folder, str(number)) != plain:
                wrong.append(f"{[each.name for each in group]}: other tables")
        except AssertionError as error:
            wrong.append(str(error)[-1500:])
    assert not wrong, "\n".join(wrong)
    kinds = len({each.name for group in combined for each in group})
    figure(f"{kinds} surroundings, {len(combined)} runs of up to five at once: the same tables")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", REFUSING, ids=lambda chosen: chosen.name)
def test_where_it_cannot_work_a_sentence_says_what_to_do(folder, chosen):
    if not possible(chosen, folder) and chosen.about != "user":
        pytest.skip("this system does not let it be brought about")
    name = f"refusing {chosen.name}"
    store = [] if chosen.about == "home" else ["--store", folder / f"store {name}"]
    status, said = run([chosen], folder, "analyze", folder / "clip ä.mp4", "--out", folder / f"out {name}", *store)
    assert "Traceback" not in said, said
    assert status in (1, 2), said
    assert re.search(rf"vidfer: .*{chosen.says}", said.replace("\n", " ")), said


@pytest.mark.slow
@pytest.mark.parametrize("words", [["doctor"], ["weights", "list"], ["analyze", "--help"]], ids=" ".join)
def test_other_verbs_work_there_too(folder, words):
    chosen = [each for each in at_once(folder) if each.about not in ("streams", "folder")]
    status, said = run(chosen, folder, *words)
    assert (status, "Traceback" in said) == (0, False), said


@pytest.mark.slow
def test_an_installation_that_cannot_be_written_works(folder, plain):
    chosen = [each for each in WORKING if each.name in ("read-only root", "no network", "HOME='/proc'")]
    if not all(possible(each, folder) for each in chosen):
        pytest.skip("this system lets nobody mount")
    assert Path(ROOT, "vidfer").is_dir()
    assert analyzed(chosen, folder, "read-only") == plain
