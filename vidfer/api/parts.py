"""Tables as parts, files of some thousand rows each, of which those of an earlier run are kept."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from blake3 import blake3

from vidfer.pipeline.atomic import replacing
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.store import Store
from vidfer.results.files import empty_table
from vidfer.results.schema import Kind
from vidfer.types import SOUND_IS_FINE, TRANSIENT, ClipError, Status

if TYPE_CHECKING:
    import pyarrow as pa

CLIPS: Final = "clips"
_ORIGIN: Final = b"vidfer_part"
_DIGEST: Final = b"vidfer_blake3"  # of all bytes before the footer, in which it stands
_LAST: Final = 8  # bytes behind the footer: its length, and a mark
_STATUSES: Final = ("status", "faces_status", "sound_status")
_ROWS_AT_ONCE: Final = 50_000
"""Rows of a row group of Parquet."""
_TABLES_AT_ONCE: Final = 500  # of one clip each: a table of few rows needs many times their memory
_NAMED: Final = 20
"""Of clips that could not be read without a fault, so many are named."""


@dataclass
class Tally:
    """What became of clips.

    Args:
        statuses: Number of clips by status.
        predominant: Number of clips by predominant expression; those without one are not counted.
        n_faults: Clips that could not be read without a fault.
        faults: A sentence on each of the first of these.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    predominant: Counter[str] = field(default_factory=Counter)
    n_faults: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def n_clips(self) -> int:
        """How many clips they are."""
        return self.statuses.total()

    def add(self, clips: "pa.Table") -> None:
        """Count rows of table `clips`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for name, counted in (("status", self.statuses), ("predominant", self.predominant)):
            for each in pc.value_counts(clips[name].drop_null()).to_pylist():
                counted[each["values"]] += each["counts"]
        fine = pc.is_in(clips["sound_status"], pa.array(sorted(SOUND_IS_FINE), pa.string()))
        ok = pc.equal(clips["status"], str(Status.OK))
        faults = clips.filter(pc.invert(pc.and_(ok, fine))).select(["path", "status", "sound_status", "warnings"])
        self.n_faults += faults.num_rows
        for row in faults.slice(0, _NAMED - len(self.faults)).to_pylist():
            fault = row["status"] if row["status"] != Status.OK else f"its sound is {row['sound_status']}"
            self.faults.append(f"{row['path']}: {fault}: {row['warnings']}")


@dataclass(frozen=True)
class Parts:
    """The files `TABLE/part-NNNNN.parquet` in a folder; a part of `clips` is written after those of the other tables.

    Args:
        folder: The run's.
        tables: Names of the tables, `clips` first.
        origin: Digest of what decides the rows beside the manifest: options, weights, and vidfer itself.
        store: Remembers the digests of clips.
    """

    folder: Path
    tables: Sequence[str]
    origin: str
    store: Store

    def place(self, table: str, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / table / f"part-{number:05}.parquet"

    def of(self, rows: "pa.Table") -> str:
        """Return the digest of rows of a manifest, and of what else decides the part that is made of them."""
        return blake3(f"{self.origin}{list(self.tables)}{rows.schema}{rows.to_pydict()!r}".encode()).hexdigest()

    def kept(self, number: int, origin: str) -> "pa.Table | None":
        """Return the part of `clips` if it, and its like of other tables, was made of the same, and nothing is to be tried again.

        A clip whose status is of the machine or the moment is, and so is one whose file was changed since.
        A damaged part is not kept.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            if any(_origin(self.place(table, number)) != origin for table in self.tables):
                return None
            for table in self.tables:
                _check(self.place(table, number))
            clips = _read(self.place(CLIPS, number))
        except (OSError, ValueError, pa.ArrowException):  # not there, damaged, or none of ours
            return None
        passing = sorted(map(str, TRANSIENT))
        for name in _STATUSES:
            if pc.any(pc.is_in(clips[name], _strings(passing))).as_py():
                return None
        return None if _changed(clips, self.store) else clips

    @contextmanager
    def writing(self, number: int, origin: str) -> "Iterator[Callable[[str, pa.Table], None]]":
        """Lend a function that appends rows to a part of a table; all are there once the block ends without an error."""
        with ExitStack() as stack:
            sinks = {}
            for name in (CLIPS, *(name for name in self.tables if name != CLIPS)):  # the first one takes its place last
                self.place(name, number).parent.mkdir(exist_ok=True)
                temporary = stack.enter_context(replacing(self.place(name, number)))
                sinks[name] = stack.enter_context(_Sink(temporary, {_ORIGIN: origin.encode()}))
            yield lambda name, rows: sinks[name].add(rows)

    def end(self, number: int) -> None:
        """Remove the parts from this one on, of a longer run."""
        for table in self.tables:
            for place in self.place(table, 0).parent.glob("part-*.parquet"):
                if place.name >= self.place(table, number).name:
                    place.unlink()


