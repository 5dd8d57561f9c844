"""Tables as files: Parquet that gives pandas the types of the schema again, and CSV for spreadsheets and R."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.limits import MAX_SHEET_BYTES
from vidfer.pipeline.bounded import read_bounded
from vidfer.pipeline.columns import to_csv, unescaped
from vidfer.results.schema import DTYPES, TABLES, Kind, typed
from vidfer.types import DISPLAYED, VidferError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_TRUTHS: Final = {"TRUE": True, "FALSE": False}
DIVIDERS: Final = ",;\t"
"""What may divide the cells of a CSV file."""
_CSV_ROWS: Final = 1000  # that are encoded at a time: each of their cells is an object of Python


def arrow_table(rows: "pd.DataFrame") -> "pa.Table":
    """Return rows as an Arrow table whose metadata tell pandas its types, and `about` what is shown; the index is left out."""
    import pyarrow as pa

    table = pa.Table.from_pandas(rows, preserve_index=False)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), b"about": DISPLAYED.encode()})


def empty_table(table: str, further: Mapping[str, Kind]) -> "pa.Table":
    """Return a table of the schema without rows, with further columns behind its own."""
    import pandas as pd

    return arrow_table(
        typed(table, pd.DataFrame({name: pd.Series(dtype=DTYPES[kind]) for name, kind in further.items()}))
    )


def kind_of(arrow_type: "pa.DataType") -> Kind:
    """Name the kind of an Arrow type; what is no number, truth or time is a string."""
    import pyarrow.types as of

    if of.is_boolean(arrow_type):
        return "bool"
    if of.is_integer(arrow_type):
        return "int"
    if of.is_floating(arrow_type):
        return "float"
    return "time" if of.is_timestamp(arrow_type) else "string"


def table_files(tables: Mapping[str, "pd.DataFrame"], *, excel: bool = False) -> "Iterator[tuple[str, bytes]]":
    """Encode tables one by one as files with their names, `NAME.parquet` and `NAME.csv`.

    `excel` begins each CSV with a byte order mark.
    """
    for name, rows in tables.items():
        yield f"{name}.parquet", parquet_file(rows)
        yield f"{name}.csv", b"".join(csv_rows(arrow_table(rows), bom=excel))


def parquet_file(rows: "pd.DataFrame") -> bytes:
    """Encode rows as Parquet; `read_table` gives them back with their types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(arrow_table(rows), sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_table(source: Path | bytes, only: list[tuple[str, str, str]] | None = None) -> "pd.DataFrame":
    """Read a table that was written as Parquet, with the types that it had; of the rows `only` those, as pyarrow's filters.

    Raises:
        VidferError: A file of a run, which can be made again, is damaged.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        if only is not None:
            return pd.read_parquet(io.BytesIO(source) if isinstance(source, bytes) else source, filters=only)
        table = read_arrow(source if isinstance(source, bytes) else source.read_bytes())
        return table.to_pandas(use_threads=False)  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError) as error:  # pyarrow's own OSError has no number
        if isinstance(source, bytes) or getattr(error, "errno", None) is not None:
            raise
        reason = str(error).splitlines()[0]
        raise VidferError(
            f"{source} is damaged ({reason}): remove it, and it is made again from the clips' folders"
        ) from error


def is_written_as(path: Path, table: str) -> bool:
    """Tell whether a Parquet file has each column of a table of the schema once, and of its type; its rows are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    written = empty_table(table, {}).schema
    return len(set(schema.names)) == len(schema.names) and all(
        field.name in schema.names and schema.field(field.name).type == field.type for field in written
    )


def read_arrow(data: bytes) -> "pa.Table":
    """Decode a Parquet file by this thread alone: where the system lets no further one start, pandas' reader waits for ever."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def further_columns(tables: Mapping[str, "pd.DataFrame"]) -> dict[str, dict[str, Kind]]:
    """Name the columns that are not in the schema, such as those of a study, by table with their kinds."""
    found = {}
    for table, rows in tables.items():
        known = {column.name for column in TABLES[table]}
        schema = arrow_table(rows[[name for name in rows.columns if name not in known]].iloc[:0]).schema
        if schema.names:
            found[table] = {name: kind_of(schema.field(name).type) for name in schema.names}
    return found


def read_csv(path: Path, table: str) -> "pd.DataFrame":
    """Read a table's CSV with the types of the schema, also after a spreadsheet has saved it.

    Commas, semicolons or tabs may divide the cells, decimal commas may stand in floats where semicolons divide. Columns that are
    not in the schema get the type that loses none of their text, see `inferred`.

    Raises:
        VidferError: The file cannot be read, is not UTF-8, has no column `clip_id`, or a cell is not of its column's type.
    """
    import pandas as pd

    kinds = {column.name: column.kind for column in TABLES[table]}
    texts = read_texts(path, ("clip_id",))
    columns: dict[str, Any] = {}
    for name, cells in texts.items():
        try:
            kind = kinds.get(name)
            columns[name] = inferred(cells) if kind is None else typed_cells(cells, kind)
        except (ValueError, KeyError) as error:
            raise VidferError(
                f"{path}: a cell of the column '{name}' is no {kinds[name]} ({error}): mend it"
            ) from error
    return typed(table, pd.DataFrame(columns))


def read_texts(path: Path, required: Iterable[str]) -> dict[str, list[str]]:
    """Read the columns of a CSV as texts, whatever spreadsheet saved it; rows without any text are left out.

    Raises:
        VidferError: It cannot be read, is not UTF-8, lacks a required column, or has a row longer than its header.
    """
    try:
        text = read_bounded(path, MAX_SHEET_BYTES).decode("utf-8-sig")
        first = text.partition("\n")[0]
        divider = max(DIVIDERS, key=first.count)
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)) or [[]]
    except UnicodeDecodeError as error:
        raise VidferError(f"{path} is not UTF-8: save it as CSV UTF-8, or move it away") from error
    except (OSError, csv.Error) as error:
        raise VidferError(f"{path} cannot be read ({error}): mend it, or move it away") from error
    names = [unescaped(name) for name in header]
    if missing := [name for name in required if name not in names]:
        raise VidferError(f"{path} has no column {', '.join(missing)}: mend it, or move it away")
    if len(set(names)) < len(names):
        raise VidferError(f"{path} has two columns of one name: rename one")
    rows = [row for row in rows if any(row)]
    if any(len(row) > len(names) for row in rows):
        raise VidferError(f"{path} has a row longer than its header: mend it, or move it away")
    full = [[unescaped(cell) for cell in row] + [""] * (len(names) - len(row)) for row in rows]
    return {name: [row[at] for row in full] for at, name in enumerate(names)}


def inferred(cells: Sequence[str]) -> "pd.Series":
    """Return texts as whole numbers, floats or truths if that loses none of what was written, else as texts.

    `01` and `1,5` stay texts. Empty texts are missing.

    Example:
        >>> inferred(["3", "", "12"]).dtype, inferred(["03", "12"]).dtype
        (Int64Dtype(), <StringDtype(na_value=<NA>)>)
    """
    return typed_cells(cells, inferred_kind(cells))


PATTERNS: Final[Mapping[Kind, str]] = {
    "bool": "TRUE|FALSE",
    "int": r"0|-?[1-9]\d{0,17}",
    "float": r"-?(0|[1-9]\d{0,8})(\.\d{1,6})?",
}
"""Texts that lose nothing as a value of a kind: all texts of a column are such, or it stays one of texts."""


def inferred_kind(cells: Iterable[str]) -> Kind:
    """Name the kind that `inferred` gives texts."""
    given = [cell for cell in cells if cell]
    fitting = (kind for kind, pattern in PATTERNS.items() if all(re.fullmatch(pattern, cell) for cell in given))
    return next(fitting, "string") if given else "string"


def typed_cells(cells: Sequence[str], kind: Kind) -> "pd.Series":
    """Return texts as a column of a kind, empty ones as missing.

    Raises:
        ValueError, KeyError: A text is no such value.
    """
    import pandas as pd

    return pd.Series(typed_values(cells, kind), dtype=DTYPES[kind])


def typed_values(cells: Sequence[str], kind: Kind) -> list[Any]:
    """Return texts as Python values of a kind, times as texts, empty ones as None."""
    if kind == "bool":
        return [_TRUTHS[cell.upper()] if cell else None for cell in cells]
    if kind == "int":
        return [int(cell) if cell else None for cell in cells]
    if kind == "float":
        return [float(cell.replace(",", ".")) if cell else None for cell in cells]
    return [cell or None for cell in cells]


def csv_rows(table: "pa.Table", *, bom: bool = False, header: bool = True) -> Iterator[bytes]:
    """Encode a table as CSV, see `to_csv`, in pieces of some rows each; the first has the header."""
    for start in range(0, max(table.num_rows, 1), _CSV_ROWS):
        rows, first = table.slice(start, _CSV_ROWS), start == 0
        columns = {name: _python_values(rows[name]) for name in rows.column_names}
        yield to_csv(columns, bom=bom and first, header=header and first)


def _python_values(column: Any) -> list[Any]:  # noqa: ANN401 - pyarrow has no types
    if kind_of(column.type) in ("float", "string") or (
        kind_of(column.type) in ("int", "bool") and not column.null_count
    ):
        values: list[Any] = column.to_numpy().tolist()  # many times faster than to_pylist
        return values
    return list(column.to_pylist())
