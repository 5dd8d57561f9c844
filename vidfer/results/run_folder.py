"""The folder of a run: the clips' folders, and beside them the six tables of all clips, made from the clips' own.

A clip's folder is the truth; the run's tables can be made again from the folders at any time. They are read one clip at a time.
What a user wrote into `people.csv` and `clips.csv` is kept (see `vidfer.results.edits`).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer.pipeline.atomic import replacing, results_folder
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.left import sweep
from vidfer.pipeline.lock import locked
from vidfer.results.clip_folder import LOCK, SUMMARY, ClipFolder, FolderError, clip_folders, open_clip
from vidfer.results.dictionary import PACKAGE, package_file
from vidfer.results.edits import KEYS, Edits, read_edits
from vidfer.results.files import arrow_table, inferred_kind, is_written_as, read_arrow
from vidfer.results.names import clip_id, shown
from vidfer.results.people import PEOPLE, People, read_people
from vidfer.results.schema import TABLES, Kind
from vidfer.results.sinks import Sink, common_kind
from vidfer.types import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, Mapping[str, Kind]]
"""The kinds of columns beside those of the schema, by table."""

RUN_FILES: Final = (PACKAGE, *(f"{name}.{suffix}" for name in TABLES for suffix in ("csv", "parquet")))
"""The files of a run's tables."""

_STATE: Final = b"vidfer_run"
_BOM: Final = b"\xef\xbb\xbf"


NOT_WRITTEN: Final = "its tables have to be made again: make room, or copy the run to a folder that can be written"
"""The remedy where a run is read, and not written to a folder of the user's choice."""


@dataclass(frozen=True)
class Contents:
    """What lies below a run's folder.

    Args:
        clips: The clips' folders by clip_id, sorted.
        left_out: Why each other folder with a `summary.json` is left out of the tables.
        notes: What is to be known of persons who were joined and of rows that are gone, in sentences.
        tables: Digest of the run's tables where they were just made of these clips, see `tables_digest`.
    """

    clips: Mapping[str, ClipFolder]
    left_out: Mapping[Path, str]
    notes: tuple[str, ...] = ()
    tables: str = ""

    @property
    def digest(self) -> str:
        """Digest of all that the clips' folders hold."""
        return blake3(json.dumps({name: clip.token for name, clip in self.clips.items()}).encode()).hexdigest()

    def warnings(self) -> list[str]:
        """Say for each folder that is left out why, in a sentence, and what is to be known of persons who were joined."""
        left_out = [f"{folder} is not in the tables: it {reason}" for folder, reason in self.left_out.items()]
        return [*left_out, *self.notes]


def contents(run: Path) -> Contents:
    """Look through the clips' folders of a run, and bring to its end what a writer that died had begun to move there."""
    clips, left_out = {}, {}
    for folder in clip_folders(run):
        try:
            clip = open_clip(folder)
            place = clip_id(folder, run)
            if clip.clip_id != place:
                raise FolderError(f"holds the results of {clip.clip_id}: move it back there")
            clips[place] = clip
        except FolderError as error:
            left_out[folder] = str(error)
    return Contents(dict(sorted(clips.items())), left_out)


def tables_digest(run: Path) -> str:
    """Return the digest of the files of a run's tables, and of their description, as far as they are there."""
    return _digest_of({name: run / name for name in RUN_FILES})


def _digest_of(files: Mapping[str, Path]) -> str:
    there = {name: file_digest(files[name]) for name in RUN_FILES if files[name].is_file()}
    return blake3(json.dumps(there).encode()).hexdigest()


def is_current(run: Path, found: Contents) -> bool:
    """Tell whether the run's tables are those of the clips' folders as they are now."""
    there = all(is_written_as(run / f"{name}.parquet", name) for name in TABLES)
    return there and _state(run, "clips").get("digest") == found.digest


