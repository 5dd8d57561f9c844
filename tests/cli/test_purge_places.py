"""Where `vidfer purge` looks, what it leaves, and what it says of that."""

import errno
import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidfer.api import ClipResult, claimed_folders, write_result
from vidfer.api.purge_rows import drop_rows
from vidfer.cli.main import main
from vidfer.exchange.files import export_run
from vidfer.pages.run import finish_run
from vidfer.pipeline import gc
from vidfer.pipeline.digest import content_digest, recipe_key
from vidfer.pipeline.gc import entries
from vidfer.pipeline.left import new_grave
from vidfer.pipeline.store import Store
from vidfer.pipeline.temporary import temporary_folder
from vidfer.results.run import load_run
from vidfer.results.traces import Traces
from vidfer.types import ClipError, Status


@pytest.fixture
def place(tmp_path, clips, toy_store, monkeypatch):
    """A store of two clips and a folder with their results."""
    for clip in clips:
        failed = ClipResult.failed(clip, ClipError(Status.CORRUPT, f"{clip.name} is torn"), clip.name)
        failed.summary["provenance"] = {"source_blake3": content_digest(clip, toy_store), "stages": {}}
        write_result(failed, tmp_path / "run" / clip.name)
    finish_run(tmp_path / "run", excel=False)
    monkeypatch.setenv("VIDFER_STORE", str(toy_store.root))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return toy_store


def purge(place: Store, *words: str | Path) -> int:
    return main(["purge", *map(str, words), "--out", str(place.root.parent / "run"), "--yes"])


def test_nothing_goes_before_it_is_meant(place, clips, capsys):
    run = place.root.parent / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["purge", "--clip", str(clips[0]), "--out", str(run)]) == 0
    said = capsys.readouterr()
    assert f"file\t{run / 'a.bin' / 'report.html'}" in said.out
    assert "3 artifacts and leftovers" in said.err or "2 artifacts and leftovers" in said.err
    assert "would be removed; say --yes to do it" in said.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert len(entries(place)) == 4


def test_a_file_of_the_users_that_names_the_clip_is_named_and_stays(place, clips, capsys):
    note = place.root.parent / "run/notes.txt"
    note.write_text("Ask again about a.bin.\n")
    assert purge(place, "--clip", clips[0]) == 1
    assert f"left: {note} has a.bin" in capsys.readouterr().err
    assert note.exists()
    note.write_text("Ask again about banana.bin and a.bin2.\n")
    assert purge(place, "--clip", clips[0]) == 0


def test_a_run_at_work_is_not_disturbed(place, clips, capsys):
    with claimed_folders([(clips[0], Path(clips[0].name))], place.root.parent / "run"):
        assert purge(place, "--clip", clips[0]) == 1
        assert f"a run at work into {place.root.parent / 'run'} has a.bin" in " ".join(capsys.readouterr().err.split())
        assert len(entries(place)) == 4
        assert purge(place, "--clip", clips[1]) == 0
    assert purge(place, "--clip", clips[0]) == 0


def test_what_a_living_process_writes_into_the_store_is_named(place, clips, capsys):
    with place.draft("count", "0" * 64) as draft:
        draft.write("x", b"1")
        assert purge(place, "--clip", clips[0]) == 1
        assert f"{draft.path}: a process at work is writing it" in capsys.readouterr().err
    assert purge(place, "--clip", content_digest(clips[0], place)) == 0


