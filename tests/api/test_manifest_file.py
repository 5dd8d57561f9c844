"""Tables that name clips: what is read of them, and what is wrong with them."""

import csv

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vidfer.api.manifest_file import open_manifest
from vidfer.results.files import inferred
from vidfer.types import UsageError


def read(path, size=1000):
    return [part.to_pydict() for part in open_manifest(path).parts(size)]


def test_paths_are_of_the_files_folder_and_stand_for_ids_that_are_missing(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("\ufeff path ;id\n a.mp4 ;first\nb/c.mp4;\n/d.mp4; \n", encoding="utf-8")  # as Excel saves it
    (part,) = read(file)
    assert part["path"] == [str(tmp_path / "a.mp4"), str(tmp_path / "b/c.mp4"), "/d.mp4"]
    assert part["clip_id"] == ["first", "b/c.mp4", "/d.mp4"]


def test_parts_have_all_rows_in_order_whatever_the_blocks_of_the_file_are(tmp_path):
    ids = [f"{number:05}-" + "x" * 90 for number in range(25_000)]  # several blocks of a megabyte
    (tmp_path / "m.csv").write_text("id,path\n" + "".join(f"{each},a.mp4\n" for each in ids))
    pq.write_table(pa.table({"id": ids, "path": ["a.mp4"] * len(ids)}), tmp_path / "m.parquet", row_group_size=3333)
    for name in ("m.csv", "m.parquet"):
        parts = read(tmp_path / name, 7000)
        assert [len(part["path"]) for part in parts] == [7000, 7000, 7000, 4000]
        assert [each for part in parts for each in part["clip_id"]] == ids


COLUMNS = {
    "whole": ["1", "", "-20"],
    "zeros": ["01", "02", "3"],
    "real": ["1.5", "2", ""],
    "fine": ["0.12345678", "1", "2"],
    "truth": ["TRUE", "", "FALSE"],
    "word": ["TRUE", "1", "x, \n y"],
    "nothing": ["", "", ""],
}


def test_columns_of_a_csv_have_the_types_that_a_study_would_give_them(tmp_path):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *COLUMNS])
        writer.writerows([f"{at}.mp4", *row] for at, row in enumerate(zip(*COLUMNS.values(), strict=True)))
    (part,) = open_manifest(tmp_path / "m.csv").parts(10)
    for name, cells in COLUMNS.items():
        expected = inferred(cells)
        found = pd.Series(part[name].to_pylist(), dtype=expected.dtype)
        pd.testing.assert_series_equal(found, expected)
        kinds = {"Int64": pa.int64(), "Float64": pa.float64(), "float64": pa.float64(), "boolean": pa.bool_()}
        assert part[name].type == kinds.get(str(expected.dtype), pa.string()), name


def test_columns_of_parquet_keep_their_types_and_numbers_are_ids_too(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int16()),
            "path": pa.array(["a", "b"], pa.large_string()).dictionary_encode(),
            "tags": [["x"], []],
            "at": pa.array([0, None], pa.timestamp("ns", "Europe/Paris")),
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    (part,) = open_manifest(tmp_path / "m.parquet").parts(10)
    assert part["clip_id"].to_pylist() == ["1", "2"]
    assert (part["tags"].type, part["at"].type) == (table["tags"].type, table["at"].type)


def test_names_of_the_results_own_columns_get_another_name(tmp_path):
    (tmp_path / "m.csv").write_text("path,status,manifest_status,clip_id,mood\na,1,2,3,4\n")
    (part,) = read(tmp_path / "m.csv")
    own = {name: part[name] for name in list(part)[2:]}
    assert own == {"manifest_status": [1], "manifest_manifest_status": [2], "manifest_clip_id": [3], "mood": [4]}


def test_ids_that_stand_there_twice_are_named(tmp_path):
    rows = [f"{number}.mp4,{number % 9_997}\n" for number in range(10_000)]
    (tmp_path / "m.csv").write_text("path,id\n" + "".join(rows))
    with pytest.raises(
        UsageError, match=r"m\.csv: 3 ids stand in several rows \(0, 1, 2\): give each row an id of its own"
    ):
        open_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("path\na.mp4\nb.mp4\na.mp4\n")
    with pytest.raises(UsageError, match=r"1 id stands in several rows \(a\.mp4\)"):
        open_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("m.csv", None, r"m\.csv cannot be read \(No such file"),
        ("m.parquet", None, r"m\.parquet cannot be read \(No such file"),
        ("m.csv", b"", r"m\.csv has no column path: give a CSV file in UTF-8, or a Parquet file"),
        ("m.csv", b"path,id\n", r"m\.csv names no clip"),
        ("m.csv", b"file,id\na.mp4,1\n", r"m\.csv has no column path, but file, id"),
        ("m.csv", b"path,id\na.mp4,1\n,2\n", r"m\.csv: row 2 names no path"),
        ("m.csv", b"path,x,x\na.mp4,1,2\n", r"m\.csv has two columns 'x'"),
        ("m.csv", b"path,id\na.mp4,1\nb.mp4,2,3\n", r"m\.csv is no CSV file in UTF-8 \(.*Expected 2 columns, got 3"),
        ("m.csv", "path\nä.mp4\n".encode("latin-1"), r"m\.csv is no CSV file in UTF-8"),
        ("m.csv", "path\na.mp4\n".encode("utf-16"), r"m\.csv is no CSV file in UTF-8"),
        ("m.parquet", b"path\na.mp4\n", r"m\.parquet is no Parquet file"),
        ("m.parquet", pa.table({"path": [["a"]]}), r"m\.parquet is no Parquet file \(.*cast"),
        ("m.parquet", pa.table({"file": ["a"]}), r"m\.parquet has no column path, but file"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said_with_the_remedy(name, content, fault, tmp_path):
    if isinstance(content, pa.Table):
        pq.write_table(content, tmp_path / name)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=fault):
        open_manifest(tmp_path / name)


def test_a_manifest_that_changes_under_way_is_found_out(tmp_path):
    (tmp_path / "m.csv").write_text("path\na.mp4\n")
    manifest = open_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("path\na.mp4\nb.mp4\n")
    with pytest.raises(UsageError, match="was changed while it was read"):
        list(manifest.parts(10))
