"""Tables as files: types that come back, and CSV that other programs read with the same values."""

import csv
import io

import pandas as pd
import pytest

from tests.results.fake import tables_of
from vidfer.results.files import inferred, read_csv, read_table, table_files
from vidfer.results.schema import TABLES, typed
from vidfer.types import VidferError


def files_of(tables, **options):
    return dict(table_files(tables, **options))


ODD = [
    "=1+1",
    "'=1+1",
    "''@x",
    "-",
    "+1",
    "@x",
    "\tx",
    "Jürgen Groß",
    'say "hi", twice',
    "two\nlines",
    "a;b",
    "0012",
    None,
]


def people(names):
    rows = {"clip_id": [f"{n}.mp4" for n in range(len(names))], "person": range(1, len(names) + 1), "name": names}
    shares = {
        "margin": [n / 3 for n in range(len(names))],
        "happy": [1.0, None, 0.0, 1e-7, 2e6, -0.5] + [0.25] * (len(names) - 6),
    }
    return typed("people", pd.DataFrame({**rows, **shares}))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("rows", [0, 2])
def test_pandas_and_arrow_read_the_types_of_the_schema(table, rows):
    import pyarrow.parquet as pq

    written = tables_of("a.mp4", rows=dict.fromkeys(TABLES, rows), condition="c")[table]
    data = files_of({table: written})[f"{table}.parquet"]
    pd.testing.assert_frame_equal(read_table(data), written)
    assert pd.concat([read_table(data), written]).dtypes.equals(written.dtypes)
    kinds = {"string": {"string", "large_string"}, "int": {"int64"}, "float": {"double"}, "bool": {"bool"}}
    schema = pq.read_schema(io.BytesIO(data))
    for column in TABLES[table]:
        assert str(schema.field(column.name).type) in kinds.get(column.kind, {"timestamp[us, tz=UTC]"})


def test_missing_numbers_are_missing_for_readers_that_know_nothing_of_pandas():
    import pyarrow.parquet as pq

    found = pq.read_table(io.BytesIO(files_of({"people": people(ODD)})["people.parquet"]))
    assert found["happy"].to_pylist()[:2] == [1.0, None]
    assert found["name"].to_pylist() == ODD


def test_the_csv_is_as_documented():
    clips = tables_of("ü/a.mp4", value=1 / 3)["clips"]
    text = files_of({"clips": clips})["clips.csv"].decode("utf-8")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["happy"], row["width"], row["recorded_at"]) == ("0.333333", "7", "2026-01-02T03:04:05Z")
    assert "\r" not in text
    frames = files_of({"frames": tables_of("a", value=25.0)["frames"]})["frames.csv"].decode()
    row = next(csv.DictReader(io.StringIO(frames, newline="")))
    assert (row["uncertain"], row["happy"], row["frame"]) == ("TRUE", "25.0", "7")
    assert files_of({"clips": clips}, excel=True)["clips.csv"] == b"\xef\xbb\xbf" + text.encode()


@pytest.mark.parametrize("excel", [False, True])
def test_a_csv_is_read_again_with_its_types(tmp_path, excel):
    written = people(ODD)
    (tmp_path / "people.csv").write_bytes(files_of({"people": written}, excel=excel)["people.csv"])
    found = read_csv(tmp_path / "people.csv", "people")
    pd.testing.assert_frame_equal(found, written, atol=5e-7, rtol=0)


@pytest.mark.parametrize("divider", [";", "\t"])
def test_a_csv_that_a_spreadsheet_has_saved_is_read(tmp_path, divider):
    lines = [["clip_id", "person", "name", "happy", "age", "code"], ["a.mp4", "1", "Groß; J.", "0,25", "31", "01"]]
    out = io.StringIO()
    csv.writer(out, delimiter=divider, lineterminator="\r\n").writerows([*lines, ["", "", "", "", "", ""]])
    (tmp_path / "people.csv").write_bytes(out.getvalue().encode("utf-8-sig"))
    (row,) = read_csv(tmp_path / "people.csv", "people").to_dict("records")
    assert {name: row[name] for name in lines[0]} == dict(
        zip(lines[0], ["a.mp4", 1, "Groß; J.", 0.25, 31, "01"], strict=True)
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"person,name\n1,a\n", "no column clip_id"),
        (b"clip_id,person\na,one\n", "column 'person' is no int"),
        (b"clip_id,person\na,1,2\n", "longer than its header"),
        ("clip_id,name\na,J\u00fcrgen\n".encode("cp1252"), "save it as CSV UTF-8"),
        (b'clip_id,name\n"a,1\n', "cannot be read"),
        (b"clip_id,x,x\na,1,2\n", "two columns of one name"),
        (b"", "no column clip_id"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_file(tmp_path, content, told):
    (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(VidferError, match=rf"people\.csv.*{told}"):
        read_csv(tmp_path / "people.csv", "people")


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "", "-12", "0"], "Int64"),
        (["1", "1.5"], "float64"),
        (["TRUE", "FALSE", ""], "boolean"),
        (["01", "2"], "string"),
        (["1,5"], "string"),
        (["1e5"], "string"),
        (["0.12345678"], "string"),
        (["+1"], "string"),
        (["123456789012345678901"], "string"),
        (["", ""], "string"),
        ([], "string"),
    ],
)
def test_own_columns_get_a_type_only_where_no_text_is_lost(cells, kind):
    found = inferred(cells)
    assert str(found.dtype) == kind
    assert found.isna().tolist() == [not cell for cell in cells]


def test_a_long_csv_has_one_header_and_all_rows_whatever_is_missing_in_some_of_its_pieces():
    frames = tables_of("a", rows=dict.fromkeys(TABLES, 2500))["frames"].assign(frame=pd.array(range(2500), "Int64"))
    frames.loc[1200:, "frame"] = pd.NA  # the first piece lacks none, the last all
    text = files_of({"frames": frames}, excel=True)["frames.csv"].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["frame"] for row in rows] == [*map(str, range(1200)), *[""] * 1300]
    assert text.count("clip_id") == 1
    assert "\ufeff" not in text
