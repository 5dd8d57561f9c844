"""The folder of one clip's results: written whole or not at all, and checked when read.

frames.parquet, frames.csv, ...   the six tables
datapackage.json, pictures        whatever else was given
overlay.mp4                       the clip's video with drawings, where that was asked for
report.html                       the page of the clip, which may be made again with other names (`replace_report`)
summary.json                      the clip's summary, which names every other file with its digest, but for the page's
.vidfer-commit/                   files on their way to the places above: complete, so whoever finds them moves them on
.vidfer-purged.json               the summary of results of which a purge has begun to remove the files: there are none any more
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer.limits import MAX_JSON_BYTES
from vidfer.pipeline.atomic import results_folder, sync, write_atomic
from vidfer.pipeline.bounded import parse_json, read_bounded, read_json
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.left import new_mark, sweep
from vidfer.pipeline.lock import locked
from vidfer.pipeline.system import move
from vidfer.results.dictionary import PACKAGE, package_file
from vidfer.results.files import further_columns, read_table, table_files
from vidfer.results.names import clip_id as clip_id_of
from vidfer.results.pictures import POSTER, Pictures, strip_name, thumbnail_name
from vidfer.results.schema import SCHEMA_VERSION, TABLES
from vidfer.results.summary_shape import misshapen
from vidfer.types import VidferError

if TYPE_CHECKING:
    import pandas as pd

SUMMARY: Final = "summary.json"
REPORT: Final = "report.html"
BLURRED: Final = "pictures_blurred"
VIDEO: Final = "video"
"""In the summary: the address of the clip's file from pages in its folder, or None."""

OVERLAY: Final = "overlay.mp4"
"""The clip's video with drawings, where that was asked for."""

OVERLAID: Final = "overlay"
"""In the summary: what became of that file, or None where it was not asked for."""

OF_FOLDER: Final = (
    *("schema_version", "further_columns", "files", "clip_id", "people_changed", "seal"),
    *(BLURRED, VIDEO, OVERLAID),
)
"""What the summary in a clip's folder has beside the summary of its result."""

COMMIT: Final = ".vidfer-commit"
PURGED: Final = ".vidfer-purged.json"
LOCK: Final = ".vidfer.lock"
_SEAL: Final = b"<!-- %b -->\n"


class FolderError(VidferError):
    """A folder does not hold one clip's results of this version, whole; the message says why, as in `is damaged`."""


@dataclass(frozen=True)
class ClipFolder:
    """One clip's results on disk.

    Args:
        path: The folder.
        summary: What its `summary.json` holds.
        token: Digest of that file, and so of all that it names.
    """

    path: Path
    summary: Mapping[str, Any] = field(repr=False)
    token: str

    @property
    def clip_id(self) -> str:
        """The clip's id, its place below the run's folder."""
        return str(self.summary["clip_id"])

    def is_made_from(self, origin: str) -> bool:
        """Tell whether the folder holds what `write_clip` wrote with that `origin`, byte for byte, and its page."""
        if self.summary.get("seal") != _seal(self.summary, origin):
            return False
        try:
            return _is_sealed((self.path / REPORT).read_bytes()) and all(
                file_digest(self.path / name) == digest for name, digest in self.summary["files"].items() if digest
            )
        except OSError:
            return False

    def read(self, name: str) -> bytes:
        """Read a file that the summary names.

        Raises:
            FolderError: It is not there, or is not the one that was written with the summary.
        """
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise FolderError(f"is damaged: {name} cannot be read ({error.strerror})") from error
        if name != REPORT and blake3(data).hexdigest() != self.summary["files"].get(name):
            raise FolderError(f"is damaged: {name} is not the one that was written with {SUMMARY}")
        return data

    def table(self, name: str) -> "pd.DataFrame":
        """Read one of the six tables, with the types that it was written with."""
        return read_table(self.read(f"{name}.parquet"))

    @property
    def overlay(self) -> str | None:
        """Name of the video with drawings, if there is one."""
        return OVERLAY if OVERLAY in self.summary["files"] else None

    def pictures(self) -> Pictures:
        """Read the pictures, as they were written: blurred or not."""
        people, there = [one["person"] for one in self.summary.get("people", ())], self.summary["files"]
        faces, strips = (
            {one: self.read(name(one)) for one in people if name(one) in there} for name in (thumbnail_name, strip_name)
        )
        poster = self.read(POSTER) if POSTER in there else None
        return Pictures(faces, strips, poster, blurred=bool(self.summary.get(BLURRED)))


