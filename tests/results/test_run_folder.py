"""A run's tables are those of its clips' folders, with what a user wrote into them."""

import errno
import json
import shutil

import pandas as pd
import pytest

from tests.results.fake import ROWS, SUMMARY, tables_of, write
from vidfer.results.clip_folder import open_clip, write_clip
from vidfer.results.files import read_csv, read_table
from vidfer.results.run import load_run
from vidfer.results.run_folder import check, rebuild
from vidfer.results.schema import TABLES
from vidfer.types import UsageError, VidferError

CLIPS = ("a.mp4", "holiday/b.mp4", "holiday/b.mp4-2")


@pytest.fixture
def run(tmp_path):
    for number, clip_id in enumerate(CLIPS):
        write(tmp_path, clip_id, value=number / 8)
    assert not rebuild(tmp_path).left_out
    return tmp_path


def own_files(run):
    return {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


def edit(path, function):
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    function(rows)
    rows.to_csv(path, index=False)


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_of_a_run_are_those_of_its_clips_one_below_the_other(run, table):
    whole = pd.concat(
        [tables_of(clip_id, number / 8)[table] for number, clip_id in enumerate(CLIPS)], ignore_index=True
    )
    pd.testing.assert_frame_equal(read_table(run / f"{table}.parquet"), whole)
    pd.testing.assert_frame_equal(read_csv(run / f"{table}.csv", table), whole)
    pd.testing.assert_frame_equal(getattr(load_run(run), table), whole)
    _, *lines = (run / f"{table}.csv").read_bytes().splitlines()
    assert lines == [
        line for clip_id in CLIPS for line in (run / clip_id / f"{table}.csv").read_bytes().splitlines()[1:]
    ]


def test_a_clip_that_is_analysed_again_takes_the_place_of_its_rows(run):
    write(run, CLIPS[1], value=0.9, rows={**ROWS, "frames": 0, "people": 1})
    rebuild(run)
    found = load_run(run)
    assert found.frames["clip_id"].value_counts().to_dict() == {CLIPS[0]: 3, CLIPS[2]: 3}
    assert found.clips["happy"].tolist() == [0.0, 0.9, 0.25]


def test_a_run_without_rows_keeps_columns_and_types(tmp_path):
    write(tmp_path, "a.mp4", rows=dict.fromkeys(TABLES, 0))
    rebuild(tmp_path)
    for name, rows in tables_of("a.mp4", rows=dict.fromkeys(TABLES, 0)).items():
        pd.testing.assert_frame_equal(read_table(tmp_path / f"{name}.parquet"), rows)


def test_names_and_own_columns_are_kept_over_rebuilds(run):
    def write_names(rows):
        rows.loc[(rows.clip_id == CLIPS[1]) & (rows.person == "2"), ["name", "same_as"]] = ["=Jürgen, Groß", "a.mp4#1"]
        rows["age"], rows["code"] = ["31", "", "4", "5", "6", "7"], "01"

    edit(run / "people.csv", write_names)
    edit(run / "clips.csv", lambda rows: rows.insert(0, "note", ["x", "", "z"]))
    for _ in range(2):
        write(run, CLIPS[0], value=0.7)
        write(run, "new.mp4")
        rebuild(run)
    people = load_run(run).people
    assert people["name"].fillna("").tolist() == ["", "", "", "=Jürgen, Groß", "", "", "", ""]
    assert people["same_as"].fillna("").tolist() == ["", "", "", "a.mp4#1", "", "", "", ""]
    assert people["age"].fillna(-1).tolist() == [31, -1, 4, 5, 6, 7, -1, -1]
    assert (str(people["age"].dtype), str(people["code"].dtype)) == ("Int64", "string")
    assert people["margin"].tolist()[:2] == [0.7, 0.7]
    assert load_run(run).clips["note"].fillna("").tolist() == ["x", "", "z", ""]
    edit(run / "people.csv", lambda rows: rows.drop(columns="age", inplace=True))
    edit(run / "people.csv", lambda rows: rows.__setitem__("name", ""))
    rebuild(run)
    assert "age" not in load_run(run).people
    assert load_run(run).people["name"].isna().all()


@pytest.mark.parametrize("end", [".0", ",0", ""])
def test_names_are_kept_where_a_program_took_persons_for_numbers_with_decimals(run, end):
    edit(run / "people.csv", lambda rows: rows.update({"name": list("uvwxyz"), "person": rows["person"] + end}))
    rebuild(run)
    assert load_run(run).people["name"].tolist() == list("uvwxyz")


def test_what_a_user_wrote_is_kept_beside_when_its_clip_is_gone(run, caplog):
    edit(run / "people.csv", lambda rows: rows.update({"name": ["Ann", *[""] * 5]}))
    edit(run / "clips.csv", lambda rows: rows.insert(0, "note", ["", "", "z"]))
    rebuild(run)
    before = (run / "people.csv").read_bytes()
    (run / CLIPS[0]).rename(run / "moved.mp4")
    assert len(load_run(run).people) == 4
    assert any("a.mp4" in each.message and "moved" in each.message for each in caplog.records)
    assert (run / "people-earlier.csv").read_bytes() == before
    assert not (run / "clips-earlier.csv").exists()
    shutil.rmtree(run / "moved.mp4")
    shutil.rmtree(run / CLIPS[2])
    assert [note for note in rebuild(run).notes if "clips-earlier.csv" in note]
    assert len(list(run.glob("people-earlier*"))) == 1


def test_columns_of_a_study_that_no_clip_has_any_more_go(run):
    write(run, CLIPS[0], condition="x")
    rebuild(run)
    assert load_run(run).clips["condition"].fillna("-").tolist() == ["x", "-", "-"]
    write(run, CLIPS[0])
    rebuild(run)
    assert "condition" not in load_run(run).clips
    assert "condition" not in load_run(run).frames


@pytest.mark.parametrize(
    ("one", "other", "kind", "texts"),
    [
        (1, 2.5, "float64", ["1.0", "2.5"]),
        (1, "x", "string", ["1", "x"]),
        (True, "x", "string", ["TRUE", "x"]),
        (2.0, True, "string", ["2.0", "TRUE"]),
        ("x", "y", "string", ["x", "y"]),
        (1, 2, "Int64", ["1", "2"]),
    ],
)
def test_study_columns_of_several_types_fit_all_clips(tmp_path, one, other, kind, texts):
    write(tmp_path, "a.mp4", trial=one)
    write(tmp_path, "b.mp4", trial=other)
    write(tmp_path, "c.mp4")
    rebuild(tmp_path)
    for table in TABLES:
        found = read_table(tmp_path / f"{table}.parquet")
        assert str(pd.Series(dtype=kind).dtype) == str(found["trial"].dtype)
        cells = pd.read_csv(tmp_path / f"{table}.csv", dtype=str)["trial"]
        assert cells.tolist()[0] == texts[0]
        assert cells.dropna().tolist()[-1] == texts[1]
        assert cells.isna().sum() == found["trial"].isna().sum() == ROWS[table]


def test_folders_that_are_damaged_moved_or_of_another_version_are_named_and_left_alone(run):
    for name in ("torn", "old", "no-summary", "moved", "odd"):
        write(run, name)
    (run / "torn" / "frames.parquet").write_bytes((run / "a.mp4" / "frames.parquet").read_bytes())
    summary = json.loads((run / "old" / "summary.json").read_bytes())
    (run / "old" / "summary.json").write_text(json.dumps({**summary, "schema_version": 0}))
    (run / "no-summary" / "summary.json").unlink()
    (run / "moved").rename(run / "elsewhere")
    (run / "odd" / "summary.json").write_text("[]")
    (run / "notes").mkdir()
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file() and path.parent != run}
    found = rebuild(run)
    assert load_run(run).clips["clip_id"].tolist() == list(CLIPS)
    told = {path.name: reason for path, reason in found.left_out.items()}
    assert told.keys() == {"torn", "old", "elsewhere", "odd"}
    assert "is damaged: frames.parquet" in told["torn"]
    assert "another version" in told["old"]
    assert "move it back" in told["elsewhere"]
    assert {path: path.read_bytes() for path in before} == before
    assert f"{run / 'torn'} is not in the tables: it is damaged: frames.parquet" in " ".join(found.warnings())


