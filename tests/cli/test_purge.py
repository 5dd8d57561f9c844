"""`vidfer purge`: what is left is what there would be had the purged clips never been analysed."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vidfer.cli.main import main
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.gc import entries
from vidfer.pipeline.store import Store
from vidfer.results.traces import Traces

pytestmark = pytest.mark.slow

TABLES = ("frames", "seconds", "segments", "people", "windows", "clips")
OF_RUN = ["analyzed_at", "elapsed_s"]
NAMES = (
    "a.png",
    "b.png",
    "x/a.png",
    "banana.png.txt.mp4",
    "a b'c\"d&<e>.mp4",
    "ünï=cmd.mp4",
    "copy of a.png",
    "frames.wav",
    "a.png.mp4",
)
"""Two portraits, one a second time, and files that are no clips, with names that are parts of each other, or odd."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of clips, and a store with all of them."""
    import cv2
    from skimage.data import astronaut

    root = tmp_path_factory.mktemp("study")
    portrait = astronaut()[:300, 60:400, ::-1]
    for name in NAMES:
        path = root / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    for name, image in {"a.png": portrait, "b.png": np.fliplr(portrait).copy(), "copy of a.png": portrait}.items():
        (root / "clips" / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    analyze(root, "all", NAMES)
    return root


@pytest.fixture(scope="module")
def made_of(study):
    """The keys of each content's artifacts, of a store that has nothing else."""
    found = {}
    for number, name in enumerate(NAMES):
        digest = file_digest(study / "clips" / name)
        if digest not in found:
            place = study / f"alone{number}"
            words = [study / "clips" / name, "--out", place / "out", "--store", place / "store"]
            main(["-q", "analyze", *map(str, words)])
            found[digest] = {(one.stage, one.key) for one in entries(Store(place / "store"))}
    return found


def analyze(root: Path, out: str, names, *words: str, store: str = "store") -> Path:
    """Analyse some clips by their places below `clips`, in a folder that has no others."""
    place = root / f"{out}-clips" / "clips"
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(root / "clips" / name, place / name)
    main(["-q", "analyze", str(place), "--out", str(root / out), "--store", str(root / store), *words])
    return root / out


def of_run(out: Path) -> dict[str, pd.DataFrame]:
    read = (
        {name: pd.read_parquet(out / f"{name}.parquet") for name in TABLES} if (out / "clips.parquet").exists() else {}
    )
    return {name: rows.drop(columns=[*OF_RUN, "path"], errors="ignore") for name, rows in read.items()}


def same(found: Path, expected: Path) -> None:
    one, two = of_run(found), of_run(expected)
    assert one.keys() == two.keys()
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name], check_exact=True)
    for name in one:
        rows = [
            [*csv.DictReader((run / f"{name}.csv").open(newline="", encoding="utf-8"))] for run in (found, expected)
        ]
        cells = [
            [{key: cell for key, cell in row.items() if key not in (*OF_RUN, "path")} for row in table]
            for table in rows
        ]
        assert cells[0] == cells[1]
    folders = [
        {path.relative_to(run) for path in run.rglob("*") if path.name != ".vidfer.lock"} for run in (found, expected)
    ]
    assert folders[0] == folders[1]


@pytest.fixture
def copied(study, tmp_path):
    """Make a study of its own with the store of all clips."""

    def make(number: int = 0) -> Path:
        root = tmp_path / str(number)
        shutil.copytree(study / "clips", root / "clips")
        shutil.copytree(study / "store", root / "store")
        return root

    return make


COUNT = iter(range(10_000))


@given(data=st.data())
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],  # an example takes seconds
)
def test_what_is_left_is_what_the_other_clips_give(study, made_of, copied, data):
    names = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    gone = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    digests = {name: file_digest(study / "clips" / name) for name in NAMES}
    contents = {digests[name] for name in gone}
    root = copied(next(COUNT))
    out = analyze(root, "run", names)
    if data.draw(st.booleans()):
        main(["-q", "export", str(out), "--format", data.draw(st.sampled_from(["elan", "webvtt"]))])
    how = data.draw(st.sampled_from(["path", "digest", "gone"]))
    paths = [str(root / "run-clips" / "clips" / name) for name in gone]
    if how == "gone":
        for path in paths:
            Path(path).unlink()
    which = sorted(contents) if how == "digest" else paths
    status = main(["-q", "purge", "--clip", *which, "--out", str(out), "--store", str(root / "store"), "--yes"])
    assert status == 0
    left = [name for name in names if digests[name] not in contents]
    stored = {(one.stage, one.key) for one in entries(Store(root / "store"))}
    assert stored == set().union(*(keys for digest, keys in made_of.items() if digest not in contents))
    shutil.rmtree(out / "export", ignore_errors=True)
    if left:
        same(out, analyze(root, "expected", left))
    else:
        assert [path for path in out.rglob("*") if path.is_file()] == []


class KilledError(BaseException):
    """Ends a purge where it stands, as a kill does: nothing works any more afterwards."""


def dying_after(monkeypatch, calls: int) -> None:
    """Let the process die before its nth call that changes a folder."""
    left = calls

    def wrap(real):
        def call(*args, **more):
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError
            return real(*args, **more)

        return call

    for name in ("unlink", "remove", "rename", "replace", "rmdir"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))


def killed_at(copied, monkeypatch, calls: int, expected) -> bool:
    """Kill a purge, finish it by the same command, and compare; return whether it was killed."""
    root = copied(next(COUNT))
    out = analyze(root, "run", NAMES[:6])
    people = pd.read_csv(out / "people.csv", dtype="string")
    people.assign(name=["Ann", "Ben"], same_as=[pd.NA, pd.NA]).to_csv(out / "people.csv", index=False)
    (out / "run.log").write_text("read a.png\nread b.png\n")
    words = [
        "-q",
        "purge",
        "--clip",
        str(root / "run-clips/clips/a.png"),
        "--out",
        str(out),
        "--store",
        str(root / "store"),
    ]
    died = False
    with monkeypatch.context() as patch:
        dying_after(patch, calls)
        try:
            main([*words, "--yes"])
        except KilledError:
            died = True
    (root / "run-clips/clips/a.png").unlink()  # the next one has the results alone to go by, or the store
    digest = file_digest(root / "clips/a.png")
    words[3] = digest if calls % 2 else words[3]
    if died or calls % 2:
        assert main([*words, "--yes"]) == 0
    stored = {(one.stage, one.key) for one in entries(Store(root / "store"))}
    assert stored == expected
    rest = [path for path in out.rglob("*") if path.is_file()]
    assert [path for path in rest if Traces(frozenset({digest}), frozenset({"clips/a.png"})).in_file(path)] == []
    assert (out / "index.html").is_file()
    assert (out / "run.log").read_text() == "read b.png\n"
    assert pd.read_parquet(out / "people.parquet")["name"].tolist() == ["Ben"]
    assert not list(out.glob("people-earlier*"))
    assert not list((root / "store/tmp").iterdir())
    return died


def test_a_purge_may_be_killed_before_any_of_its_changes(study, made_of, copied, monkeypatch):
    digest = file_digest(study / "clips/a.png")
    expected = set().union(*(keys for one, keys in made_of.items() if one != digest))
    died = 0
    for calls in range(0, 200, 11):
        if not killed_at(copied, monkeypatch, calls, expected):
            break
        died += 1
    assert died > 4
