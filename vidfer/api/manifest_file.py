"""A table that names clips, CSV or Parquet, read some rows at a time: it may have millions."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vidfer.limits import MAX_COLUMNS, MAX_HEADER_BYTES, MAX_ID_CHARACTERS
from vidfer.results.consent import COLUMNS as OF_CONSENT
from vidfer.results.consent import Consent
from vidfer.results.files import DIVIDERS, PATTERNS
from vidfer.results.names import shown
from vidfer.results.schema import TABLES, Kind
from vidfer.types import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

PATH: Final = "path"
ID: Final = "id"
_REMEDY: Final = "give a CSV file in UTF-8, or a Parquet file, with a column path (and id, if clips are to have one)"
_NAMED: Final = 5
"""Of many ids that stand there twice, so many are named."""


@dataclass(frozen=True)
class Manifest:
    """A table with a row for each clip; see `open_manifest`.

    Args:
        file: CSV or Parquet.
        further: The columns beside `path` and `id`: what each is called in the results by what it is called here.
        kinds: Of a CSV file, the kind of each further column, by its name in the results, that loses none of its text.
        n_rows: Of the whole file.
    """

    file: Path
    further: Mapping[str, str]
    kinds: Mapping[str, Kind]
    n_rows: int

    def parts(self, size: int) -> "Iterator[pa.Table]":
        """Yield the rows in order, `size` at a time: `clip_id` and `path`, text, the path whole, and the further columns.

        Raises:
            UsageError: The file cannot be read, or was changed since it was opened.
        """
        import pyarrow as pa

        waiting: list[pa.Table] = []
        n_waiting = n_read = 0
        for batch in _batches(self.file):
            rows = self._complete(batch)
            while n_waiting + rows.num_rows >= size:
                yield pa.concat_tables([*waiting, rows.slice(0, size - n_waiting)]).combine_chunks()
                rows, waiting, n_waiting = rows.slice(size - n_waiting), [], 0
            waiting.append(rows)
            n_waiting, n_read = n_waiting + rows.num_rows, n_read + batch.num_rows
        if n_read != self.n_rows:
            raise UsageError(f"{self.file} was changed while it was read: run the same command again")
        if n_waiting:
            yield pa.concat_tables(waiting).combine_chunks()

    def _complete(self, batch: "pa.Table") -> "pa.Table":
        """Return rows as `parts` yields them."""
        import pyarrow as pa

        ids, paths = _named(batch)
        folder = self.file.parent
        columns: dict[str, Any] = {
            "clip_id": pa.array(ids, pa.string()),
            "path": pa.array([str(folder / path) for path in paths], pa.string()),
        }
        for name, called in self.further.items():
            columns[called] = _typed(batch[name], self.kinds.get(called, "string"))
        return pa.table(columns)


def open_manifest(file: Path) -> Manifest:
    """Read a whole manifest once, to find out now, and not after hours, what is wrong with it.

    Of each row eight bytes are kept at a time. Paths are relative to the file's folder. A row without an id has its path as
    the id. Further columns whose names the table `clips` has already are called `manifest_NAME`.

    Raises:
        UsageError: The file cannot be read, is no CSV in UTF-8 and no Parquet, has no column `path`, no row or a row without
            a path, an id stands there twice, or a cell of consent is none, see `Consent`.
    """
    digests: list[Any] = []
    guesses: dict[str, _Guess] = {}
    names: list[str] = []
    n_rows = 0
    for batch in _batches(file):
        names = batch.column_names
        ids, paths = _named(batch)
        if None in paths:
            row = n_rows + paths.index(None) + 1
            raise UsageError(f"{file}: row {row} names no path: fill it in, or remove the row")
        if max(map(len, [*ids, *paths])) > MAX_ID_CHARACTERS:
            raise UsageError(f"{file} has a path or id of more than {MAX_ID_CHARACTERS:,} characters: shorten it")
        digests.append(np.fromiter(map(hash, ids), np.int64, len(ids)))
        _check_consent(file, batch, n_rows + 1)
        n_rows += len(ids)
        if _is_csv(file):
            for name in names:
                guesses.setdefault(name, _Guess()).look(batch[name])
    if not n_rows:
        raise UsageError(f"{file} names no clip: {_REMEDY}")
    _refuse_repeated(file, np.concatenate(digests))
    own = {column.name for column in TABLES["clips"]}
    further: dict[str, str] = {}
    for name in names:
        if name not in (PATH, ID):
            called = name
            while called in own:
                called = f"manifest_{called}"
            own.add(called)
            further[name] = called
    kinds = {further[name]: guess.kind for name, guess in guesses.items() if name in further}
    return Manifest(file, further, kinds, n_rows)


def _check_consent(file: Path, batch: "pa.Table", first: int) -> None:
    """Refuse cells of consent that are none, in rows that are numbered from the `first` one on."""
    if said := [name for name in OF_CONSENT if name in batch.column_names]:
        for number, row in enumerate(batch.select(said).to_pylist(), first):
            Consent.read(row, f"{file}, row {number}: ")


def _refuse_repeated(file: Path, digests: Any) -> None:  # noqa: ANN401 - an array (n,) int64
    """Refuse ids that stand in several rows; digests say which might, and the ids themselves whether they do."""
    ordered = np.sort(digests)
    alike = set(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist())
    if not alike:
        return
    counted = Counter(each for batch in _batches(file) for each in _named(batch)[0] if hash(each) in alike)
    twice = [each for each, number in counted.items() if number > 1]
    if twice:
        named = ", ".join(islice(twice, _NAMED)) + (", ..." if len(twice) > _NAMED else "")
        remedy = "give each row an id of its own in a column id"
        ids = "1 id stands" if len(twice) == 1 else f"{len(twice):,} ids stand"
        raise UsageError(f"{file}: {ids} in several rows ({named}): {remedy}")


class _Guess:
    """What kinds of values the texts of a column that were looked at could be, see `vidfer.results.files.inferred_kind`."""

    def __init__(self) -> None:
        self._possible = list(PATTERNS)
        self._given = False

    def look(self, texts: "pa.ChunkedArray") -> None:
        import pyarrow.compute as pc

        self._given = self._given or texts.null_count < len(texts)
        self._possible = [
            kind
            for kind in self._possible
            if pc.all(pc.match_substring_regex(texts, f"^(?:{PATTERNS[kind]})$")).as_py() is not False
        ]

    @property
    def kind(self) -> Kind:
        return self._possible[0] if self._given and self._possible else "string"


def _typed(column: "pa.ChunkedArray", kind: Kind) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return texts as values of a kind; what is to stay text, or has other types, stays as it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "bool":
        return pc.equal(column, "TRUE")
    return column.cast({"int": pa.int64(), "float": pa.float64()}.get(kind, column.type))


def _named(batch: "pa.Table") -> tuple[list[str], list[Any]]:
    """Return the ids and paths of rows; empty paths are None, and where ids are, the paths stand for them."""
    paths = batch[PATH].to_pylist()
    ids = batch[ID].to_pylist() if ID in batch.column_names else [None] * len(paths)
    return [shown(each or path or "") for each, path in zip(ids, paths, strict=True)], paths


def _is_csv(file: Path) -> bool:
    return file.suffix.lower() not in (".parquet", ".pq")


def _batches(file: Path) -> "Iterator[pa.Table]":
    """Read a file some rows at a time, with `path` and `id` as text without spaces around it, None where that is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with _explained(file):
        for batch in _csv_batches(file) if _is_csv(file) else _parquet_batches(file):
            rows = pa.Table.from_batches([batch])
            for at, name in enumerate(rows.column_names):
                if name in (PATH, ID):
                    text = pc.utf8_trim_whitespace(rows[name].cast(pa.string()))
                    rows = rows.set_column(at, name, pc.if_else(pc.equal(text, ""), None, text))
            yield rows