def check(run: Path) -> None:
    """Find out, before hours of work, whether a run's tables can be written and what a user wrote into them can be kept.

    Raises:
        VidferError: They cannot.
        UsageError: The folder holds the results of a manifest, which could not be gone on with then.
    """
    if (run / "clips" / "part-00000.parquet").is_file():
        raise UsageError(f"{run} holds a run of a manifest: give another folder by --out")
    with results_folder(run):
        _read_all_edits(run, _further(contents(run)))
        read_people(run / PEOPLE)


def rebuild(
    run: Path,
    *,
    excel: bool | None = None,
    links: Mapping[str, str] | None = None,
    remedy: str = "give another folder by --out",
) -> Contents:
    """Make a run's tables from its clips' folders; until all are on the disk, the tables stay as they were.

    Columns that not every clip has, such as those of a study, are missing in the others; columns of several types become texts.

    Args:
        run: Its folder, which is made if need be.
        excel: Begin each CSV with a byte order mark; by default if `clips.csv` begins with one.
        links: Who is the same person as `--identify` found, by id as tracked; by default what it found earlier.
        remedy: What an error says that is of a folder that cannot be written.

    Raises:
        VidferError: They cannot be written, or what a user wrote into `people.csv` or `clips.csv` cannot be read.
    """
    with results_folder(run, remedy), locked(run / LOCK):
        sweep(run)
        bom = begins_with_bom(run / "clips.csv") if excel is None else excel
        while True:
            try:
                return _rebuild(run, bom, links)
            except _SavedMeanwhileError:
                continue


class _SavedMeanwhileError(Exception):
    """The user has saved a table since it was read."""


def _rebuild(run: Path, bom: bool, links: Mapping[str, str] | None) -> Contents:
    saved = _saved(run)
    found = contents(run)
    further = _further(found)
    edits, people = _read_all_edits(run, further), read_people(run / PEOPLE, links)
    notes: list[str] = []
    damaged: dict[Path, str] = {}
    kept: dict[str, set[tuple[str, ...]]] = {name: set() for name in KEYS}
    kinds = {name: _with_own(further[name], edits[name]) for name in TABLES}
    with ExitStack() as replaced:
        # `clips`, which says whether all are current, is the last to be replaced
        drafts = {name: replaced.enter_context(replacing(run / name)) for name in reversed(RUN_FILES)}
        drafts[PACKAGE].write_bytes(package_file(shown(run.resolve().name), kinds, excel=bom))
        with ExitStack() as opened:
            sinks = {}
            for name in TABLES:
                state = {"own": list(edits[name].own), **({"digest": found.digest} if name == "clips" else {})}
                places = [drafts[f"{name}.{suffix}"] for suffix in ("parquet", "csv")]
                sink = Sink(name, kinds[name], edits[name], places, {_STATE: json.dumps(state).encode()}, bom=bom)
                sinks[name] = opened.enter_context(sink)
            for clip in found.clips.values():
                try:
                    tables = _tables(clip, people, notes)
                except (FolderError, ValueError, OSError) as error:
                    damaged[clip.path] = str(error) if isinstance(error, FolderError) else f"is damaged: {error}"
                    continue
                notes += _renumbered(run, clip, edits["people"])
                for name, sink in sinks.items():
                    sink.add(tables[name])
                for name, key in KEYS.items():
                    columns = (tables[name][each].to_pylist() for each in key)
                    kept[name] |= {tuple(map(str, row)) for row in zip(*columns, strict=True)}
        if _saved(run) != saved:
            raise _SavedMeanwhileError
        notes += [_keep_earlier(run / f"{name}.csv", lost) for name in KEYS if (lost := edits[name].lost(kept[name]))]
        written = _digest_of(drafts)
    return Contents(found.clips, {**found.left_out, **damaged}, tuple(notes), written)