@pytest.mark.parametrize("words", [["--clip", "new.mp4"], ["--before", "1990-01-01"]])
def test_what_a_killed_process_was_writing_into_a_folder_of_results_goes(place, tmp_path, monkeypatch, words):
    """Of a clip whose results never came to their place, nothing else is there that tells of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.mp4").write_bytes(b"its analysis was killed")
    if (child := os.fork()) == 0:
        monkeypatch.setattr("vidfer.results.clip_folder.sync", lambda path: os._exit(9))
        try:
            write_result(
                ClipResult.failed(Path("new.mp4"), ClipError(Status.CORRUPT, "torn"), "new.mp4"), Path("run/new.mp4")
            )
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [path.name for path in Path("run/new.mp4").glob(".vidfer-*.tmp/*")]
    assert purge(place, *words) == 0
    assert not Path("run/new.mp4").exists()


def test_a_store_that_cannot_be_written_is_said_in_a_sentence(place, clips, capsys, monkeypatch):
    def refuse(source, *_):
        raise OSError(errno.EROFS, "Read-only file system", str(source))

    monkeypatch.setattr(gc, "move", refuse)
    assert purge(place, "--clip", clips[0]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "cannot be removed (Read-only file system): do it as a user, or where, it can be" in said
    assert (place.root.parent / "run/a.bin/summary.json").exists()


def test_jobs_of_the_app_that_have_the_clip_go(place, clips):
    with temporary_folder("app") as folder:
        for number, clip in enumerate(clips):
            (folder / str(number) / "results").mkdir(parents=True)
            (folder / str(number) / "upload").write_bytes(clip.read_bytes())
        assert purge(place, "--clip", clips[0]) == 0
        assert sorted(path.name for path in folder.iterdir()) == [".lock", "1"]


def test_lines_of_jobs_in_the_store_that_name_the_clip_go(place, clips, capsys):
    folder = place.root / "jobs"
    folder.mkdir()
    log, number = folder / f"{'a' * 64}.log", folder / f"{'a' * 64}.json"
    number.write_text('{"job": "1"}')
    log.write_text(f"reading {clips[0]}\nreading {clips[1]}\n{content_digest(clips[0], place)} is short\nepoch 1\n")
    assert purge(place, "--clip", clips[0]) == 0
    assert f"lines\t2\t{log}" in capsys.readouterr().out
    assert log.read_text() == f"reading {clips[1]}\nepoch 1\n"
    assert number.exists()
    assert purge(place, "--all") == 0
    assert not list(folder.iterdir())


def test_clips_that_were_analysed_before_a_day_go(place, clips):
    digest = content_digest(clips[0], place)
    then = time.time() - 100 * 86_400
    doomed = [entry for entry in gc.derived_from(place, [digest]) if entry.stage != "memo"]
    for entry in doomed:
        os.utime(entry.path, (then, then))
    day = time.strftime("%Y-%m-%d", time.localtime(then + 2 * 86_400))
    assert purge(place, "--before", day) == 0  # its results were written today
    assert len(entries(place)) == 4
    path = place.root.parent / "run/a.bin/summary.json"
    summary = json.loads(path.read_bytes())
    path.write_text(json.dumps({**summary, "analyzed_at": "2020-01-02T03:04:05Z"}))
    rows = pd.read_parquet(place.root.parent / "run/clips.parquet")
    rows.loc[rows["clip_id"] == "a.bin", "analyzed_at"] = pd.Timestamp("2020-01-02T03:04:05Z")
    rows.to_parquet(place.root.parent / "run/clips.parquet")
    assert purge(place, "--before", day) == 0
    assert len(entries(place)) == 2
    assert pd.read_parquet(place.root.parent / "run/clips.parquet")["clip_id"].tolist() == ["b.bin"]
    assert not path.exists()


class Data:
    """A data module of somebody's own."""

    def __init__(self, digests: str) -> None:
        self.digests = digests

    def content_digest(self) -> str:
        return self.digests


def test_weights_that_learnt_from_a_clip_are_named_and_stay(place, clips, capsys):
    digests = [content_digest(clip, place) for clip in clips]
    paths = []
    for told in (digests[0], digests[1], "x"):
        data = {"class_path": f"{__name__}.Data", "init_args": {"digests": told}}
        source = recipe_key({"data": [told]}) if told != "x" else "y"
        with place.draft("classify_fit", key := recipe_key({"of": told})) as draft:
            paths.append(place.path("classify_fit", key))
            draft.write("weights.safetensors", b"")
            place.publish(
                draft.seal({"stage": "classify_fit", "params": {"data": data}, "source": source, "inputs": {}})
            )
    assert purge(place, "--clip", clips[0]) == 0
    said = capsys.readouterr().out
    assert f"the weights {paths[0]} were trained on a clip" in said
    assert str(paths[1]) + " " not in said
    assert f"the weights {paths[2]} may have been trained on a clip" in said
    assert all(path.is_dir() for path in paths)


