"""What a folder of results says of clips, and the removal of some of them there: folders, rows, pages, figures, exports."""

import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from vidfer.api.parts import CLIPS
from vidfer.api.purge_rows import drop_rows, edited_tables, remove_from_parts
from vidfer.exchange.files import SUFFIXES, export_paths, source_of
from vidfer.pages.index import INDEX
from vidfer.pages.run import finish_run
from vidfer.pipeline import paths
from vidfer.pipeline.atomic import results_folder
from vidfer.pipeline.bounded import read_json
from vidfer.pipeline.left import left_drafts
from vidfer.pipeline.lock import is_locked, locked
from vidfer.results.clip_folder import (
    COMMIT,
    LOCK,
    PURGED,
    REPORT,
    SUMMARY,
    ClipFolder,
    clip_folders,
    withdraw,
)
from vidfer.results.consent import COLUMNS as OF_CONSENT
from vidfer.results.consent import Consent
from vidfer.results.names import clip_id as clip_id_of
from vidfer.results.names import shown
from vidfer.results.run_folder import RUN_FILES, begins_with_bom
from vidfer.results.traces import files_below
from vidfer.types import VidferError

_REMEDY: Final = "purge it where it can be written, or delete the folder"
_FIGURES: Final = ("plots/**/*.png", "plots/**/*.svg", "compare/compare_*")
"""What is drawn and computed of all clips together: it goes with any of them."""

_SLURM: Final = ".vidfer-slurm/jobs-*"


@dataclass(frozen=True)
class KnownClip:
    """What one folder, or one row of a table, says of a clip.

    Args:
        run: The folder of results.
        folder: The clip's own; None where a row says it.
        path: The clip's file, as the results name it.
        places: Where that is, as far as it can be told.
        digest: Of its content; None where it was not read.
    """

    run: Path
    clip_id: str
    folder: Path | None
    path: str
    places: frozenset[str]
    digest: str | None
    analyzed_at: datetime | None
    consent: Consent

    @property
    def place(self) -> Path:
        """Where the run has its folder, or would have it."""
        return self.run / self.clip_id


def identity(path: Path) -> str:
    """Return a path without links in its folders, as text."""
    return shown(paths.identity(path))


def known_clips(run: Path) -> list[KnownClip]:
    """List what a folder of results, of one clip or many, says of clips: by folders first, then by rows."""
    own = [run] if (run / SUMMARY).is_file() else []
    purged = (path.parent for path in run.rglob(PURGED))
    found = [_of_folder(run, folder) for folder in dict.fromkeys((*own, *clip_folders(run), *purged))]
    tables = [run / "clips.parquet", *sorted((run / CLIPS).glob("part-*.parquet"))]
    rows = (row for table in tables if table.is_file() for row in _rows(table))
    return [*filter(None, found), *(_of_row(run, row) for row in rows)]


def run_around(folder: Path) -> Path | None:
    """Return the folder of the run that a clip's folder is part of; None for a folder of a run, or of one clip alone."""
    if not any((folder / name).is_file() for name in (SUMMARY, PURGED)):
        return None
    return next((each for each in folder.absolute().parents if (each / "clips.parquet").is_file()), None)


def _of_folder(run: Path, folder: Path) -> KnownClip | None:
    for place in (folder / SUMMARY, folder / COMMIT / SUMMARY, folder / PURGED):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            summary = read_json(place)
            clip_id = str(summary["clip_id"]) if folder == run else clip_id_of(folder, run)
            digest = (summary.get("provenance") or {}).get("source_blake3")
            at = summary.get("analyzed_at")
            return KnownClip(
                run,
                clip_id,
                folder,
                str(summary["clip"]),
                _places(summary, folder),
                digest,
                datetime.fromisoformat(at) if at else None,
                Consent.read(summary.get("consent") or {}),
            )
    return None


def _places(summary: dict[str, Any], folder: Path) -> frozenset[str]:
    played = source_of(ClipFolder(folder, summary, ""))
    return frozenset(identity(Path(path)) for path in (summary["clip"], played) if path)


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as rows:
        names = ("clip_id", "path", "source_blake3", "analyzed_at", *OF_CONSENT)
        wanted = [name for name in names if name in rows.schema_arrow.names]
        for batch in rows.iter_batches(columns=wanted):
            yield from batch.to_pylist()


def _of_row(run: Path, row: dict[str, Any]) -> KnownClip:
    path, places = str(row["path"]), frozenset({identity(Path(str(row["path"])))})
    at, digest = row.get("analyzed_at"), row.get("source_blake3")
    return KnownClip(run, str(row["clip_id"]), None, path, places, digest, at, Consent.read(row))


def _has_parts(run: Path) -> bool:
    """Tell whether a folder holds the run of a manifest; one of other runs may have clips in a folder of the same name."""
    return any((run / CLIPS).glob("part-*.parquet"))


def is_half_done(run: Path) -> bool:
    """Tell whether a purge that was broken off left a run without its page."""
    has = {name: (run / name).is_file() for name in ("clips.parquet", INDEX, SUMMARY)}
    return has["clips.parquet"] and not has[INDEX] and not has[SUMMARY]


