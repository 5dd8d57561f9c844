"""`vidfer people`: names and joins in people.csv reach every table, and go again."""

import pandas as pd
import pytest

from tests.results.made import faces_of, times_of
from tests.results.test_merge import CLIP, FULL, SETTINGS, tables_of
from vidfer.cli.main import main
from vidfer.results.clip_folder import write_clip
from vidfer.results.run_folder import rebuild
from vidfer.results.schema import TABLES
from vidfer.results.tables import TableOptions


@pytest.fixture
def run(tmp_path):
    """A run of one clip, in which one person was tracked twice, and an empty one."""
    times = times_of(6)
    faces = faces_of(times, p1=[0, 1, 2, 3], p2=[9, 10, 11])
    tables, summary = tables_of(times, faces, FULL, SETTINGS, TableOptions())
    write_clip(tmp_path / CLIP, CLIP, tables, summary)
    rebuild(tmp_path)
    return tmp_path


def edit(run, **columns):
    rows = pd.read_csv(run / "people.csv", dtype=str, keep_default_na=False).assign(**columns)
    rows.to_csv(run / "people.csv", index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")


def files(run):
    return {name: (run / f"{name}.parquet").read_bytes() for name in TABLES}


def test_names_and_joins_reach_every_table_and_go_again(run, capsys):
    before = {name: pd.read_parquet(run / f"{name}.parquet") for name in TABLES}
    edit(run, name=["Ann", ""], same_as=["", f"{CLIP}#1"], note=["mine", "too"])
    assert main(["people", "apply", str(run)]) == 0
    said = capsys.readouterr().out
    assert "1 people, of 2 that were tracked; 1 with a name" in said
    for name in ("frames", "seconds", "segments", "people", "clips"):
        rows = pd.read_parquet(run / f"{name}.parquet")
        assert set(rows["person_id"].dropna()) == {f"{CLIP}#1"}
        assert set(rows["person_name"].dropna()) == {"Ann"}
    people = pd.read_parquet(run / "people.parquet")
    assert people["n_faces"].fillna(0).tolist() == [7, 0]
    assert people["note"].tolist() == ["mine", "too"]
    after = files(run)
    assert main(["people", "apply", str(run)]) == 0
    assert files(run) == after
    edit(run, name="", same_as="")
    assert main(["people", "apply", str(run)]) == 0
    for name, rows in before.items():
        found = pd.read_parquet(run / f"{name}.parquet")
        pd.testing.assert_frame_equal(found.drop(columns="note", errors="ignore"), rows)


def test_what_cannot_be_is_one_sentence_and_changes_nothing(run, tmp_path, capsys):
    before = files(run)
    for column, cell, said in (
        ("same_as", "b#9", "line 3: same_as is 'b#9', which is no person_id of this run"),
        ("predominant", "sad", "line 3: predominant is 'sad', not 'happy': only name and same_as may be edited"),
        ("person", "1", f"line 3: {CLIP}#1 is in line 2 already"),
    ):
        kept = (run / "people.csv").read_bytes()
        edit(run, **{column: ["" if column == "same_as" else "1" if column == "person" else "happy", cell]})
        assert main(["people", "apply", str(run)]) == 1
        err = capsys.readouterr().err
        assert said in err
        assert "Traceback" not in err
        assert files(run) == before
        (run / "people.csv").write_bytes(kept)
    assert main(["people", "apply", str(tmp_path / "none")]) == 2
    assert "has no people.csv: give the folder that `vidfer analyze --out` named" in capsys.readouterr().err


def test_the_list_names_everybody(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    edit(run, name=["Ann", ""], same_as=["", f"{CLIP}#1"])
    assert main(["people", "apply", str(run)]) == 0
    capsys.readouterr()
    assert main(["people", "list", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[-2:]] == [
        [f"{CLIP}#1", "Ann", CLIP, "0.0-2.2"],
        [f"{CLIP}#1", "Ann", CLIP, "see"],
    ]
