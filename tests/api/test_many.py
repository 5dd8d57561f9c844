"""Clips that a manifest names: the same rows as of a run, in parts, of which a run that goes on keeps what is done."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.docs.blocks import Page
from vidfer import Analyzer
from vidfer.api import many
from vidfer.api.many import ManifestAnalysis
from vidfer.api.stored import Stored
from vidfer.cli.main import main
from vidfer.media.record import record_frames
from vidfer.pipeline.engines import LocalEngine
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.results.files import read_table
from vidfer.results.packed import pack_report
from vidfer.results.schema import TABLES
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.report import read_report
from vidfer.types import ClipError, Status, UsageError

FURTHER = [name for name in TABLES if name != "clips"]


class Engine(LocalEngine):
    """Works in this process, and notes what it was given; by default all at once and the last item first."""

    def __init__(self, ends_after=None, results=None):
        super().__init__()
        self.__dict__.update(given=[], ends_after=ends_after, results=results or {})

    def run(self, work, items, on_progress, *, in_order=False):
        for position, item in reversed(list(enumerate(items))):
            self.given.append(item.name)
            if self.ends_after is not None and len(self.given) > self.ends_after:
                raise KeyboardInterrupt
            try:
                result = self.results[item.name] if item.name in self.results else work(item, lambda *_: None)
            except ClipError as error:
                result = error
            yield position, result


def write_manifest(folder, names, further=""):
    lines = [f"clips/{name},{name}{further and ',' + str(at)}" for at, name in enumerate(names)]
    (folder / "m.csv").write_text("\n".join([f"path,id{further and ',' + further}", *lines]) + "\n")


def analyze(folder, engine=None, part_rows=2, out="out", **options):
    """Analyse the manifest of a folder; by default by no engine, since all is stored."""
    how = ManifestAnalysis(
        ChainOptions(**options), TableOptions(), Store(folder / "store"), engine or Engine(), part_rows=part_rows
    )
    return how.run(folder / "m.csv", folder / out)


def rows(folder, table="clips", out="out"):
    return pd.concat([read_table(part) for part in sorted((folder / out / table).glob("part-*.parquet"))])


def versions(folder):
    """Tell every version of each part from the next, also where the bytes are the same."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted((folder / "out" / "clips").glob("*"))
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory, portrait):
    """A folder with clips, and a run over them by way of their folders: a face, two torn files, and one that is missing."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "clips").mkdir()
    record_frames(portrait[:30:3], folder / "clips" / "face.nut", fps=10)
    for name in ("b.mp4", "c.mp4"):
        (folder / "clips" / name).write_bytes(b"no video " + name.encode())
    assert main(["analyze", f"{folder / 'clips'}", "--out", f"{folder / 'run'}", "--store", f"{folder / 'store'}"]) == 1
    return folder


def test_rows_are_those_of_a_run_over_the_clips(run):
    (run / "m.csv").write_text("id,path\n" + "".join(f"clips/{n},clips/{n}\n" for n in ("face.nut", "b.mp4", "c.mp4")))
    engine = Engine()
    how = ManifestAnalysis(ChainOptions(), TableOptions(), Store(run / "store"), engine, FURTHER, 2)
    found = how.run(run / "m.csv", run / "out")
    assert engine.given == []
    assert (found.n_clips, found.n_faults) == (3, 2)
    of_run = {"analyzed_at", "elapsed_s", "thumbnail"}  # the times of the two runs, and a picture that is in no part
    for table in TABLES:
        one, other = rows(run, table), read_table(run / "run" / f"{table}.parquet")
        one, other = (
            each.drop(columns=of_run & set(each)).sort_values("clip_id", kind="stable") for each in (one, other)
        )
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))
    assert len(rows(run, "frames")) >= 5  # of the face
    assert pd.api.types.is_datetime64_any_dtype(rows(run)["analyzed_at"])


def test_what_is_not_stored_goes_to_the_engine_and_takes_its_place_in_order(run):
    names = ["b.mp4", "missing.mp4", "face.nut", "c.mp4"]
    write_manifest(run, names, "age")
    engine = Engine()
    found = analyze(run, engine, part_rows=3, out="new", every=5, audio_model="none")
    assert sorted(engine.given) == ["b.mp4", "c.mp4", "face.nut"]
    clips = rows(run, out="new")
    assert clips["clip_id"].tolist() == names
    assert clips["age"].tolist() == [0, 1, 2, 3]
    assert clips["status"].tolist()[1:3] == ["unreadable", "ok"]
    assert clips["elapsed_s"].iloc[2] > 0.01  # what the analysis took, not the look into the store after it
    assert clips["elapsed_s"].isna().tolist() == [False, True, False, False]
    again = Engine()
    assert analyze(run, again, part_rows=3, out="new2", every=5, audio_model="none").statuses == found.statuses
    assert again.given == []


def test_the_page_on_many_clips_works(run, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_STORE", str(run / "store"))
    (tmp_path / "clips.csv").write_text(f"path,id\n{run}/clips/face.nut,1\n")
    page = Page("docs/how-to/many.md", tmp_path)
    page.run()
    assert page.skipped == []
    assert (tmp_path / "results" / "run.json").is_file()


@pytest.fixture
def torn(tmp_path):
    """A folder with five files that are no videos, and a manifest of them."""
    (tmp_path / "clips").mkdir()
    names = [f"{number}.mp4" for number in range(5)]
    for name in names:
        (tmp_path / "clips" / name).write_bytes(b"no video " + name.encode())
    write_manifest(tmp_path, names)
    return tmp_path


def test_a_run_that_was_ended_goes_on(torn):
    with pytest.raises(KeyboardInterrupt):
        analyze(torn, Engine(ends_after=4))
    assert list(versions(torn)) == ["part-00001.parquet", "part-00002.parquet"]  # the last were done first
    assert not (torn / "out" / "run.json").exists()
    before = versions(torn)
    engine = Engine()
    analyze(torn, engine)
    assert engine.given == ["0.mp4"]
    assert before.items() <= versions(torn).items()
    assert json.loads((torn / "out" / "run.json").read_text())["n_clips"] == 5
    assert rows(torn)["clip_id"].tolist() == [f"{number}.mp4" for number in range(5)]
    assert all(Path(path).is_file() for path in rows(torn)["path"])


def test_parts_are_kept_only_while_rows_options_clips_and_vidfer_are_the_same(torn, monkeypatch):
    analyze(torn)
    first = versions(torn)
    analyze(torn)
    assert versions(torn) == first
    names = [f"{number}.mp4" for number in range(5)]

    write_manifest(torn, [*names, "missing.mp4"])  # a further row: only the part where it belongs is made again
    analyze(torn)
    second = versions(torn)
    assert [second[name] == first[name] for name in first] == [True, True, False]

    (torn / "clips" / "2.mp4").unlink()  # nothing can be said against a part whose clips have gone
    (torn / "clips" / "0.mp4").write_bytes(b"another")
    analyze(torn)
    third = versions(torn)
    assert [third[name] == second[name] for name in first] == [False, True, False]
    assert rows(torn)["source_blake3"].nunique() == 5

    (torn / "clips" / "2.mp4").write_bytes(b"no video 2.mp4")
    analyze(torn, fps=4)
    fourth = versions(torn)
    assert not set(fourth.values()) & set(third.values())
    monkeypatch.setattr(many, "code_digest", lambda: "of other code")
    analyze(torn, fps=4)
    assert not set(versions(torn).values()) & set(fourth.values())

    write_manifest(torn, names[:2])
    assert analyze(torn, fps=4).n_clips == 2
    assert list(versions(torn)) == ["part-00000.parquet"]


def test_what_was_missing_is_tried_again(torn):
    (torn / "clips" / "3.mp4").rename(torn / "3.mp4")
    found = analyze(torn)
    assert found.statuses["unreadable"] == 1
    assert f"{torn}/clips/3.mp4: unreadable: " in "".join(found.faults)
    before = versions(torn)
    (torn / "3.mp4").rename(torn / "clips" / "3.mp4")
    assert "unreadable" not in analyze(torn).statuses
    assert [versions(torn)[name] == before[name] for name in before] == [True, False, True]


def test_what_cannot_be_stored_is_in_the_tables_and_is_tried_again(torn):
    store = Store(torn / "store")
    with finished(build_chain(ChainOptions()), "report", torn / "clips" / "0.mp4", store) as artifact:
        report = read_report(artifact)
    report.summary["sound"]["status"] = Status.TIMEOUT
    failed = {
        "1.mp4": {"report": pack_report(report), "elapsed_s": 3.5},
        "2.mp4": ClipError(Status.CRASHED, "2.mp4: its worker died"),
    }
    found = analyze(torn, Engine(results=failed))
    clips = rows(torn)
    assert clips["sound_status"].tolist()[1] == "timeout"
    assert clips["elapsed_s"].tolist()[1] == 3.5
    assert clips["status"].tolist()[2] == "crashed"
    assert found.n_faults == 5
    engine = Engine()
    assert "crashed" not in analyze(torn, engine).statuses
    assert sorted(engine.given) == ["1.mp4", "2.mp4"]


def test_a_clip_that_the_store_lost_after_its_analysis_is_to_be_run_again(torn):
    found = analyze(torn, Engine(results={"1.mp4": {"report": None, "elapsed_s": 1.0}}))
    assert "run it again, and see that all machines share that store" in "".join(found.faults)
    assert found.statuses["unreadable"] == 1
    assert "unreadable" not in analyze(torn).statuses


def test_a_damaged_summary_is_never_read(torn):
    analyze(torn)
    stored = Stored(ChainOptions(), Store(torn / "store"))
    summary = stored.find(str(torn / "clips" / "1.mp4")).artifact.path / "summary.json"
    summary.write_bytes(summary.read_bytes().replace(b"unsupported", b"unsupporteD"))
    write_manifest(torn, ["1.mp4"])
    engine = Engine()
    assert list(analyze(torn, engine).statuses) == ["unsupported"]
    assert engine.given == ["1.mp4"]


def test_keys_are_those_of_the_chain(torn):
    clip = torn / "clips" / "1.mp4"
    with finished(build_chain(ChainOptions()), "report", clip, Store(torn / "store")) as artifact:
        assert Stored(ChainOptions(), Store(torn / "store")).find(str(clip)).artifact.key == artifact.key


def test_hundreds_of_rows_of_one_clip_are_looked_up_without_any_worker(torn):
    lines = "".join(f"clips/1.mp4,{number}\n" for number in range(700))
    write_manifest(torn, ["1.mp4"])
    analyze(torn)
    (torn / "m.csv").write_text("path,id\n" + lines)
    engine, told = Engine(), []
    how = ManifestAnalysis(ChainOptions(), TableOptions(), Store(torn / "store"), engine, part_rows=300)
    how.run(torn / "m.csv", torn / "out", progress=lambda *at: told.append(at))
    assert engine.given == []
    assert told[0] == (200, 700)
    assert told == sorted(told)
    assert rows(torn)["clip_id"].tolist() == [str(number) for number in range(700)]
    assert [pq.read_metadata(part).num_rows for part in sorted((torn / "out/clips").iterdir())] == [300, 300, 100]


def test_python_and_the_command_line_do_the_same(torn, capsys, monkeypatch):
    for name in ("2.mp4", "3.mp4", "4.mp4"):
        (torn / "clips" / name).unlink()
    analyze(torn, out="first")  # so that no process has to be started
    with Analyzer(store=torn / "store") as analyzer:
        found = analyzer.analyze_manifest(torn / "m.csv", torn / "python", tables=["people"])
    assert found.statuses == {"unreadable": 3, "unsupported": 2}
    words = ["analyze", "--manifest", str(torn / "m.csv"), "--store", str(torn / "store"), "--out"]
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, str(torn / "out"), "--parts", "people"]) == 1
    said = capsys.readouterr()
    shown = [line.split() for line in said.out.splitlines()]
    assert ["unreadable", "3"] in shown
    assert ["unsupported", "2"] in shown
    assert all(len(line) <= 80 for line in said.out.replace(str(torn), "").splitlines())
    assert f"{torn}/clips/3.mp4: unreadable" in said.err
    one, other = (rows(torn, out=out).drop(columns="analyzed_at") for out in ("python", "out"))
    pd.testing.assert_frame_equal(one, other)
    assert len(rows(torn, "people")) == 0
    assert main([*words, str(torn / "out"), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["clip_id"] for line in lines] == [f"{number}.mp4" for number in range(5)]
    assert lines[0]["settings"] is not None
    assert lines[0]["models"]["image"]["digest"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["clips"], "--manifest goes without PATH"),
        (["--overlay", "--excel"], "--manifest goes without --excel and --overlay"),
        (["--identify"], "--manifest goes without --identify"),
        (["--baseline", "neutral"], "--manifest goes without --baseline"),
        (["--parts", "clips"], "no part 'clips'"),
    ],
)
def test_what_goes_without_a_manifest_is_refused(torn, words, fault, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["analyze", *words, "--manifest", "m.csv"])
    assert ended.value.code == 2
    assert fault in capsys.readouterr().err


def test_a_run_over_paths_leaves_the_folder_of_a_manifest_alone(torn, capsys):
    analyze(torn)
    before = sorted(torn.rglob("out/**/*"))
    assert main(["analyze", str(torn / "clips"), "--store", str(torn / "store"), "--out", str(torn / "out")]) == 2
    assert "out holds a run of a manifest: give another folder by --out" in capsys.readouterr().err
    assert sorted(torn.rglob("out/**/*")) == before


def test_the_folder_of_another_kind_of_run_and_unknown_tables_are_refused(torn):
    (torn / "out").mkdir()
    (torn / "out" / "clips.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="holds a run without a manifest"):
        analyze(torn)
    analyzer = Analyzer(baseline="neutral")
    with pytest.raises(UsageError, match="are not for a manifest"):
        analyzer.analyze_manifest(torn / "m.csv", torn / "new")
    with pytest.raises(UsageError, match="no table 'faces'"):
        Analyzer().analyze_manifest(torn / "m.csv", torn / "new", tables=["faces"])


PROGRAM = """
import resource, sys, time
from pathlib import Path
from vidfer import Analyzer
with Analyzer(store=sys.argv[1]) as analyzer:
    began = time.process_time()
    found = analyzer.analyze_manifest(sys.argv[2], sys.argv[3])
    took = time.process_time() - began
print(found.n_clips, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_hundred_thousand_clips_take_no_more_memory_than_ten_thousand_and_half_a_millisecond_each(torn):
    write_manifest(torn, ["1.mp4"])
    analyze(torn)
    found = {}
    for number in (10_000, 100_000):
        file, out = torn / f"{number}.csv", torn / f"out-{number}"
        file.write_text("path,id\n" + "".join(f"clips/1.mp4,{each}\n" for each in range(number)))
        words = [sys.executable, "-c", PROGRAM, str(torn / "store"), str(file), str(out)]
        ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
        clips, took, peak = map(float, ended.stdout.split())
        assert clips == number
        assert len(list((out / "clips").iterdir())) == number // 10_000
        found[number] = (took / number, peak)
    assert found[100_000][0] < 1 / 2000
    assert found[100_000][1] < found[10_000][1] * 1.15  # the digests of ids are 8 bytes each, for a while
