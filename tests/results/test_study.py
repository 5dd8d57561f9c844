"""Files of participants: which clip a row means, what type a column has, and that nothing is lost silently."""

from pathlib import Path

import pandas as pd
import pytest

from vidfer.results.files import typed_values
from vidfer.results.study import find_participants, infer_kind, read_study
from vidfer.types import UsageError


@pytest.fixture
def folder(tmp_path):
    """Clips `a.mp4`, `b.mp4`, `deep/a.mp4` and `deep/c d.mp4`, by id, and a function that writes a sheet beside them."""
    clips = {f"videos/{name}": tmp_path / "videos" / name for name in ("a.mp4", "b.mp4", "deep/a.mp4", "deep/c d.mp4")}
    for path in clips.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    def sheet(text, name="participants.csv", encoding="utf-8"):
        (tmp_path / "videos" / name).write_text(text, encoding)
        return tmp_path / "videos" / name

    return clips, sheet


def read(folder, text, **how):
    clips, sheet = folder
    return read_study([(sheet(text, **how), clips)])


@pytest.mark.parametrize(
    ("said", "clip"),
    [
        ("videos/a.mp4", "videos/a.mp4"),  # id
        ("{root}/videos/deep/a.mp4", "videos/deep/a.mp4"),  # path as given
        ("a.mp4", "videos/a.mp4"),  # relative to the sheet before the file's name, which two clips have
        ("deep/a.mp4", "videos/deep/a.mp4"),
        ("deep\\a.mp4", "videos/deep/a.mp4"),
        ("../videos/b.mp4", "videos/b.mp4"),
        ("c d.mp4", "videos/deep/c d.mp4"),  # name
        ("c d", "videos/deep/c d.mp4"),  # name without suffix
        ("b", "videos/b.mp4"),
    ],
)
def test_a_row_names_its_clip_by_id_path_place_or_name(folder, tmp_path, said, clip):
    found = read(folder, f"clip,condition\n{said.format(root=tmp_path)},x\n")
    assert found.values == {clip: {"condition": "x"}}


@pytest.mark.parametrize(
    ("column", "meant"),
    [("Consent?", "consent"), ("consented", "consent"), ("Retain-Until", "retain_until"), ("retain_untill", "retain_until"),
     ("consent date", "consent_date"), ("age", None), ("condition", None), ("CONSENT", None)],
)  # fmt: skip
def test_a_column_that_may_be_one_of_consent_and_decides_nothing_is_said(folder, column, meant):
    notes = [note for note in read(folder, f"clip,{column}\na.mp4,no\n").notes if "decides" in note]
    assert len(notes) == (meant is not None)
    assert all(f"column {column} decides about no clip: write {meant} if that is meant" in note for note in notes)


def test_what_may_be_two_clips_is_refused(folder):
    with pytest.raises(
        UsageError, match=r"line 2: 'a' may be videos/a.mp4 or videos/deep/a.mp4: write it with its folder and suffix"
    ):
        read(folder, "clip,condition\na,x\n")


