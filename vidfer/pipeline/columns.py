"""Tables as columns: to and from Parquet, and to CSV that a spreadsheet cannot mistake for formulas."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Columns = Mapping[str, "Sequence[Any] | np.ndarray"]

_FORMULA = re.compile(
    r"'*[=+\-@\t]"
)  # and what differs from such a text by apostrophes, so that none is taken for another


def to_parquet(columns: "Columns") -> bytes:
    """Encode columns of equal length as a Parquet file; equal columns give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(dict(columns)), sink, compression="zstd")
    return bytes(sink.getvalue())


def read_parquet(data: bytes) -> "dict[str, np.ndarray]":
    """Decode a Parquet file into numpy columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    return {name: table[name].to_numpy() for name in table.column_names}


def to_csv(columns: "Columns", *, bom: bool = False, header: bool = True) -> bytes:
    """Encode columns as CSV: UTF-8, one header line, lines that end in a line feed.

    Floats have one to six decimals, truths are TRUE and FALSE, times are ISO 8601 in UTC, and what is missing is empty. A text
    that begins like a formula gets an apostrophe before it. `bom` marks the file as UTF-8 for Excel, which otherwise takes it for
    another encoding.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(cell(name) for name in columns)
    writer.writerows(zip(*(map(cell, values) for values in columns.values()), strict=True))
    return out.getvalue().encode("utf-8-sig" if bom else "utf-8")


def unescaped(text: str) -> str:
    """Return the text of a cell that `to_csv` wrote, without the apostrophe of what begins like a formula."""
    return text[1:] if _FORMULA.match(text) and text.startswith("'") else text


def cell(value: Any) -> object:  # noqa: ANN401 - a cell may hold anything
    """Return what the csv module is to write for a value; of what is no text, its text."""
    if type(value) not in (float, str) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        if value != value:
            return ""
        text = f"{value:.6f}".rstrip("0")
        return f"{text}0" if text.endswith(".") else text
    if isinstance(value, str):  # the csv module leaves a carriage return bare, at which readers would end the row
        text = value.replace("\r\n", "\n").replace("\r", "\n")
        return f"'{text}" if _FORMULA.match(text) else text
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
