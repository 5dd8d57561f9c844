import csv
import io

import numpy as np
import pandas as pd

from vidfer.pipeline.columns import read_parquet, to_csv, to_parquet, unescaped

COLUMNS = {"frame": np.array([0, 6]), "p": np.array([0.25, 1 / 3], np.float32), "label": ["happy", "sad"]}


def test_parquet_is_what_pandas_reads():
    table = pd.read_parquet(io.BytesIO(to_parquet(COLUMNS)))
    assert table["frame"].tolist() == [0, 6]
    assert table["p"].dtype == np.float32
    assert table["label"].tolist() == ["happy", "sad"]
    assert read_parquet(to_parquet(COLUMNS))["frame"].tolist() == [0, 6]


def test_parquet_bytes_are_a_function_of_the_columns():
    assert to_parquet(COLUMNS) == to_parquet(dict(COLUMNS))


def test_csv_is_what_a_spreadsheet_expects():
    text = to_csv({**COLUMNS, "nothing": [None, float("nan")]}).decode()
    assert text == "frame,p,label,nothing\n0,0.25,happy,\n6,0.333333,sad,\n"


def test_no_cell_can_be_taken_for_a_formula():
    evil = ["=1+1", "+1", "-1", "@x", "plain", 'a,"b"\nc']
    cells = [row[0] for row in csv.reader(io.StringIO(to_csv({"clip": evil}).decode()))][1:]
    assert cells == ["'=1+1", "'+1", "'-1", "'@x", "plain", 'a,"b"\nc']


def test_numbers_stay_numbers():
    assert to_csv({"x": np.array([-1.5, -0.0000001])}) == b"x\n-1.5\n-0.0\n"


def test_an_empty_table_keeps_its_columns():
    assert to_csv({"a": [], "b": []}) == b"a,b\n"


def test_every_value_has_one_way_to_be_written():
    from datetime import UTC, datetime, timedelta, timezone

    east = timezone(timedelta(hours=2))
    times = [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=east)]
    table = {"float": [25.0, 1e-7], "truth": np.array([True, False]), "time": times, "text": ["a\r\nb\rc", None]}
    assert list(csv.reader(io.StringIO(to_csv(table).decode()))) == [
        ["float", "truth", "time", "text"],
        ["25.0", "TRUE", "2026-01-02T03:04:05Z", "a\nb\nc"],
        ["0.0", "FALSE", "2026-01-02T01:04:05.250000Z", ""],
    ]
    assert to_csv({"a": ["ü"]}, bom=True) == b"\xef\xbb\xbfa\n\xc3\xbc\n"
    assert to_csv({"a": [1]}, header=False) == b"1\n"


def test_texts_that_differ_stay_apart():
    texts = ["=1", "'=1", "''=1", "'", "'a", "a", "-", "\t", ""]
    cells = [row[0] for row in csv.reader(io.StringIO(to_csv({"text": texts}, header=False).decode()))]
    assert len(set(cells)) == len(texts)
    assert [unescaped(cell) for cell in cells] == texts