def clip_table(rows: Sequence[Mapping[str, Any]], named: "pa.Table", kinds: Mapping[str, Kind]) -> "pa.Table":
    """Make table `clips`, with the types of the schema, of rows as `clip_row` makes them and the rows of a manifest.

    `kinds` are those of further columns that pandas is to read with the types of a run's tables.
    """
    import pyarrow as pa

    schema = empty_table(CLIPS, kinds).schema
    columns = [
        named[each.name].cast(each.type)
        if each.name in kinds
        else pa.array([row.get(each.name) for row in rows], each.type)
        for each in schema
    ]
    table = pa.Table.from_arrays(columns, schema=schema)
    for each in named.schema:
        if each.name not in schema.names:
            table = table.append_column(each, named[each.name])
    return table


def without_clips(part: Path, ids: Collection[str]) -> None:
    """Remove rows of clips from a part; one that had some is made anew by the next run of its manifest.

    Rows are read some ten thousand at a time.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    gone = pa.array(sorted(ids), pa.string())
    with pq.ParquetFile(part) as rows:
        named = (pc.is_in(batch["clip_id"], gone) for batch in rows.iter_batches(columns=["clip_id"]))
        if not any(pc.any(each).as_py() for each in named):
            return
        schema = rows.schema_arrow
        schema = schema.with_metadata(
            {name: text for name, text in (schema.metadata or {}).items() if name not in (_ORIGIN, _DIGEST)}
        )
        with replacing(part) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in rows.iter_batches(_ROWS_AT_ONCE):
                kept = batch.filter(pc.invert(pc.is_in(batch["clip_id"], gone)))
                writer.write_table(pa.Table.from_batches([kept]).replace_schema_metadata(schema.metadata))


def _origin(place: Path) -> str:
    import pyarrow.parquet as pq

    with place.open("rb") as file:
        metadata: Mapping[bytes, bytes] = pq.read_schema(file).metadata or {}
    return metadata.get(_ORIGIN, b"").decode()


def _check(place: Path) -> None:
    """Raise a ValueError where rows of a part are not byte for byte those that were written, which Parquet does not notice."""
    import pyarrow.parquet as pq

    with place.open("rb") as file:
        about = pq.ParquetFile(file).metadata
        end = place.stat().st_size - _LAST - about.serialized_size
        if (about.metadata or {}).get(_DIGEST, b"").decode() != _digest(file, end):
            raise ValueError(f"{place} is damaged")


def _digest(file: BinaryIO, end: int) -> str:
    """Return the blake3 digest of so many bytes of a file from its beginning on."""
    hasher = blake3()
    file.seek(0)
    while block := file.read(min(1 << 20, end - file.tell())):
        hasher.update(block)
    return hasher.hexdigest()


def _read(place: Path) -> "pa.Table":
    import pyarrow.parquet as pq

    names = ("path", *_STATUSES, "predominant", "warnings", "source_blake3", "analyzed_at", "elapsed_s")
    with place.open("rb") as file:
        return pq.ParquetFile(file).read(columns=list(names), use_threads=False)


def _changed(clips: "pa.Table", store: Store) -> bool:
    """Tell whether a clip's file is another than the one that was analysed; one that has gone was not changed."""
    now = time.time()
    begun = (clips["analyzed_at"].to_numpy(), clips["elapsed_s"].fill_null(0.0).to_numpy())
    for path, digest, at, took in zip(
        clips["path"].to_pylist(), clips["source_blake3"].to_pylist(), *begun, strict=True
    ):
        with suppress(OSError, ClipError):
            found = Path(path).stat()
            seconds = at.astype("int64") / 1e6
            # a time to come: the clock was set back since, and the file's times say nothing
            touched = seconds > now or max(found.st_mtime, found.st_ctime) > seconds - took - 1
            if digest is not None and touched and content_digest(Path(path), store) != digest:
                return True
    return False


class _Sink:
    """A Parquet file that grows; its columns are those of the first rows."""

    def __init__(self, place: Path, metadata: Mapping[bytes, bytes]) -> None:
        self._place, self._metadata = place, metadata
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError) if kind else nullcontext():
            if kind is None:
                self._flush()
            if self._writer is not None:
                self._file.flush()
                with self._place.open("rb") as written:
                    self._writer.add_key_value_metadata({_DIGEST: _digest(written, self._place.stat().st_size)})
                self._writer.close()
                self._file.close()

    def add(self, rows: "pa.Table") -> None:
        """Append rows."""
        self._waiting.append(rows)
        self._n_waiting += rows.num_rows
        if self._n_waiting >= _ROWS_AT_ONCE or len(self._waiting) >= _TABLES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        if self._writer is None:
            schema = rows.schema.with_metadata({**(rows.schema.metadata or {}), **self._metadata})
            self._file = self._place.open("wb")  # pyarrow takes no path that is not UTF-8
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._writer.write_table(rows.replace_schema_metadata(self._writer.schema.metadata))
        self._waiting, self._n_waiting = [], 0


def _strings(values: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(values, pa.string())