def require_idle(run: Path, clips: Collection[KnownClip]) -> None:
    """Refuse to remove what a process at work is about to write.

    Raises:
        VidferError: A run has one of the clips, or a manifest's run writes into the folder.
    """
    wait = "wait until it has ended, or end it, and run the same command again"
    for claim in run.glob(".vidfer-*.claim"):
        if is_locked(claim):
            claimed = read_json(claim)
            for clip in clips:
                if clip.clip_id in claimed or clip.places & {shown(path) for path in claimed.values()}:
                    raise VidferError(f"a run at work into {run} has {clip.clip_id}: {wait}")
    if clips and _has_parts(run) and is_locked(run / LOCK):
        raise VidferError(f"a run of a manifest is at work in {run}: {wait}")


def vanishing(clips: Collection[KnownClip], others: Collection[KnownClip]) -> set[str]:
    """Return the ids that no other result in the folder has."""
    return {clip.clip_id for clip in clips} - {clip.clip_id for clip in others}


def doomed_files(run: Path, clips: Sequence[KnownClip], others: Sequence[KnownClip]) -> list[Path]:
    """List the files that go with clips, and not those of others: their own, and what was made of all clips together."""
    if not clips:
        return []
    gone, every = vanishing(clips, others), sorted({clip.clip_id for clip in (*clips, *others)})
    found = [path for clip in clips if clip.folder for path in _files_of(clip.folder)]
    found += [path for pattern in _FIGURES for path in sorted(run.glob(pattern)) if path.is_file()]
    exports = {  # a long name is shortened beside others that begin alike
        path.as_posix()
        for suffix in SUFFIXES.values()
        for clip_id, path in export_paths(Path(), every, suffix).items()
        if clip_id in gone
    }
    for path in files_below(run / "export"):
        if shown(path.relative_to(run / "export").as_posix()) in exports:
            found.append(path)
    return [*found, *([run / INDEX] if (run / INDEX).is_file() else [])]


_OWN: Final = re.compile(
    r"(frames|seconds|segments|people|windows|clips)\.(csv|parquet)|datapackage\.json|overlay\.mp4|poster\.jpg"
    r"|person-\d+(-strip)?\.jpg|summary\.json|report\.html"
)


def _files_of(folder: Path) -> list[Path]:
    """List what vidfer wrote into a clip's folder, drafts included; the summary, by which the rest is found, is the last."""
    inside = sorted(folder.iterdir(), key=lambda path: (path.name in (SUMMARY, PURGED), path.name))
    named: set[str] = {REPORT, SUMMARY, LOCK}
    for name in (SUMMARY, PURGED):
        with suppress(OSError, ValueError, KeyError, TypeError):
            named |= set(read_json(folder / name)["files"])
    return [
        path
        for path in inside
        if path.name.startswith(".vidfer-")
        or ((path.name in named or _OWN.fullmatch(path.name)) and not (path.is_dir() and not path.is_symlink()))
    ]


def remove_clips(run: Path, clips: Sequence[KnownClip], others: Sequence[KnownClip]) -> None:
    """Remove clips from a folder of results, and make its tables and pages again without them.

    What is needed to find the rest goes last, so that this can be done again where it was broken off.

    Raises:
        VidferError: Something there cannot be removed or written.
    """
    ids = vanishing(clips, others)
    parts = _has_parts(run)
    excel = begins_with_bom(run / "clips.csv")
    with results_folder(run, _REMEDY), locked(run / LOCK, remove=parts or not others):
        _clear(run)
        for table in edited_tables(run):
            drop_rows(table, ids)
        folders = {clip.folder for clip in clips if clip.folder}
        for folder in folders:
            withdraw(folder)  # nobody takes what is left of it for results
        last = {INDEX: 0, PURGED: 2}
        for path in sorted(doomed_files(run, clips, others), key=lambda path: last.get(path.name, 1)):
            _remove(path)
        for folder in folders:
            _remove_empty(folder, run)
        if parts:
            remove_from_parts(run, ids)
        elif not others:
            for name in (*RUN_FILES, INDEX):
                (run / name).unlink(missing_ok=True)
    if others and not parts and (run / "clips.parquet").is_file():
        finish_run(run, excel=excel)


def abandoned(run: Path) -> list[Path]:
    """List drafts anywhere below a folder whose writers have died: they may be of any clip, and have no summary that tells."""
    return list(left_drafts(run.rglob(".vidfer-*.tmp")))


def remove_abandoned(run: Path) -> None:
    """Remove these drafts, and folders that held nothing else.

    Raises:
        VidferError: One cannot be removed.
    """
    with results_folder(run, _REMEDY):
        for path in abandoned(run):
            _remove(path)
            if path.parent != run:
                _remove_empty(path.parent, run)


def _clear(run: Path) -> None:
    """Remove what writers left that died, and logs of jobs that crashed: the living have the folder's lock, or their own."""
    deep = "*/.vidfer-*.tmp" if _has_parts(run) else ".vidfer-*.tmp"
    for path in [*run.glob(".vidfer-*.tmp"), *run.glob(deep), *run.glob(_SLURM)]:
        _remove(path)
    for claim in run.glob(".vidfer-*.claim"):
        if not is_locked(claim):
            claim.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(folder: Path, run: Path) -> None:
    """Remove a clip's folder, and those around it, if nothing is in them; what a user put there stays."""
    with suppress(OSError):
        while folder != run:
            folder.rmdir()
            folder = folder.parent