def _renumbered(run: Path, clip: ClipFolder, written: Edits) -> list[str]:
    """Say that what was written of a clip's people may be meant for others, where its last analysis found others."""
    if not clip.summary.get("people_changed") or not written.concern(clip.clip_id):
        return []
    if (clip.path / SUMMARY).stat().st_mtime_ns < (run / PEOPLE).stat().st_mtime_ns:  # it was said before, or seen
        return []
    found = f"{clip.clip_id} was analysed again, and other people have the numbers of those that you wrote of"
    return [f"{run / PEOPLE}: {found}: check name and same_as"]


def _keep_earlier(path: Path, lost: Sequence[tuple[str, ...]]) -> str:
    """Copy a table whose new version lacks rows in which the user wrote something, and say so."""
    names = (f"{path.stem}-earlier{'' if number == 1 else f'-{number}'}{path.suffix}" for number in count(1))
    copy = next(place for name in names if not (place := path.with_name(name)).exists())
    with replacing(copy) as draft:
        draft.write_bytes(path.read_bytes())
    rows = "1 row" if len(lost) == 1 else f"{len(lost)} rows"
    return f"{path}: {rows} with what you wrote belong to no folder of a clip any more; they are kept in {copy.name}"


def _tables(clip: ClipFolder, people: People, notes: list[str]) -> "dict[str, pa.Table]":
    """Return a clip's tables as they stand in those of the run: with everybody's id and name, and files by their place there."""
    import pyarrow as pa

    tables = {name: read_arrow(clip.read(f"{name}.parquet")) for name in TABLES}
    if people.concern(tables["people"]["person_id"].to_pylist()):
        from vidfer.results.merge import apply_people

        changed, said = apply_people({name: clip.table(name) for name in TABLES}, people, clip.summary)
        tables, notes[len(notes) :] = {name: arrow_table(rows) for name, rows in changed.items()}, said
    rows = tables["people"]
    at = rows.column_names.index("thumbnail")
    places = [None if name is None else f"{clip.clip_id}/{name}" for name in rows["thumbnail"].to_pylist()]
    return {
        **tables,
        "people": rows.set_column(at, rows.schema.field(at), pa.array(places, rows.schema.field(at).type)),
    }


def _further(found: Contents) -> dict[str, dict[str, Kind]]:
    """Name the columns of the clips' tables that are not in the schema, by table, with the kinds that all clips' values fit."""
    further: dict[str, dict[str, Kind]] = {name: {} for name in TABLES}
    for clip in found.clips.values():
        for table, kinds in clip.summary.get("further_columns", {}).items():
            for name, kind in kinds.items():
                further[table][name] = common_kind(further[table].get(name, kind), kind)
    return further


def _with_own(further: Mapping[str, Kind], edits: Edits) -> dict[str, Kind]:
    own = {name: inferred_kind(texts) for name, texts in edits.own.items()}
    return {**further, **{name: common_kind(further.get(name, kind), kind) for name, kind in own.items()}}


def _read_all_edits(run: Path, further: Columns) -> dict[str, Edits]:
    edits = {name: Edits() for name in TABLES}
    for name in KEYS:
        state = _state(run, name)
        earlier = set(state.get("columns", ())) - set(state.get("own", ()))
        edits[name] = read_edits(run / f"{name}.csv", name, earlier | (set(further[name]) - set(state.get("own", ()))))
    return edits


def _state(run: Path, name: str) -> dict[str, Any]:
    """Return what `_rebuild` noted in a table of the run, and the table's columns; nothing where there is no such table."""
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(run / f"{name}.parquet")
        return {**json.loads((schema.metadata or {})[_STATE]), "columns": schema.names}
    except (OSError, ValueError, KeyError):
        return {}


def _saved(run: Path) -> list[tuple[int, int] | None]:
    """Tell versions of the tables that a user may edit from one another."""
    return [_version(run / f"{name}.csv") for name in KEYS]


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def begins_with_bom(path: Path) -> bool:
    """Tell whether a file is there and begins with a byte order mark."""
    try:
        with path.open("rb") as file:
            return file.read(len(_BOM)) == _BOM
    except OSError:
        return False
