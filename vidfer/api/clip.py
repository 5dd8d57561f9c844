"""The whole chain for one clip: what the command line, its workers, the evaluations and `vidfer.Analyzer` call."""

import time
from dataclasses import replace
from pathlib import Path

from vidfer.api.identify import identify_clip
from vidfer.api.result import ClipResult, now
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Place, Store, default_store
from vidfer.results.amend import amended, rounded
from vidfer.results.design import ClipDesign
from vidfer.results.names import shown
from vidfer.results.tables import TableOptions, build_tables, record
from vidfer.stages.chain import ChainOptions, build_chain, for_clip, name_models
from vidfer.stages.report import read_report
from vidfer.types import DISPLAYED, ClipError


def analyze_clip(
    path: str | Path,
    options: ChainOptions | None = None,
    *,
    tables: TableOptions | None = None,
    design: ClipDesign | None = None,
    clip_id: str | None = None,
    identity: str | None = None,
    store: Place | Store | None = None,
    progress: StageProgress | None = None,
    name: str | None = None,
) -> ClipResult:
    """Turn a clip into its result; one that cannot be processed, or by its design is not to be, has a status that says so.

    Args:
        path: The file, or a folder of numbered pictures.
        options: By default 5 frames a second and the shipped models on the CPU.
        tables: The grid of table `seconds`, and how short a segment may be; by default 1 s and 0.5 s.
        design: What a study says of the clip.
        clip_id: What the tables call the clip; by default the file's name.
        identity: Digest of the weights by which persons are embedded, to be linked later; by default they are not.
        store: By default `$VIDFER_STORE` or the user's cache folder.
        progress: Called with a stage's name and the share of the clip it has done.
        name: What the clip is called instead of its path.

    Raises:
        VidferError: A weights file is missing or unusable, or the store is full or cannot be written.
    """
    design = design or ClipDesign()
    try:
        design.consent.require()
    except ClipError as refused:
        known = shown(Path(path).name) if clip_id is None else clip_id
        return ClipResult.failed(path if name is None else name, refused, known, design)
    options, started = for_clip(options or ChainOptions(), Path(path)), time.monotonic()
    chain, called = build_chain(options), shown(path if name is None else name)
    known = shown(Path(called).name) if clip_id is None else clip_id
    place = store if isinstance(store, Store) else Store(default_store() if store is None else store)
    try:
        with finished(chain, "report", Path(path), place, progress) as artifact:
            report = read_report(artifact)
            key = (
                artifact.key if artifact.path == place.path("report", artifact.key) else None
            )  # else a transient fault's
        embedded = {"identify": identify_clip(Path(path), options, identity, place, progress)} if identity else {}
    except ClipError as error:
        return ClipResult.failed(called, error, known, design)
    took = {"about": DISPLAYED, "analyzed_at": now(), "elapsed_s": round(time.monotonic() - started, 3)}
    built_with = {"tables": record(tables, design), "consent": design.consent.record()}
    summary = {"clip": called, **report.summary, **name_models(options), **built_with, **embedded, **took}
    built = build_tables(replace(report, summary=summary), known, tables, design)
    return ClipResult(rounded(amended(summary, built)), built, place.place, report.pictures, key)
