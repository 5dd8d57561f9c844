"""Results whose summaries, tables and claims name places elsewhere: nothing there is moved, removed or written."""

import json
import shutil
from contextlib import suppress

import pandas as pd
import pytest

from tests.faults.command import tree
from tests.results.fake import tables_of
from tests.results.made import summary_of
from vidfer.api.folders import claimed_folders
from vidfer.cli.main import main
from vidfer.results.clip_folder import COMMIT, SUMMARY, write_clip
from vidfer.results.run_folder import rebuild
from vidfer.types import VidferError

CLIPS = ("a.mp4", "b.mp4")
PLACES = (
    *("../keep.txt", "../../outside/keep.txt", "../b.mp4/summary.json", "{}/outside/keep.txt", "own/keep.txt"),
    *(
        "./keep.txt",
        "own/../keep.txt",
        "..",
        ".",
        "",
        "/",
        "own",
        "keep.txt/",
        "a\0b",
        "~/keep.txt",
        "x" * 300,
        "\udc80",
    ),
)


def write(run, clip):
    write_clip(run / clip, clip, tables_of(clip), summary_of(2, clip=f"videos/{clip}"))


def edit(path, change):
    summary = json.loads(path.read_bytes())
    change(summary)
    path.write_text(json.dumps(summary))


def name_a_file(run, place):
    edit(run / "a.mp4" / SUMMARY, lambda summary: summary["files"].update({place: "0" * 64}))


def name_a_file_on_its_way(run, place):
    """As where a writer died in mid-commit; what lies there by that name would be moved into the clip's folder, or out of it."""
    pending = run / "a.mp4" / COMMIT
    pending.mkdir()
    shutil.copy(run / "a.mp4" / SUMMARY, pending / SUMMARY)
    edit(pending / SUMMARY, lambda summary: summary["files"].update({place: "0" * 64}))
    for name in ("frames.csv", "keep.txt"):
        (pending / name).write_text("on its way")


def name_an_earlier_file(run, place):
    """Files of earlier results are removed where later ones do not have them."""
    edit(run / "a.mp4" / SUMMARY, lambda summary: summary.update(files={place: "0" * 64}))


def name_an_id(run, place):
    edit(run / "a.mp4" / SUMMARY, lambda summary: summary.update(clip_id=place))


def name_a_clip_and_its_video(run, place):
    edit(run / "a.mp4" / SUMMARY, lambda summary: summary.update(clip=place, video=place, overlay={"status": place}))


def name_an_id_in_tables(run, place):
    for path in run.glob("*.parquet"):
        rows = pd.read_parquet(path)
        rows["clip_id"] = [place.encode(errors="replace").decode()] * len(rows)
        rows.to_parquet(path)
    for path in run.glob("*.csv"):
        path.write_text(path.read_text().replace("a.mp4", place.replace("\udc80", "?")))


def name_a_picture(run, place):
    edit(run / "a.mp4" / SUMMARY, lambda summary: summary.update(people=[{"person": place}, {"person": 1}]))


def claim(run, place):
    (run / ".vidfer-0.claim").write_text(json.dumps({place: place}))


def read_in_all_ways(run, tmp_path):
    """Have everything read the results that reads such; each may refuse them, in a sentence."""
    main(["people", "list", str(run)])
    for program in ("elan", "webvtt", "py-feat"):
        main(["export", str(run), "--format", program])
    main(["people", "apply", str(run)])
    with suppress(VidferError):
        rebuild(run)
        with claimed_folders([(tmp_path / "c.mp4", tmp_path.joinpath("c.mp4").relative_to(tmp_path))], run):
            pass
        write(run, "a.mp4")
    main(["purge", "--clip", "videos/a.mp4", "--out", str(run), "--store", str(tmp_path / "store"), "--yes"])
    main(["purge", "--all", "--out", str(run), "--store", str(tmp_path / "store"), "--yes"])


HOSTILE = (
    *(name_a_file, name_a_file_on_its_way, name_an_earlier_file, name_an_id, name_a_clip_and_its_video),
    *(name_an_id_in_tables, name_a_picture, claim),
)
QUICK = (
    *((name_a_file, "../keep.txt"), (name_a_file_on_its_way, "../keep.txt"), (name_an_earlier_file, "../keep.txt")),
    *((name_an_earlier_file, "{}/outside/keep.txt"), (name_an_id_in_tables, "../keep.txt")),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = tmp_path_factory.mktemp("made") / "run"
    for clip in CLIPS:
        write(run, clip)
    rebuild(run)
    return run


@pytest.mark.parametrize(
    ("hostile", "place"),
    [
        pytest.param(
            hostile,
            place,
            id=f"{hostile.__name__}-{number}",
            marks=() if (hostile, place) in QUICK else pytest.mark.slow,
        )
        for hostile in HOSTILE
        for number, place in enumerate(PLACES)
    ],
)
def test_a_place_elsewhere_is_left_alone(made, hostile, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "run"
    shutil.copytree(made, run)
    kept = [tmp_path / "outside", tmp_path / "runs", run, run / "a.mp4", run / "a.mp4" / "own", tmp_path]
    for folder in kept:
        folder.mkdir(exist_ok=True)
        (folder / "keep.txt").write_text(f"of {folder.name}")
    (run / "a.mp4" / "own.txt").write_text("a user's")
    hostile(run, place.format(tmp_path))
    outside = {name: data for name, data in tree(tmp_path).items() if not name.startswith(("runs/run/", "store/"))}
    read_in_all_ways(run, tmp_path)
    after = {name: data for name, data in tree(tmp_path).items() if not name.startswith(("runs/run/", "store/"))}
    assert after == outside
    assert {folder.name: (folder / "keep.txt").read_text() for folder in kept} == {
        folder.name: f"of {folder.name}" for folder in kept
    }
    assert (run / "a.mp4" / "own.txt").read_text() == "a user's"
    assert "Traceback" not in capsys.readouterr().err
