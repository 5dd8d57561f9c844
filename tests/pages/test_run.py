"""The pages of a run on disk: written with the tables, and again where names have changed."""

import re

import pandas as pd
import pytest

from tests.results.fake import write
from tests.results.made import faces_of, times_of
from tests.results.test_merge import CLIP, FULL, SETTINGS, tables_of
from vidfer import ClipError, ClipResult, Status, load_run
from vidfer.cli.main import main
from vidfer.pages.index import INDEX
from vidfer.pages.people import noted_digest, people_digest
from vidfer.pages.run import as_written, finish_run, write_pages
from vidfer.results.clip_folder import OVERLAY, REPORT, open_clip, write_clip
from vidfer.results.links import address
from vidfer.results.pictures import Pictures
from vidfer.results.run_folder import begins_with_bom, rebuild
from vidfer.results.tables import TableOptions

OTHER = "other.mp4"


@pytest.fixture
def run(tmp_path):
    """A run of a clip in which one person was tracked twice, and of another one; both have a report."""
    from vidfer.pages.report import render_report

    times = times_of(6)
    faces = faces_of(times, p1=[0, 1, 2, 3], p2=[9, 10, 11])
    tables, summary = tables_of(times, faces, FULL, SETTINGS, TableOptions())
    for name in (CLIP, OTHER):
        own = {table: rows.assign(clip_id=rows["clip_id"].str.replace(CLIP, name)) for table, rows in tables.items()}
        own = {
            table: rows.assign(person_id=rows["person_id"].str.replace(CLIP, name)) if "person_id" in rows else rows
            for table, rows in own.items()
        }
        index = address(tmp_path / INDEX, tmp_path / name)
        page = render_report(own, summary, Pictures(), index=index, overlay=f"./{OVERLAY}")
        write_clip(tmp_path / name, name, own, {**summary, "video": None}, files={REPORT: page, OVERLAY: b"film"})
    write_pages(tmp_path, rebuild(tmp_path))
    return tmp_path


def edit(run, clip, **columns):
    rows = pd.read_csv(run / "people.csv", dtype=str, keep_default_na=False)
    for name, cell in columns.items():
        rows.loc[rows["clip_id"].eq(clip) & rows["person"].eq("2"), name] = cell
    rows.to_csv(run / "people.csv", index=False)


def state(run, clip):
    return (run / clip / REPORT).stat().st_ino, (run / clip / REPORT).read_bytes()


def test_reports_are_made_again_only_where_names_have_changed(run, capsys):
    first = {clip: state(run, clip) for clip in (CLIP, OTHER)}
    write_pages(run, rebuild(run))
    assert {clip: state(run, clip) for clip in first} == first
    edit(run, CLIP, name="Zoë <b>", same_as=f"{OTHER}#1")
    assert main(["people", "apply", str(run)]) == 0
    now = {clip: state(run, clip) for clip in first}
    named = pd.read_parquet(run / "people.parquet")
    for clip in first:
        rows = named[named["clip_id"] == clip]
        assert noted_digest(run / clip / REPORT) == people_digest(rows)
    assert (now[CLIP] != first[CLIP], now[OTHER] != first[OTHER]) == (True, True)  # the name is the other's, too
    assert b"Zo\xc3\xab &lt;b&gt;" in (run / INDEX).read_bytes()
    assert b"<b>" not in (run / INDEX).read_bytes()
    found = load_run(run)
    assert not found.made_again
    assert [open_clip(run / clip).token for clip in first] == [found.clip(clip).token for clip in first]
    edit(run, CLIP, name="", same_as="")
    assert main(["people", "apply", str(run)]) == 0
    assert {clip: state(run, clip)[1] for clip in first} == {clip: page for clip, (_, page) in first.items()}


def test_a_clip_analysed_again_gets_the_names_of_people_csv(run):
    edit(run, OTHER, name="Ann")
    write_pages(run, rebuild(run))
    named = (run / OTHER / REPORT).read_bytes()
    clip = open_clip(run / OTHER)
    tables = {name: clip.table(name) for name in ("frames", "seconds", "segments", "people", "windows", "clips")}
    files = {REPORT: b"<meta charset=utf-8>", OVERLAY: b"film"}
    write_clip(run / OTHER, OTHER, tables, {"clip": "o"} | dict(clip.summary), files=files)
    (run / OTHER / REPORT).write_bytes(re.sub(rb'(vidfer-people" content=")\w+', rb"\g<1>00", named))
    write_pages(run, rebuild(run))
    assert (run / OTHER / REPORT).read_bytes() == named


