"""Traces of a clip are found in whatever kind of file a user may have put among the results."""

import gzip
import io
import zipfile

import pandas as pd
import pytest

from vidfer.results.traces import Traces

DIGEST = "0a" * 32


def parquet(**columns) -> bytes:
    out = io.BytesIO()
    pd.DataFrame(columns).to_parquet(out)
    return out.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def kinds(text: str) -> dict[str, bytes]:
    """Files that hold a text, by their names."""
    cell = f"<si><t>{text}</t></si>".encode()
    return {
        "notes.txt": f"about {text} again".encode(),
        "table.parquet": parquet(clip=["x", text], n=[1, 2]),
        "categories.parquet": parquet(clip=pd.Categorical(["x", text])),
        "lists.parquet": parquet(clips=[["x"], ["y", text]]),
        "bytes.parquet": parquet(clip=[b"x", text.encode()]),
        "table without a suffix": parquet(clip=["x", text]),
        "people.xlsx": packed({"xl/sharedStrings.xml": cell * 3}),
        "copy.zip": packed({"a/clips.csv": f"clip_id\n{text}\n".encode()}),
        "names.zip": packed({f"{text}/poster.jpg": b"\x89"}),
        "tables.zip": packed({"a.parquet": parquet(clip=["x", text])}),
        "nested.zip": packed({"inner.zip": packed({"x.csv": text.encode()})}),
        "clips.csv.gz": gzip.compress(f"clip_id\n{text}\n".encode()),
        "damaged.zip": b"PK\3\4 " + text.encode(),
        "damaged.parquet": b"PAR1 " + text.encode(),
        "damaged.gz": b"\x1f\x8b " + text.encode(),
    }


@pytest.mark.parametrize("name", kinds(""))
@pytest.mark.parametrize("text", ["anna.mp4", DIGEST])
def test_a_trace_is_found_in_each_kind_of_file_and_no_other_is(tmp_path, name, text):
    traces = Traces(frozenset({DIGEST}), frozenset({"anna.mp4"}))
    for content, found in ((text, True), ("banana.mp4", False), ("0b" * 32, False)):
        (tmp_path / name).write_bytes(kinds(content)[name])
        assert bool(traces.in_file(tmp_path / name)) == found, content
