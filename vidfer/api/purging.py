"""Everything that derives from clips, found, removed, and looked for again: see docs/how-to/personal-data.md."""

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Final

from vidfer.api.purge_folder import (
    KnownClip,
    abandoned,
    doomed_files,
    identity,
    is_half_done,
    known_clips,
    remove_abandoned,
    remove_clips,
    require_idle,
    run_around,
    vanishing,
)
from vidfer.media.find import find_clips
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.digest import content_digest, file_digest
from vidfer.pipeline.gc import Entry, broken_off, derived_from, entries, last_written, removable, remove
from vidfer.pipeline.paths import is_there
from vidfer.pipeline.store import Store
from vidfer.pipeline.temporary import remove_stale, temporary_folders
from vidfer.results.study import read_consents
from vidfer.results.traces import Traces, files_below, without_lines
from vidfer.types import ClipError, UsageError

STAGES: Final = ("probe", "faces", "denoise", "finetune", "audio", "classify", "report", "identify")
"""The stages of a clip."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_REMEDY: Final = "purge it where it can be written"


@dataclass(frozen=True)
class Places:
    """Where clips are looked for.

    Args:
        store: Of artifacts.
        folders: Of results.
        logs: Files that `--log-file` wrote; those named `*.log` in the folders are found.
    """

    store: Store
    folders: Sequence[Path] = ()
    logs: Sequence[Path] = ()

    @cached_property
    def known(self) -> list[KnownClip]:
        """What the folders say of clips."""
        return [clip for folder in self.folders for clip in known_clips(folder)]

    def notes(self) -> Iterator[str]:
        """Yield what is to be known of the places, in sentences."""
        if self.store.remote is None and not self.store.root.is_dir():
            yield f"there is no store at {self.store.root}: --store names another"
        if not self.folders:
            yield "no folder of results is looked through: --out names those that there are"
        for folder in self.folders:
            run = run_around(folder)
            if run and run not in map(Path.absolute, self.folders):
                yield f"{folder} is a clip's folder in the run {run}, whose tables and pages are not looked through: --out {run}"

    def log_files(self) -> list[Path]:
        """List the logs that there are, those of the store's jobs included."""
        found = (path for path in files_below(*self.folders) if path.suffix == ".log")
        of_jobs = sorted((self.store.root / "jobs").glob("*.log"))
        return list(dict.fromkeys([*(path for path in self.logs if path.is_file()), *found, *of_jobs]))


@dataclass(frozen=True)
class Chosen:
    """The clips that are to go.

    Args:
        digests: Of their content.
        clips: What the folders say of them.
        places: Their files.
        notes: What is to be known of the choice, in sentences.
        everything: Whether all that is stored goes, whoever's it is.
    """

    digests: frozenset[str]
    clips: tuple[KnownClip, ...]
    places: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    everything: bool = False


def choose_named(places: Places, named: Sequence[str], notify: Callable[[str], None]) -> Chosen:
    """Choose clips by their files, by folders of them, or by the digest of their content, also where the file is gone.

    Raises:
        UsageError: Nothing of that name is there, and no results say that it was.
    """
    digests, files, notes = set[str](), set[str](), list[str]()
    for each in named:
        path = Path(each)
        if _DIGEST.fullmatch(each) and not is_there(path):
            digests.add(each)
            continue
        own = identity(path)
        gone = {one for clip in places.known for one in clip.places if one == own or one.startswith(f"{own}/")}
        found = [] if not is_there(path) else _clips_in(path, notify, may_be_empty=bool(gone))
        files |= {identity(clip) for clip in found}
        digests |= {content_digest(clip, places.store, remember=False) for clip in found}
        if not is_there(path) and not gone:
            where = " or ".join(map(str, places.folders)) or "a folder of results (--out names one)"
            remedy = "give its digest, source_blake3 in clips.csv"
            said = f"there is no {each}, and nothing in {where} is of it"
            if not any(map(is_half_done, places.folders)):
                raise UsageError(f"{said}: {remedy}")
            notes.append(f"{said}; pages of a purge that was broken off are made again")
        files |= gone
    chosen = _completed(places, digests, lambda clip: bool(clip.places & files), files)
    return replace(chosen, notes=(*notes, *chosen.notes, *_unknown(chosen)))