def test_what_was_made_of_whole_data_sets_is_named_and_stays(place, clips, capsys):
    for stage in ("denoised_images", "denoised_images", "paired"):
        with place.draft(stage, key := recipe_key({"n": len(entries(place))})) as draft:
            draft.write("faces.safetensors", b"")
            place.publish(draft.seal({"stage": stage, "source": recipe_key({"images": key}), "inputs": {}}))
    assert purge(place, "--clip", clips[0]) == 0
    said = capsys.readouterr().out
    for what in ("2 artifacts of denoised_images", "1 artifact of paired"):
        assert f"- {what} in {place.root}, of whole data sets, in which a clip may be: --all removes them" in said
    assert purge(place, "--all") == 0
    assert "of whole data sets" not in capsys.readouterr().out
    assert entries(place) == []


def test_a_manifests_run_loses_the_rows_and_is_made_whole_by_the_next_run(tmp_path, capsys):
    names = ("a.mp4", "b.mp4", "c.mp4")
    for name in names:
        (tmp_path / name).write_text(f"{name}, no video")
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(names) + "\n")
    out, store = tmp_path / "many", tmp_path / "store"
    words = [
        "analyze",
        "--manifest",
        str(tmp_path / "list.csv"),
        "--out",
        str(out),
        "--store",
        str(store),
        "--parts",
        "frames",
    ]
    assert main(words) == 1
    assert main(["purge", "--clip", str(tmp_path / "b.mp4"), "--out", str(out), "--store", str(store), "--yes"]) == 0
    assert "Nothing is left there." in capsys.readouterr().out
    assert pd.read_parquet(out / "clips")["clip_id"].tolist() == ["a.mp4", "c.mp4"]
    assert json.loads((out / "run.json").read_text())["n_clips"] == 2
    (tmp_path / "list.csv").write_text("path\na.mp4\nc.mp4\n")
    assert main(words) == 1
    assert pd.read_parquet(out / "clips")["clip_id"].tolist() == ["a.mp4", "c.mp4"]


def test_persons_who_were_the_same_as_one_who_is_gone_stay_the_same(tmp_path):
    table = tmp_path / "people.csv"
    rows = ["a,1,Ann,,", "b,1,,a#1,", "c,1,,a#1,", "c,2,,,a#1", "d,1,,b#1,", "'=d,1,,a#1,"]
    table.write_text(
        "\n".join(["clip_id;person;name;same_as;linked_to", *(row.replace(",", ";") for row in rows)]) + "\n"
    )
    drop_rows(table, {"a"})
    left = [line.split(";") for line in table.read_text().splitlines()[1:]]
    assert left == [["b", "1", "", "", ""], ["c", "1", "", "b#1", ""], ["c", "2", "", "", ""], ["d", "1", "", "b#1", ""],
                    ["'=d", "1", "", "b#1", ""]]  # fmt: skip


WORDS = st.text("ab.-_ /é&'\"<", min_size=1, max_size=8).map(str.strip).filter(lambda name: name.strip("./ "))