def test_what_was_finished_after_the_tables_is_loaded(run):
    write(run, "late.mp4", value=0.6)
    shutil.rmtree(run / CLIPS[2])
    found = load_run(run)
    assert found.clips["clip_id"].tolist() == [*CLIPS[:2], "late.mp4"]
    assert found.clip("late.mp4").table("clips")["happy"].tolist() == [0.6]
    assert found.folders["late.mp4"] == run / "late.mp4"
    (run / "windows.parquet").unlink()
    assert len(load_run(run).windows) == 6


def test_tables_that_are_current_are_not_written_again(run):
    before = {path: path.stat().st_ino for path in own_files(run)}
    load_run(run)
    assert {path: path.stat().st_ino for path in own_files(run)} == before


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        load_run(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no results"):
        load_run(tmp_path)
    assert not list(tmp_path.iterdir())
    write(tmp_path, "a.mp4")
    with pytest.raises(UsageError, match=r"no clip film: see the column clip_id"):
        load_run(tmp_path).clip("film")
    with pytest.raises(UsageError, match=r"a\.mp4 holds one clip's results: give the folder of its run"):
        load_run(tmp_path / "a.mp4")


def test_a_clip_named_by_its_file_alone_is_told_its_id(tmp_path):
    write(tmp_path, "a_long_way/down/b.mp4")
    with pytest.raises(UsageError, match=r"no clip b\.mp4: did you mean a_long_way/down/b\.mp4\?"):
        load_run(tmp_path).clip("b.mp4")


def test_a_table_that_the_user_broke_is_left_alone_with_all_others(run):
    (run / "people.csv").write_bytes(b"name\nJ\n")
    before = own_files(run)
    with pytest.raises(VidferError, match=r"people\.csv has no column"):
        rebuild(run)
    assert own_files(run) == before


def test_a_table_that_the_user_saves_meanwhile_is_read_again(run, monkeypatch):
    from vidfer.results import run_folder

    real, times = run_folder.read_arrow, []

    def saved_meanwhile(data):
        if not times:
            edit(run / "people.csv", lambda rows: rows.__setitem__("name", "late"))
        times.append(1)
        return real(data)

    monkeypatch.setattr(run_folder, "read_arrow", saved_meanwhile)
    rebuild(run)
    assert set(load_run(run).people["name"]) == {"late"}


def test_the_byte_order_mark_stays_until_it_is_said_otherwise(run):
    for excel, begins in ((None, False), (True, True), (None, True), (False, False)):
        rebuild(run, excel=excel)
        assert all((run / f"{name}.csv").read_bytes().startswith(b"\xef\xbb\xbf") is begins for name in TABLES)


def say(run, **cells):
    """Write into people.csv, by id as tracked, as a user does: `name` and `same_as`."""
    path = run / "people.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.index = rows["clip_id"] + "#" + rows["person"]
    for column, values in cells.items():
        for tracked, value in values.items():
            rows.loc[tracked, column] = value
    rows.to_csv(path, index=False)


def test_persons_have_their_names_and_ids_in_every_table_of_the_run_and_those_as_tracked_in_the_clips(run):
    rebuild(run)
    before = {name: (run / f"{name}.csv").read_bytes() for name in TABLES}
    one, other = (f"{clip}#1" for clip in CLIPS[:2])
    say(run, name={one: "Ann"}, same_as={other: one})
    rebuild(run)
    after = {name: (run / f"{name}.csv").read_bytes() for name in TABLES}
    found = load_run(run)
    for name in TABLES:
        rows = getattr(found, name)
        assert other not in set(rows["person_id"])
        own = rows[rows["clip_id"].isin(CLIPS[:2]) & (rows["person_id"] == one)]
        assert set(own["clip_id"]) == set(CLIPS[:2])
        if "person_name" in rows:
            assert set(own["person_name"]) == {"Ann"}
    assert set(open_clip(run / CLIPS[1]).table("frames")["person_id"]) >= {other}
    rebuild(run)
    assert {name: (run / f"{name}.csv").read_bytes() for name in TABLES} == after
    say(run, name={one: ""}, same_as={other: ""})
    rebuild(run)
    assert {name: (run / f"{name}.csv").read_bytes() for name in TABLES} == before


def test_links_stay_until_others_are_found(run):
    rebuild(run)
    one, other = (f"{clip}#2" for clip in CLIPS[:2])
    for links in ({other: one}, None):
        rebuild(run, links=links)
        people = load_run(run).people.set_index(["clip_id", "person"])
        assert people["linked_to"].dropna().to_dict() == {(CLIPS[1], 2): one}
        assert people.loc[(CLIPS[1], 2), "person_id"] == one
    rebuild(run, links={})
    assert load_run(run).people["linked_to"].isna().all()


def test_pictures_are_named_by_their_place_below_the_run(tmp_path):
    tables = tables_of("a b/c.mp4")
    tables["people"] = tables["people"].assign(thumbnail=pd.array(["person-1.jpg", None], "string"))
    write_clip(tmp_path / "a b/c.mp4", "a b/c.mp4", tables, {**SUMMARY, "clip": "c.mp4"}, files={"person-1.jpg": b"1"})
    rebuild(tmp_path)
    place = load_run(tmp_path).people["thumbnail"].tolist()
    assert place == ["a b/c.mp4/person-1.jpg", pd.NA]
    assert (tmp_path / place[0]).read_bytes() == b"1"


def test_what_cannot_be_in_people_csv_is_told_before_anything_is_written(run):
    rebuild(run)
    say(run, same_as={f"{CLIPS[0]}#1": "x#1"})
    for step in (check, rebuild):
        with pytest.raises(VidferError, match="line 2: same_as is 'x#1', which is no person_id of this run"):
            step(run)


def test_files_that_a_clip_has_no_more_go_and_those_of_others_stay(tmp_path):
    folder = tmp_path / "a.mp4"
    write(tmp_path, "a.mp4", files={"person-1.jpg": b"1", "person-2.jpg": b"2"})
    (folder / "my notes.txt").write_text("mine")
    write(tmp_path, "a.mp4", files={"person-1.jpg": b"3"})
    assert (folder / "person-1.jpg").read_bytes() == b"3"
    assert not (folder / "person-2.jpg").exists()
    assert (folder / "my notes.txt").read_text() == "mine"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    (tmp_path / "a.mp4").write_text("a file")
    with pytest.raises(VidferError, match=r"results cannot be written to .*a\.mp4"):
        write_clip(tmp_path / "a.mp4", "a.mp4", tables_of("a.mp4"), {})


def test_the_dictionary_beside_the_tables_names_their_columns(run):
    write(run, CLIPS[0], condition="x")
    edit(run / "clips.csv", lambda rows: rows.insert(3, "note", "mine"))
    rebuild(run, excel=True)
    for folder in (run, run / CLIPS[0]):
        package = json.loads((folder / "datapackage.json").read_bytes())
        assert [each["name"] for each in package["resources"]] == list(TABLES)
        for each in package["resources"]:
            header = (folder / each["path"]).read_text(each["encoding"]).partition("\n")[0]
            assert [column["name"] for column in each["schema"]["fields"]] == header.split(",")
    assert "note" in (run / "clips.csv").read_text()
    assert "condition" in header


def test_a_name_that_may_be_meant_for_another_person_after_a_new_analysis_is_told_once(run):
    edit(run / "people.csv", lambda rows: rows.__setitem__("name", ["Ann", *[""] * (len(rows) - 1)]))
    write(run, CLIPS[0], value=0.0)  # the same people
    assert rebuild(run).notes == ()
    write(run, CLIPS[1], value=0.75)  # others, of whom nothing was written
    assert rebuild(run).notes == ()
    write(run, CLIPS[0], value=0.75)
    assert [CLIPS[0] in note and "check name" in note for note in rebuild(run).notes] == [True]
    assert rebuild(run).notes == ()
    assert load_run(run).people["name"].dropna().tolist() == ["Ann"]


def test_a_run_that_cannot_be_written_is_named_with_what_helps(run, monkeypatch):
    def refuse(**place):
        raise OSError(errno.EROFS, "Read-only file system", str(place["dir"]))

    write(run, CLIPS[0], value=0.75)  # so that the tables have to be made again
    monkeypatch.setattr("vidfer.pipeline.atomic.TemporaryFile", refuse)
    with pytest.raises(VidferError, match=r"Read-only file system.*copy the run to a folder that can be written"):
        load_run(run)