def _clips_in(path: Path, notify: Callable[[str], None], *, may_be_empty: bool) -> list[Path]:
    """List the clips that a path stands for: pictures may have been clips or, in a folder, frames of one at any rate."""
    try:
        return [clip for clip, _ in (*find_clips([path], notify=notify), *find_clips([path], picture_fps=1.0))]
    except UsageError:
        if not may_be_empty:
            raise
        return []


def choose_before(places: Places, day: date) -> Chosen:
    """Choose clips of which everything known was analysed before a day begins."""
    limit = datetime.combine(day, time.min).astimezone()
    newest = {source: datetime.fromtimestamp(at, UTC) for source, at in last_written(places.store).items()}
    for clip in places.known:
        if clip.digest and clip.analyzed_at:
            newest[clip.digest] = max(newest.get(clip.digest, clip.analyzed_at), clip.analyzed_at)
    old = {source for source, at in newest.items() if at < limit}

    def failed(clip: KnownClip) -> bool:
        return clip.digest is None and clip.analyzed_at is not None and clip.analyzed_at < limit

    return _completed(places, old, failed)


def choose_expired(places: Places) -> Chosen:
    """Choose clips whose retention is over, or without consent: by the study's file beside them, else as the results say.

    Raises:
        UsageError: A study's file is wrong.
    """
    said = read_consents({_place(clip): Path(_place(clip)) for clip in places.known})

    def refused(clip: KnownClip) -> bool:
        return bool(said.get(_place(clip), clip.consent).refusal())

    wanted = [clip for clip in places.known if refused(clip)]
    unread = {_place(clip) for clip in wanted if clip.digest is None}
    digests = {clip.digest for clip in wanted} | {_digest_of(Path(place), places.store) for place in unread}
    chosen = _completed(places, digests, refused)
    return replace(chosen, notes=(*chosen.notes, *_unknown(chosen)))


def _place(clip: KnownClip) -> str:
    """Return where a clip lies, or, if it is gone, where the results say that it lay."""
    return next((place for place in sorted(clip.places) if is_there(Path(place))), identity(Path(clip.path)))


def _digest_of(clip: Path, store: Store) -> str | None:
    """Return the digest of a file that a run refused, and so did not read; None where it is gone."""
    with suppress(ClipError):
        return content_digest(clip, store, remember=False)
    return None


def _unknown(chosen: Chosen) -> tuple[str, ...]:
    """Say of which clips the store cannot be asked: neither their files nor their digests are there."""
    lost = {clip.path: clip.run for clip in chosen.clips if clip.digest is None and not is_there(Path(_place(clip)))}
    return tuple(
        f"{path} is not found, and {run} does not have its digest: what the store may have of it stays, unless --clip names the "
        "digest, or --all takes everything"
        for path, run in lost.items()
    )


def choose_all(places: Places) -> Chosen:
    """Choose all that is stored, and all clips of the folders."""
    digests = {clip.digest for clip in places.known if clip.digest}
    digests |= {
        str(entry.recipe["source"]) for entry in entries(places.store) if entry.stage in STAGES and _source(entry)
    }
    return replace(_completed(places, digests, lambda _: True), everything=True)


def _source(entry: Entry) -> bool:
    return bool(entry.recipe.get("source"))


def _completed(
    places: Places,
    digests: set[str | None] | set[str],
    chosen: Callable[[KnownClip], bool],
    files: Collection[str] = (),
) -> Chosen:
    """Add what the folders know by file or digest, copies of equal content included, which share their artifacts."""
    wanted = {each for each in digests if each} | {clip.digest for clip in places.known if clip.digest and chosen(clip)}
    found = [clip.digest in wanted or chosen(clip) for clip in places.known]
    whole = {clip.place for clip, goes in zip(places.known, found, strict=True) if goes and clip.folder}
    clips = tuple(clip for clip, goes in zip(places.known, found, strict=True) if goes or clip.place in whole)
    named = {clip.place for clip in clips if chosen(clip)}  # rows of a clip go with its folder, whatever they say
    copies = {str(clip.place) for clip in clips if files and clip.place not in named}
    notes = tuple(f"{one} has the same content as a clip that is named: its results go, too" for one in sorted(copies))
    there = {place for clip in clips for place in clip.places} | set(files)
    return Chosen(frozenset(wanted), clips, frozenset(there), notes)


