"""Clips that a manifest names, any number of them: their rows in parts, and nothing beside; see `Analyzer.analyze_manifest`."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer import __version__
from vidfer.api.elsewhere import prepare_clip
from vidfer.api.manifest_file import Manifest, open_manifest
from vidfer.api.parts import CLIPS, Parts, Tally, clip_table
from vidfer.api.result import now
from vidfer.api.stored import Found, Stored
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.digest import dump_json
from vidfer.pipeline.engines import Engine
from vidfer.pipeline.lock import locked
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Place, Store
from vidfer.results.amend import rounded
from vidfer.results.clip_folder import LOCK
from vidfer.results.code import code_digest
from vidfer.results.consent import COLUMNS as OF_CONSENT
from vidfer.results.consent import Consent
from vidfer.results.files import arrow_table
from vidfer.results.names import shown
from vidfer.results.packed import pack_report, unpack_report
from vidfer.results.pictures import Pictures
from vidfer.results.schema import TABLES
from vidfer.results.tables import Report, TableOptions, build_tables, clip_row, record, summary_of_nothing
from vidfer.stages.chain import ChainOptions, build_chain, for_clip, name_models
from vidfer.stages.report import read_report
from vidfer.types import DISPLAYED, ClipError, Status, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = logging.getLogger("vidfer")

RUN: Final = "run.json"
PART_ROWS: Final = 10_000
_OFTEN: Final = 200
"""Progress is told after so many rows that were found."""

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class ManifestRun:
    """What became of the clips of a manifest.

    Args:
        folder: Has `clips/part-00000.parquet` and so on, and the other tables that were asked for in the same way.
        n_clips: Rows of the manifest.
        statuses: Number of clips by status, the most frequent first.
        predominant: Number of clips by predominant expression, the most frequent first.
        n_faults: Clips that, or whose sound, could not be read without a fault.
        faults: A sentence on each of the first 20 of these.
    """

    folder: Path
    n_clips: int
    statuses: Mapping[str, int]
    predominant: Mapping[str, int]
    n_faults: int
    faults: Sequence[str] = field(repr=False)


@dataclass(frozen=True)
class ManifestAnalysis:
    """How the clips of a manifest are analysed.

    Args:
        options: Of the chain.
        tables: Of the tables `seconds` and `segments`.
        store: Where artifacts are kept.
        engine: Does the work on clips that the store does not have; it may be one of many machines.
        further: Tables beside `clips` that are written.
        part_rows: Clips of a part.

    Raises:
        UsageError: There is no such table.
    """

    options: ChainOptions
    tables: TableOptions
    store: Store
    engine: Engine
    further: Sequence[str] = ()
    part_rows: int = PART_ROWS

    def __post_init__(self) -> None:
        """Refuse tables that there are not."""
        known = [name for name in TABLES if name != CLIPS]
        for name in self.further:
            if name not in known:
                raise UsageError(f"there is no table '{name}' beside {CLIPS}: there are {', '.join(known)}")

    def run(
        self,
        file: Path,
        out: Path,
        *,
        on_clip: Callable[[dict[str, Any]], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ManifestRun:
        """Bring a manifest's clips to their rows, in the order of the manifest; parts of an earlier run are kept where they fit.

        Args:
            file: The manifest.
            out: Folder of the results.
            on_clip: Called with each clip's summary, and `clip_id`, in the order of the manifest; all parts are made again then.
            progress: Called with the number of clips that are done, and of all.

        Raises:
            UsageError: The manifest is broken, or the folder holds the results of a run without one.
            VidferError: The folder or the store cannot be written.
        """
        manifest = open_manifest(file)
        if (out / "clips.parquet").exists():
            raise UsageError(f"{out} holds a run without a manifest: give another folder by --out")
        with results_folder(out), locked(out / LOCK, remove=True):
            (out / RUN).unlink(missing_ok=True)  # it is there once all parts are
            tally = _Driver(self, manifest, out, on_clip, progress or (lambda *_: None)).drive()
            run = _run_of(out, tally)
            facts = {
                "about": DISPLAYED,
                "manifest": shown(file),
                "vidfer": __version__,
                "tables": [CLIPS, *self.further],
                "n_clips": run.n_clips,
            }
            facts |= {"statuses": run.statuses, "predominant": run.predominant, "n_faults": run.n_faults}
            write_atomic(out / RUN, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        return run


@dataclass(frozen=True)
class AnalyzeToStore:
    """The work on one clip that the store does not have: what it finds is there then, else it is returned as `report`.

    Args:
        options: Of the chain.
        store: Opened anew for each clip, so that nothing of those before is kept.
    """

    options: ChainOptions
    store: Place

    def prepare(self, clip: Path, progress: StageProgress) -> None:
        """Do the first stages, see `prepare_clip`."""
        prepare_clip(self.options, clip, self.store, progress)

    def __call__(self, clip: Path, progress: StageProgress) -> dict[str, Any]:
        """Do it, or what is left of it."""
        began, options, store = time.monotonic(), for_clip(self.options, clip), Store(self.store)
        with finished(build_chain(options), "report", clip, store, progress) as artifact:
            stored = artifact.path == store.path("report", artifact.key)
            report = None if stored else pack_report(read_report(artifact))
        return {"report": report, "elapsed_s": round(time.monotonic() - began, 3)}


def _run_of(folder: Path, tally: Tally) -> ManifestRun:
    statuses, predominant = (dict(each.most_common()) for each in (tally.statuses, tally.predominant))
    return ManifestRun(folder, tally.n_clips, statuses, predominant, tally.n_faults, tuple(tally.faults))


@dataclass
class _Part:
    """Rows of a manifest whose results are not written yet.

    Args:
        rows: Of the manifest, `clip_id`, `path` and further columns.
        found: Rows of table `clips`, as long as each clip was found in the store; else they are looked up again in the end.
        waiting: Clips that are still to be analysed.
        complete: Whether all rows were looked at.
        without: What is known of clips of which nothing is stored, by row.
        took: Seconds that the analysis of clips took, by row.
    """

    number: int
    rows: "pa.Table"
    origin: str
    found: list[dict[str, Any]] | None = field(default_factory=list)
    waiting: int = 0
    complete: bool = False
    without: dict[int, Report | ClipError] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)

    @cached_property
    def clips(self) -> list[tuple[str, str]]:
        """The id and path of each clip."""
        return list(zip(self.rows["clip_id"].to_pylist(), self.rows["path"].to_pylist(), strict=True))

    @cached_property
    def consents(self) -> list[Consent]:
        """What is known of the consent to each clip's analysis."""
        known = self.rows.select([name for name in OF_CONSENT if name in self.rows.column_names])
        return [Consent.read(row) for row in known.to_pylist()] or [Consent()] * self.rows.num_rows