def _csv_batches(file: Path) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with file.open(encoding="utf-8-sig", newline="") as lines:
        first = lines.readline(MAX_HEADER_BYTES)
        if len(first) == MAX_HEADER_BYTES:
            raise UsageError(f"{file} has a first line of more than {MAX_HEADER_BYTES:,} characters: {_REMEDY}")
        divider = max(DIVIDERS, key=first.count)
        lines.seek(0)
        header = next(csv.reader(lines, delimiter=divider), [])
    names = _checked(file, [name.strip() for name in header])
    reader = arrow_csv.open_csv(
        file,
        parse_options=arrow_csv.ParseOptions(delimiter=divider, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )
    with reader:
        for batch in reader:
            yield batch.rename_columns(names)


def _parquet_batches(file: Path) -> "Iterator[pa.RecordBatch]":
    import pyarrow.parquet as pq

    with file.open("rb") as source:  # whose error names the file; a column of a large row group is read piece by piece
        rows = pq.ParquetFile(source, buffer_size=1 << 20)
        _checked(file, rows.schema_arrow.names)
        yield from rows.iter_batches(10_000)


def _checked(file: Path, names: list[str]) -> list[str]:
    if PATH not in names:
        found = f", but {', '.join(filter(None, names))}" if any(names) else ""
        raise UsageError(f"{file} has no column {PATH}{found}: {_REMEDY}")
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"{file} has more than {MAX_COLUMNS:,} columns: leave out those that are not needed")
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        raise UsageError(f"{file} has two columns '{twice[0]}': rename one")
    return names


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn errors of reading into a UsageError that names the file and the remedy."""
    import pyarrow as pa

    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise UsageError(f"{file} cannot be read ({reason}): {_REMEDY}") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise UsageError(
            f"{file} is no {'CSV file in UTF-8' if _is_csv(file) else 'Parquet file'} ({reason}): {_REMEDY}"
        ) from error