@dataclass(frozen=True)
class Purge:
    """What goes with the chosen clips, where it lies.

    Args:
        places: Where it was looked for.
        chosen: The clips.
        entries: Of the store.
    """

    places: Places
    chosen: Chosen
    entries: list[Entry] = field(repr=False)

    @classmethod
    def plan(cls, places: Places, chosen: Chosen) -> "Purge":
        """Find what goes; nothing is changed.

        Raises:
            VidferError: A run at work has one of the clips, or a place cannot be read.
        """
        for folder in places.folders:
            require_idle(folder, [clip for clip in chosen.clips if clip.run == folder])
        doomed = removable(places.store) if chosen.everything else derived_from(places.store, chosen.digests, STAGES)
        if not (chosen.everything or chosen.digests):
            doomed = broken_off(places.store)
        return cls(places, chosen, doomed)

    def of(self, folder: Path) -> tuple[list[KnownClip], list[KnownClip]]:
        """Return the chosen clips and the others of a folder of results."""
        known = [clip for clip in self.places.known if clip.run == folder]
        gone = set(map(id, self.chosen.clips))
        return [clip for clip in known if id(clip) in gone], [clip for clip in known if id(clip) not in gone]

    @cached_property
    def traces(self) -> Traces:
        """Digests and keys."""
        keys = {entry.key.rpartition("-")[2] for entry in self.entries if entry.stage != "memo"}
        return Traces(self.chosen.digests | frozenset(key for key in keys if _DIGEST.fullmatch(key)))

    def names(self, folder: Path) -> Traces:
        """Digests, keys, and the names that no other clip of a folder has."""
        clips, others = self.of(folder)
        ids = vanishing(clips, others)
        paths = {clip.path for clip in clips} - {clip.path for clip in others}
        return Traces(self.traces.digests, frozenset(ids | paths))

    @cached_property
    def in_logs(self) -> Traces:
        """Digests, keys and names as logs have them."""
        clips = {name for clip in self.chosen.clips for name in (clip.clip_id, clip.path)}
        names = clips | self.chosen.places | {Path(name).name for name in (*clips, *self.chosen.places)}
        return Traces(self.traces.digests, frozenset(names), loose=True)

    def files(self) -> Iterator[Path]:
        """Yield files and folders outside the store that go whole."""
        for folder in self.places.folders:
            clips, others = self.of(folder)
            yield from dict.fromkeys((*doomed_files(folder, clips, others), *abandoned(folder)))
        yield from self._jobs()

    def lines(self) -> Iterator[tuple[Path, int]]:
        """Yield logs, and how many of their lines go."""
        for log in self.places.log_files():
            text = log.read_bytes()
            gone = text.count(b"\n") - without_lines(text, [self.in_logs]).count(b"\n")
            if gone:
                yield log, gone

    def _jobs(self) -> Iterator[Path]:
        """Yield folders of the app's jobs, and recordings of processes at work, that hold a clip."""
        for folder in temporary_folders():
            for place in sorted(folder.iterdir()):
                if any(path.suffix not in (".parquet", ".json") and self._is_clip(path) for path in files_below(place)):
                    yield place

    def _is_clip(self, path: Path) -> bool:
        return path.is_file() and file_digest(path) in self.chosen.digests

    def remove(self) -> None:
        """Remove it. Where this is broken off, the same plan made again has the rest: what tells of clips goes last.

        Raises:
            VidferError: A place cannot be written.
        """
        remove_stale()
        remove(self.places.store, self.entries)
        for log, _ in self.lines():
            with results_folder(log.parent, _REMEDY):
                write_atomic(log, without_lines(log.read_bytes(), [self.in_logs]))
        for place in list(self._jobs()):
            shutil.rmtree(place, ignore_errors=True)
        for folder in self.places.folders:
            clips, others = self.of(folder)
            remove_abandoned(folder)
            if clips or is_half_done(folder):
                remove_clips(folder, clips, others)
