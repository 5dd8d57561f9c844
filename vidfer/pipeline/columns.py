"""Tables as columns: to and from Parquet, and to CSV that a spreadsheet cannot mistake for formulas."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Columns = Mapping[str, "Sequence[Any] | np.ndarray"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_parquet(columns: "Columns", types: Mapping[str, str] | None = None) -> bytes:
    """Encode columns of equal length as a Parquet file; equal columns give equal bytes.

    `types` names the columns' types as pyarrow does, such as `int64`, `double` and `string`; by default they are inferred.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = types and pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(dict(columns), schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def read_parquet(data: bytes) -> "dict[str, np.ndarray]":
    """Decode a Parquet file into numpy columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))
    return {name: table[name].to_numpy() for name in table.column_names}


def to_csv(columns: "Columns") -> bytes:
    """Encode columns as CSV, UTF-8, one header line; floats have six decimals at most.

    A text that begins like a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def _cell(value: Any) -> object:  # noqa: ANN401 - a cell may hold anything
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return "" if value != value else f"{value:.6f}".rstrip("0").rstrip(".")
    return value