def test_rows_of_no_clip_and_clips_without_a_row_are_named(folder):
    found = read(folder, "clip,condition\nb.mp4,x\n\nc_d.mp4,y\nzzz,z\n")
    unmatched, without = found.notes
    assert "2 rows name no clip of this run: c_d.mp4 (line 4; c d.mp4?), zzz (line 5)" in unmatched
    assert "no row for videos/a.mp4, videos/deep/a.mp4, videos/deep/c d.mp4" in without
    assert found.without_row == {"videos/a.mp4", "videos/deep/a.mp4", "videos/deep/c d.mp4"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clip,condition\nq.mp4,x\n", "none of its rows does"),
        ("clip,condition\nb.mp4,x\nb,y\n", "line 3: b has another condition than in line 2"),
        ("clip,condition\nb.mp4\n", "line 2: 1 cells under a header of 2"),
        ("clip,condition\n,x\n", "line 2: no clip is named"),
        ("file,condition\nb.mp4,x\n", "has no column clip in its first line, but file, condition"),
        ("", "has no column clip in its first line, but nothing"),
        ("clip,condition,condition\nb.mp4,x,y\n", "two columns condition"),
        ("clip,,condition\nb.mp4,x,y\n", "a column without a name"),
        ("clip,angry\nb.mp4,1\n", "have a column angry of their own: rename it"),
        ("clip,marker\nb.mp4,1\n", "have a column marker of their own: rename it"),
        ('clip,condition\nb.mp4,"x\n', "is no CSV file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(folder, text, says):
    with pytest.raises(UsageError, match=says) as error:
        read(folder, text)
    assert "participants.csv" in str(error.value)


def test_a_clip_may_be_named_twice_with_the_same_values(folder):
    assert read(folder, "clip,condition\nb.mp4,x\nvideos/b.mp4,x\n").values == {"videos/b.mp4": {"condition": "x"}}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_spreadsheets_are_read_in_any_dialect(folder, mark, encoding):
    text = "Clip,Condition,Größe\r\nb.mp4 , ruhig,180\r\n".replace(",", mark)
    assert read(folder, text, encoding=encoding).values == {"videos/b.mp4": {"condition": "ruhig", "Größe": 180}}


@pytest.mark.parametrize("mark", [";", "\t"])
def test_numbers_may_have_decimal_commas_where_commas_divide_no_cells(folder, mark):
    text = "clip,participant,age,note,id\nb.mp4,1|5,27|5,1|2 and 3,007\na.mp4,2,27,,1|5\n"
    found = read(folder, text.replace(",", mark).replace("|", ","))
    assert found.kinds == {"participant": "string", "age": "float", "note": "string", "id": "string"}
    assert found.values["videos/b.mp4"] == {"participant": "1,5", "age": 27.5, "note": "1,2 and 3", "id": "007"}
    assert found.values["videos/a.mp4"]["id"] == "1,5"


def test_names_with_accents_match_in_either_form(tmp_path):
    (tmp_path / "p.csv").write_text("clip,x\nCafe\u0301.mp4,1\n", "utf-8")
    found = read_study([(tmp_path / "p.csv", {"v/Caf\u00e9.mp4": Path("v/Caf\u00e9.mp4")})])
    assert list(found.values) == ["v/Caf\u00e9.mp4"]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", ""], "int", [1, -2, None]),
        (["1", "2.5", "1e3"], "float", [1.0, 2.5, 1000.0]),
        (["007", "1"], "string", ["007", "1"]),  # ids
        (["00.5", "1"], "string", ["00.5", "1"]),
        (["0", "0.5", ".5"], "float", [0, 0.5, 0.5]),
        (["TRUE", "false", ""], "bool", [True, False, None]),
        (["1234567890123456789012"], "string", ["1234567890123456789012"]),
        (["1234567890123456789012", "0.5"], "string", ["1234567890123456789012", "0.5"]),
        (["1e999", "1"], "string", ["1e999", "1"]),
        (["1", "x"], "string", ["1", "x"]),
        (["1 000"], "string", ["1 000"]),
        (["inf"], "string", ["inf"]),
        (["", ""], "string", [None, None]),
    ],
)
def test_a_column_has_the_narrowest_type_of_all_its_cells(cells, kind, values):
    assert infer_kind(cells) == kind
    assert typed_values(cells, kind) == values


def test_types_are_those_of_the_whole_file_in_every_clip(folder):
    text = "clip,participant,condition,age,dose,left,note\nb.mp4,01,1,30,1,TRUE,\na.mp4,2,2,,0.5,,NA\n"
    study = read(folder, text)
    rows = pd.DataFrame({"angry": [0.1, 0.2]}, index=[5, 3])
    found = {clip: study.only(clip).extend(rows, clip, "frames") for clip in folder[0]}
    kinds = ["float64", "string", "string", "Int64", "float64", "boolean", "string"]
    for each in (*found.values(), study.extend(rows.iloc[:0], "videos/a.mp4", "clips")):
        assert [str(kind) for kind in each.dtypes] == kinds
    assert found["videos/b.mp4"].loc[3].tolist() == [0.2, "01", "1", 30, 1.0, True, pd.NA]
    assert found["videos/deep/a.mp4"].iloc[:, 1:].isna().all(axis=None)
    joined = pd.concat(found.values())
    assert joined.dtypes.equals(found["videos/a.mp4"].dtypes)


def test_each_folder_has_its_own_file_and_types_are_shared(folder):
    clips, sheet = folder
    top = sheet("clip,age\na.mp4,30\nb.mp4,31\n")
    deep = sheet("clip,age,site\na,29.5,X\n", "deep/participants.csv")
    root = top.parent
    found = find_participants([root, root / "deep", root / "b.mp4"], clips)
    assert {path: sorted(own) for path, own in found} == {
        top: ["videos/a.mp4", "videos/b.mp4"],
        deep: ["videos/deep/a.mp4", "videos/deep/c d.mp4"],
    }
    study = read_study(found)
    assert study.kinds == {"age": "float", "site": "string"}
    assert study.values["videos/deep/a.mp4"] == {"age": 29.5, "site": "X"}
    assert study.values["videos/a.mp4"] == {"age": 30.0, "site": None}
    assert find_participants([root / "deep" / "a.mp4"], {"a.mp4": clips["videos/deep/a.mp4"]})[0][0] == deep
    deep.unlink()
    assert find_participants([root / "deep"], clips) == []


def test_a_file_that_was_found_may_be_about_other_clips(folder):
    _, sheet = folder
    found = [(sheet("clip,age\na.mp4,30\n"), {"new.mp4": Path("videos/new.mp4")})]
    with pytest.raises(UsageError, match="none of its rows does"):
        read_study(found)
    study = read_study(found, named=False)
    assert (study.values, study.without_row) == ({}, {"new.mp4"})
    assert [note for note in study.notes if "a.mp4" in note]
    assert [note for note in study.notes if "no row for new.mp4" in note]