def open_clip(folder: Path) -> ClipFolder:
    """Open a clip's folder, and bring to its end what a writer that died had begun to move there.

    Raises:
        FolderError: It holds no results, or those of another version.
    """
    try:
        if (folder / COMMIT).is_dir():
            with locked(folder / LOCK, remove=True):
                _finish(folder)
        data = read_bounded(folder / SUMMARY, MAX_JSON_BYTES)
        summary = parse_json(data)
        version, files = summary.get("schema_version"), summary.get("files")
    except OSError as error:
        raise FolderError(f"cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError) as error:
        raise FolderError(f"is damaged: {SUMMARY} is no summary of a clip") from error
    if version != SCHEMA_VERSION:
        raise FolderError("was written by another version of vidfer: analyse its clip again")
    if not isinstance(files, dict) or not all(f"{name}.parquet" in files for name in TABLES):
        raise FolderError(f"is damaged: {SUMMARY} does not name the tables")
    if not all(map(_is_plain, files)) or not isinstance(summary.get("clip_id"), str):
        raise FolderError(f"is damaged: {SUMMARY} names files of another folder, or no clip")
    if part := misshapen(summary):
        raise FolderError(f"is damaged: {part} in {SUMMARY} is not what vidfer writes: analyse its clip again")
    return ClipFolder(folder, summary, blake3(data).hexdigest())


def write_clip(
    folder: Path,
    clip_id: str,
    tables: Mapping[str, "pd.DataFrame"],
    summary: Mapping[str, Any],
    *,
    files: Mapping[str, bytes | Path] | None = None,
    excel: bool = False,
    origin: str | None = None,
) -> None:
    """Write a clip's results; until all are on the disk, the folder keeps what it held.

    Files of earlier results that these do not have are removed, all others stay.

    Args:
        folder: Made if need be.
        clip_id: The clip's place below the run's folder.
        tables: All six tables by name, with the types of the schema.
        summary: What `summary.json` says of the clip; what this module needs is added.
        files: Further files by name, such as pictures: their bytes, or a large file in the clip's folder, which is moved.
        excel: Begin each CSV with a byte order mark.
        origin: Digest of all that decides what is written, by which `ClipFolder.is_made_from` knows it again; None for what has
            to be made anew by the next run.

    Raises:
        VidferError: The folder cannot be written, or its disk is full.
    """
    further, digests = further_columns(tables), dict[str, str | None]()
    with results_folder(folder):
        sweep(folder)
        draft = folder / f".vidfer-{new_mark()}.tmp"
        draft.mkdir()
        try:
            content: Iterable[tuple[str, bytes | Path]] = chain(
                table_files({name: tables[name] for name in TABLES}, excel=excel),
                (files or {}).items(),
                [(PACKAGE, package_file(Path(clip_id).name, further, excel=excel))],
            )
            for name, data in content:  # one at a time: those of an hour are large
                digests[name] = None if name == REPORT else _digest(data)
                _write(draft / name, _sealed(data) if name == REPORT and isinstance(data, bytes) else data)
            of_tables = {
                **{"schema_version": SCHEMA_VERSION, "further_columns": further, "files": digests},
                "people_changed": _earlier_people(folder) not in (None, _seen(tables["people"])),
            }
            whole: dict[str, Any] = {**summary, "clip_id": clip_id, **of_tables}
            if origin is not None:
                whole["seal"] = _seal(json.loads(json.dumps(whole)), origin)
            _write(draft / SUMMARY, json.dumps(whole, indent=2, ensure_ascii=False).encode() + b"\n")
            sync(draft)
            with _alone(folder, clip_id):
                try:
                    _finish(folder)  # of a writer that died
                except FolderError:
                    shutil.rmtree(folder / COMMIT)
                move(draft, folder / COMMIT)
                sync(folder)
                _finish(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _write(path: Path, data: bytes | Path) -> None:
    """Write a file, or move it here, and wait until the disk has it."""
    if isinstance(data, Path):
        move(data, path, replace=True)
    else:
        path.write_bytes(data)
    sync(path)


def _seal(summary: Mapping[str, Any], origin: str) -> str:
    """Return the digest of a summary as it is read, without its seal, and of what it was made from."""
    return blake3(json.dumps([origin, {**summary, "seal": None}], sort_keys=True).encode()).hexdigest()


def _sealed(page: bytes) -> bytes:
    """Return a page with its digest behind it: summaries have none of it, since it may be made again."""
    return page + _SEAL % _digest(page).encode()


def _is_sealed(page: bytes) -> bool:
    length = len(_SEAL % bytes(64))
    return _sealed(page[:-length]) == page


def _digest(data: bytes | Path) -> str:
    digest = blake3()
    if isinstance(data, Path):
        digest.update_mmap(data)
    else:
        digest.update(data)
    return digest.hexdigest()


def replace_report(clip: ClipFolder, page: bytes) -> None:
    """Replace a clip's page, unless other results have come into the folder since it was opened: they brought their own.

    Raises:
        VidferError: The folder cannot be written, or its disk is full.
    """
    with results_folder(clip.path), _alone(clip.path, clip.clip_id):
        if blake3((clip.path / SUMMARY).read_bytes()).hexdigest() == clip.token:
            write_atomic(clip.path / REPORT, _sealed(page))


def _earlier_people(folder: Path) -> list[tuple[Any, ...]] | None:
    """Return who was seen when by the results that a folder holds; None where it holds none."""
    try:
        return _seen(open_clip(folder).table("people"))
    except FolderError:
        return None


def _seen(people: "pd.DataFrame") -> list[tuple[Any, ...]]:
    return list(people[["person", "first_s", "last_s"]].itertuples(index=False, name=None))


@contextmanager
def _alone(folder: Path, clip_id: str) -> Iterator[None]:
    """Keep others from moving files in a clip's folder, and from making tables of the run that it lies in.

    The run's lock comes first wherever both are held; `open_clip` takes the folder's alone.
    """
    depth = clip_id.count("/")
    run = folder.absolute().parents[min(depth, len(folder.absolute().parents) - 1)]
    of_run = (run / LOCK).exists() and clip_id_of(folder.absolute(), run) == clip_id
    with locked(run / LOCK) if of_run else nullcontext(), locked(folder / LOCK, remove=True):
        yield


def _finish(folder: Path) -> None:
    """Move complete files to their places, the summary last, so that this can be done again if it is broken off."""
    pending = folder / COMMIT
    try:
        names = set(read_json(pending / SUMMARY)["files"])
        if not all(map(_is_plain, names)):
            raise ValueError("it names files of another folder")
    except (FileNotFoundError, NotADirectoryError):  # nothing is pending, or all was moved
        with suppress(OSError):
            pending.rmdir()
        return
    except (ValueError, KeyError, TypeError) as error:
        raise FolderError(f"is damaged: {COMMIT} holds no results") from error
    for name in names:
        with suppress(FileNotFoundError):  # moved before
            move(pending / name, folder / name, replace=True)
    for name in _named(folder) - names:
        (folder / name).unlink(missing_ok=True)
    sync(folder)
    move(pending / SUMMARY, folder / SUMMARY, replace=True)
    (folder / PURGED).unlink(missing_ok=True)
    pending.rmdir()
    sync(folder)


def withdraw(folder: Path) -> None:
    """Let a folder hold results no longer, in one step; their files stay there, and their summary as `PURGED`."""
    for place in (folder / COMMIT / SUMMARY, folder / SUMMARY):  # the first would come into its place
        if place.is_file():
            move(place, folder / PURGED, replace=True)
            sync(folder)


def _named(folder: Path) -> set[str]:
    """Name the files of earlier results, those that a purge has begun to remove included."""
    found = set[str]()
    for name in (SUMMARY, PURGED):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found.update(filter(_is_plain, read_json(folder / name)["files"]))
    return found


def _is_plain(name: object) -> bool:
    """Tell whether a name is that of a file in the same folder."""
    return isinstance(name, str) and Path(name).name == name and name not in ("", "..") and "\0" not in name


def clip_folders(run: Path) -> Iterator[Path]:
    """Yield the folders below a run's folder that hold results of a clip, whole or not, in the order of their names."""
    for place, inside, files in os.walk(run):
        if Path(place) != run and (SUMMARY in files or COMMIT in inside):
            yield Path(place)
        inside[:] = sorted(name for name in inside if not name.startswith(".vidfer-"))