def test_older_folders_without_report_pictures_and_models_are_listed(tmp_path):
    for name in ("a.mp4", "b/c.mp4"):
        write(tmp_path, name)
    page = write_pages(tmp_path, rebuild(tmp_path)).read_text()
    assert "b/c.mp4" in page
    assert "<img" not in page
    assert not re.search(r'<a href="\./(a|b)', page)
    assert not list(tmp_path.rglob(REPORT))


def test_python_gets_pages_where_it_gets_tables(tmp_path):
    ClipResult.failed("x.mp4", ClipError(Status.CORRUPT, "torn"), "x.mp4").save(tmp_path / "x.mp4")
    assert load_run(tmp_path).made_again
    page = (tmp_path / INDEX).read_text()
    assert 'href="./x.mp4/report.html"' in page
    assert "torn" in page
    (tmp_path / INDEX).unlink()
    assert not load_run(tmp_path).made_again
    assert not (tmp_path / INDEX).exists()  # a run that is only read is not written to


def test_the_same_results_make_the_same_page(run):
    before = (run / INDEX).read_bytes()
    write_pages(run, rebuild(run))
    assert (run / INDEX).read_bytes() == before


def version(path):
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_tables_and_pages_that_are_as_written_stay(run):
    finish_run(run, excel=False)
    before = {path: version(path) for path in run.rglob("*") if path.is_file()}
    found, page = finish_run(run, excel=False)
    assert (sorted(found.clips), page) == ([CLIP, OTHER], run / INDEX)
    assert {path: version(path) for path in run.rglob("*") if path.is_file()} == before


def test_a_file_of_the_run_that_is_gone_or_damaged_is_made_again(run):
    finish_run(run, excel=False)
    for name in ("clips.parquet", "seconds.csv", "people.csv", "datapackage.json", INDEX):
        whole = (run / name).read_bytes()
        (run / name).unlink()
        assert as_written(run, excel=False) is None
        if name != INDEX:
            (run / name).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
            assert as_written(run, excel=False) is None
        (run / name).write_bytes(whole)
        assert as_written(run, excel=False)
    (run / "people.csv").unlink()
    finish_run(run, excel=False)
    assert as_written(run, excel=False)


def test_what_a_user_wrote_or_wants_otherwise_makes_tables_and_pages_again(run):
    finish_run(run, excel=False)
    edit(run, CLIP, name="Ann")
    assert as_written(run, excel=False) is None
    finish_run(run, excel=False)
    assert "Ann" in (run / INDEX).read_text()
    assert "Ann" in (run / CLIP / REPORT).read_text()
    assert as_written(run, excel=False)
    assert as_written(run, excel=True) is None
    finish_run(run, excel=True)
    assert begins_with_bom(run / "seconds.csv")
    links = {f"{OTHER}#1": f"{CLIP}#1"}
    assert as_written(run, excel=True, links=links) is None
    finish_run(run, excel=True, links=links)
    assert as_written(run, excel=True, links=links)
    assert as_written(run, excel=True, links={}) is None
    (run / OTHER / "summary.json").unlink()
    assert as_written(run, excel=True) is None


def test_what_a_user_wrote_while_pages_are_made_is_not_taken_for_written(run):
    found = rebuild(run, excel=False)
    edit(run, CLIP, name="Ann")
    write_pages(run, found)
    assert as_written(run, excel=False) is None


def test_a_run_that_is_broken_off_has_a_page_of_what_is_done(tmp_path, monkeypatch):
    from vidfer.cli import analyze

    clips = [tmp_path / "videos" / name for name in ("a.mp4", "b.mp4")]
    clips[0].parent.mkdir()
    for clip in clips:
        clip.write_bytes(b"no video")

    def one_of_two(work, jobs):
        first = next(iter(work.folders))
        yield 0, work.write(first, ClipResult.failed(first, ClipError(Status.CORRUPT, "torn"), "a.mp4"))
        raise KeyboardInterrupt

    monkeypatch.setattr(analyze, "_analyze_all", one_of_two)
    words = ["analyze", *map(str, clips), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    assert main(words) == 130
    page = (tmp_path / "out" / INDEX).read_text()
    assert ("a.mp4" in page, "b.mp4" in page) == (True, False)