@given(WORDS.map(lambda name: f"{name}1.mp4"), st.sampled_from(["", " ", ",", '"', "\n", ">", "(", "'", "./"]),
       st.sampled_from(["", " ", ",", '"', "\n", "<", "#1", "/report.html", ".", ":", "?"]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_name_is_found_where_it_stands_alone_however_it_is_written(name, before, after):
    import html
    from urllib.parse import quote

    traces = Traces(frozenset(), frozenset({name}))
    for written in (name, html.escape(name), quote(name), json.dumps(name)[1:-1]):
        assert traces.in_bytes(f"x {before}{written}{after}".encode())
        assert not (name[0].isalnum() and traces.in_bytes(f"x {before}y{written}".encode()))
        assert not traces.in_bytes(f"x {before}{written}y".encode())


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("program", ["elan", "webvtt", "py-feat"])
def test_of_names_that_are_shortened_alike_the_right_export_goes(tmp_path, program, gone):
    run, names = tmp_path / "run", [f"{'x' * 250}{end}.mp4" for end in "ab"]
    for name in names:
        write_result(ClipResult.failed(tmp_path / name, ClipError(Status.CORRUPT, "torn"), name), run / name)
    finish_run(run, excel=False)
    exported = list(export_run(load_run(run), program))
    assert main(["purge", "--clip", str(tmp_path / names[gone]), "--out", str(run), "--yes"]) == 0
    assert [path.exists() for path in exported] == [gone == 1, gone == 0]


def test_what_another_purge_was_removing_when_it_was_killed_goes_whatever_is_chosen(place, capsys):
    grave = new_grave(place.root)
    grave.mkdir()
    (grave / "faces.safetensors").write_bytes(b"a face")
    assert purge(place, "--before", "1990-01-01") == 0
    assert not grave.exists()
    assert len(entries(place)) == 4


@pytest.mark.parametrize("words", [[], ["--clip", "a", "--all"], ["--before", "2020-01-01", "--expired"], ["--before", "soon"],
                                   ["--clip", "nowhere.mp4"], ["--all", "--log", "nowhere.log"]])  # fmt: skip
def test_wrong_usage_removes_nothing(place, words, capsys):
    try:
        status = purge(place, *words)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert capsys.readouterr().err
    assert len(entries(place)) == 4


def test_a_folder_whose_clips_were_deleted_stands_for_those_that_the_results_name(place, clips, capsys):
    folder = clips[0].parent / "clips"
    folder.mkdir()
    summary = place.root.parent / "run/a.bin/summary.json"
    told = json.loads(summary.read_bytes())
    summary.write_text(json.dumps({**told, "clip": str(folder / "a.bin"), "video": None}))
    assert purge(place, "--clip", folder) == 0
    assert not summary.exists()
    assert len(entries(place)) == 2


def test_a_clip_that_was_refused_when_it_was_analysed_again_is_purged_from_the_store(place, clips, capsys):
    run = place.root.parent / "run"
    refused = ClipResult.failed(
        clips[0], ClipError(Status.REFUSED, "consent was withdrawn"), "a.bin"
    )  # without a digest
    refused.summary["consent"] = {"consent": "withdrawn"}
    write_result(refused, run / "a.bin")
    finish_run(run, excel=False)
    assert purge(place, "--expired") == 0
    assert len(entries(place)) == 2
    assert pd.read_parquet(run / "clips.parquet")["clip_id"].tolist() == ["b.bin"]


@pytest.mark.parametrize("words", [["--expired"], ["--clip"]])
def test_what_cannot_be_told_of_a_refused_clip_that_is_gone_is_said(place, clips, capsys, words, tmp_path):
    gone = tmp_path / "gone.bin"
    refused = ClipResult.failed(gone, ClipError(Status.REFUSED, "consent was withdrawn"), "a.bin")
    refused.summary["consent"] = {"consent": "withdrawn"}
    write_result(refused, place.root.parent / "run/a.bin")
    finish_run(place.root.parent / "run", excel=False)
    assert purge(place, *words, *([gone] if words == ["--clip"] else [])) == 0
    said = capsys.readouterr().err
    assert said.count(f"{gone} is not found, and {place.root.parent / 'run'} does not have its digest") == 1
    assert len(entries(place)) == 4


def test_looking_for_a_clip_that_is_not_stored_stores_nothing(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vidfer.pipeline.digest._RACY_SECONDS", -1.0)  # younger files are never remembered
    clip = tmp_path / "new.mp4"
    clip.write_bytes(b"never analysed")
    before = sorted(place.root.rglob("*"))
    assert main(["purge", "--clip", str(clip), "--out", str(place.root.parent / "run")]) == 0
    assert sorted(place.root.rglob("*")) == before
    assert "nothing to remove" in capsys.readouterr().err


def test_a_digest_that_nothing_has_is_said(place, capsys):
    assert purge(place, "--clip", "0" * 64) == 0
    assert "nothing there is of what was chosen" in capsys.readouterr().err


def test_places_that_are_not_there_or_not_whole_are_said(place, clips, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["purge", "--clip", str(clips[0]), "--out", str(run / "a.bin"), "--store", str(tmp_path / "typo")]) == 0
    said = capsys.readouterr().err
    assert f"there is no store at {tmp_path / 'typo'}" in said
    assert f"{run / 'a.bin'} is a clip's folder in the run {run}, whose tables and pages are not looked through" in said
    assert main(["purge", "--clip", str(clips[0]), "--out", str(run), str(run / "a.bin")]) == 0
    said = capsys.readouterr().err
    assert "there is no store" not in said
    assert "in the run" not in said