class _Driver:
    """Looks up what is stored, gives what is not to the engine, and writes each part when its last clip is done."""

    def __init__(
        self,
        how: ManifestAnalysis,
        manifest: Manifest,
        out: Path,
        on_clip: Callable[[dict[str, Any]], None] | None,
        progress: Callable[[int, int], None],
    ) -> None:
        self._how, self._manifest, self._on_clip, self._progress = how, manifest, on_clip, progress
        self._stored = Stored(how.options, how.store)
        of_rows = [self._stored.key("", how.options), record(how.tables), code_digest()]
        origin = blake3(dump_json(of_rows)).hexdigest()
        self._parts = Parts(out, (CLIPS, *how.further), origin, how.store)
        self._given: dict[int, tuple[_Part, int]] = {}
        self._done = 0
        self._tally = Tally()
        self._said = {**name_models(how.options), "tables": record(how.tables)}

    def drive(self) -> Tally:
        """Do so."""
        work = AnalyzeToStore(self._how.options, self._how.store.place)
        for position, result in self._how.engine.run(work, self._missing(), lambda *_: None):
            part, row = self._given.pop(position)
            if isinstance(result, ClipError):
                part.without[row] = result
            else:
                part.took[row] = result["elapsed_s"]
                if result["report"] is not None:
                    part.without[row] = unpack_report(result["report"])
            part.waiting -= 1
            self._count(1, at_once=True)
            self._write_if_done(part)
        self._parts.end(self._n_parts)
        return self._tally

    def _missing(self) -> Iterator[Path]:
        """Yield the clips of which the store has nothing; parts without any are written on the way."""
        position, self._n_parts = 0, 0
        for number, rows in enumerate(self._manifest.parts(self._how.part_rows)):
            self._n_parts = number + 1
            part = _Part(number, rows, self._parts.of(rows))
            kept = None if self._on_clip else self._parts.kept(number, part.origin)
            if kept is not None and not any(one.refusal() for one in part.consents):
                self._tally.add(kept)
                self._count(rows.num_rows, at_once=True)
                continue
            for row in range(rows.num_rows):
                if not self._is_known(part, row):
                    self._given[position] = (part, row)
                    part.found, part.waiting = None, part.waiting + 1
                    yield Path(part.clips[row][1])
                    position += 1
            part.complete = True
            self._write_if_done(part)

    def _is_known(self, part: _Part, row: int) -> bool:
        """Look a clip up; its row of table `clips` is kept while those of all before it are."""
        clip_id, path = part.clips[row]
        at = now()
        try:
            part.consents[row].require()
            found = self._stored.find(path)
            if found is None:
                return False
            summary: Summary | ClipError = found.summary
        except ClipError as error:
            part.without[row] = error
            summary = error
        if part.found is not None:
            part.found.append(clip_row(self._told(summary, part, row, at), clip_id))
        self._count(1)
        return True

    def _write_if_done(self, part: _Part) -> None:
        if part.waiting or not part.complete:
            return
        with self._parts.writing(part.number, part.origin) as write:
            rows = part.found or []
            if part.found is None or self._how.further or self._on_clip:
                rows = [self._look_again(part, row, write) for row in range(part.rows.num_rows)]
            clips = clip_table(rows, part.rows, self._manifest.kinds)
            write(CLIPS, clips)
        part.found = None  # no memory for two parts
        self._tally.add(clips)
        place = self._parts.place(CLIPS, part.number)
        _LOG.info("%s is written: %d of %d clips are done", place, self._done, self._manifest.n_rows)

    def _look_again(self, part: _Part, row: int, write: "Callable[[str, pa.Table], None]") -> dict[str, Any]:
        """Return a clip's row of table `clips`, write those of further tables, and tell of its summary."""
        (clip_id, path), at = part.clips[row], now()
        known: Report | ClipError | Found = part.without.get(row) or self._find_again(path)
        told = self._told(known if isinstance(known, ClipError) else known.summary, part, row, at)
        if self._how.further:
            report = read_report(known.artifact) if isinstance(known, Found) else known
            report = Report.empty(told) if isinstance(report, ClipError) else report
            report = replace(report, summary=told, pictures=Pictures())  # pictures are not written
            tables = build_tables(report, clip_id, self._how.tables)
            for name in self._how.further:
                write(name, arrow_table(tables[name]))
        if self._on_clip:
            self._on_clip({**rounded(told), "clip_id": clip_id})
        return clip_row(told, clip_id)

    def _find_again(self, path: str) -> Found | ClipError:
        """Look up a clip that was found, or analysed, before."""
        try:
            if found := self._stored.find(path, fresh=True):
                return found
        except ClipError as error:
            return error
        lost = f"of {path} nothing is in the store {self._how.store.place}, though it was analysed (or it was changed since)"
        return ClipError(Status.UNREADABLE, f"{lost}: run it again, and see that all machines share that store")

    def _told(self, what: Summary | ClipError, part: _Part, row: int, at: str) -> dict[str, Any]:
        """Return a summary with what the run adds to it."""
        path, said = shown(part.clips[row][1]), {**self._said, "consent": part.consents[row].record()}
        if isinstance(what, ClipError):
            of_study = {name: said[name] for name in ("tables", "consent")}
            return {**summary_of_nothing(path, what), **of_study, "analyzed_at": at}
        took = part.took.get(row, 0.0)
        return {"clip": path, **what, **said, "about": DISPLAYED, "analyzed_at": at, "elapsed_s": took}

    def _count(self, clips: int, *, at_once: bool = False) -> None:
        self._done += clips
        if at_once or self._done % _OFTEN == 0:
            self._progress(self._done, self._manifest.n_rows)
