"""One table of a run, written clip by clip as Parquet and CSV at once."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from vidfer.pipeline.columns import cell
from vidfer.results.edits import Edits
from vidfer.results.files import csv_rows, empty_table, kind_of
from vidfer.results.schema import Kind

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE: Final = 50_000
"""Rows of a row group of Parquet, at least; readers are slow on many small ones."""


def common_kind(one: Kind, other: Kind) -> Kind:
    """Return the kind that holds the values of two."""
    if one == other:
        return one
    return "float" if {one, other} == {"int", "float"} else "string"


class Sink:
    """One table of a run as it grows.

    Args:
        kinds: The columns beside those of the schema, in their order.
        edits: What a user wrote into the table.
        places: Paths of the Parquet and the CSV file.
        metadata: Noted in the Parquet file.
        bom: Begin the CSV with a byte order mark.
    """

    def __init__(
        self,
        name: str,
        kinds: Mapping[str, Kind],
        edits: Edits,
        places: Sequence[Path],
        metadata: Mapping[bytes, bytes],
        *,
        bom: bool,
    ) -> None:
        self._name, self._kinds, self._edits, self._places, self._bom = name, kinds, edits, places, bom
        empty = empty_table(name, kinds)
        self._schema = empty.schema.with_metadata({**(empty.schema.metadata or {}), **metadata})
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> Self:
        import pyarrow.parquet as pq

        parquet, csv = self._places
        self._csv, self._parquet = csv.open("wb"), parquet.open("wb")  # pyarrow takes no path that is not UTF-8
        self._writer = pq.ParquetWriter(self._parquet, self._schema)
        self._csv.writelines(csv_rows(self._schema.empty_table(), bom=self._bom))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._csv, suppress(OSError) if kind else nullcontext(), self._parquet:
            if kind is None:
                self._flush()
            self._writer.close()

    def add(self, table: "pa.Table") -> None:
        """Append a clip's rows."""
        import pyarrow as pa

        if not table.num_rows:
            return
        whole = table.replace_schema_metadata(self._schema.metadata)
        if not whole.schema.equals(self._schema):
            whole = pa.Table.from_arrays([_column(table, field) for field in self._schema], schema=self._schema)
        if self._edits.places:
            whole = self._edits.apply(self._name, whole, self._kinds)
        self._csv.writelines(csv_rows(whole, header=False))
        self._waiting.append(whole)
        self._rows += whole.num_rows
        if self._rows >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting.clear()
        self._rows = 0


def _column(table: "pa.Table", field: "pa.Field") -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return a column in the type of the run's table."""
    import pyarrow as pa

    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    column = table[field.name]
    if column.type == field.type:
        return column
    if kind_of(field.type) == "string" and kind_of(column.type) != "string":
        return pa.array([None if value is None else str(cell(value)) for value in column.to_pylist()], field.type)
    return column.cast(field.type)
