"""`vidfer analyze`: from clips to tables."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidfer.cli.ending import ending_in_order
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import put, put_json
from vidfer.pipeline.engines import ENGINE_GROUPS, EngineOptions
from vidfer.results.clip_folder import OVERLAID
from vidfer.results.design import StudyOptions
from vidfer.results.linking import LinkOptions
from vidfer.results.names import clip_id
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import OPTION_GROUPS, ChainOptions
from vidfer.types import SOUND_IS_FINE, ClipError, Status, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vidfer.api import ClipResult, Writing
    from vidfer.api.named import NamedClip
    from vidfer.api.overlays import Overlay
    from vidfer.pipeline.engines import Engine
    from vidfer.pipeline.runner import StageProgress
    from vidfer.pipeline.store import Store
    from vidfer.results.design import Design

PEOPLE = {"people": ("show_faces", "identify", "identify_threshold")}
TABLES = {"tables": ("grid", "min_segment")}
STUDY = {"study": ("participants", "markers", "baseline")}


@dataclass(frozen=True)
class WorkOptions:
    """What decides the chain's result, and where it runs.

    Args:
        jobs: Clips at once.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    chain: ChainOptions = field(
        default_factory=ChainOptions, metadata={"groups": OPTION_GROUPS, "exclusive": ("fps", "every")}
    )
    jobs: int = 1
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        if self.jobs < 1:
            raise UsageError(f"--jobs has to be at least 1, not {self.jobs}")


@dataclass(frozen=True)
class AnalyzeOptions:
    """Turn videos into tables of displayed expressions.

    Exit status: 0 when every clip was read without a fault, 1 when one was not (each is named), 2 for wrong usage.

    Args:
        paths: Videos, sound files and pictures, or folders of them.
        camera: Record the camera of this number, from 0, or of this name, until Ctrl-C, and analyse that; the recording, without
            sound, is removed afterwards.
        seconds: How long to record.
        manifest: CSV or Parquet file that names clips instead, of which there may be millions, in a column path, and perhaps id;
            DIR/clips/part-00000.parquet and so on are written then, in its order, and no folders or pages.
        parts: Further tables to write in such parts, of frames, seconds, segments, people, windows.
        out: Folder of the tables; rows of other clips that it holds are kept.
        excel: Begin each CSV with a byte order mark, by which Excel knows that it is UTF-8.
        json: Print each clip's summary as one line of JSON.
        show_faces: Leave the pictures of people as they are, and do not blur them.
        overlay: Write overlay.mp4 into each clip's folder: its video with boxes, names and probabilities, and its sound.
        blur_faces: Blur faces in the overlay: all, or those of all others than the main person (who has a name in people.csv or,
            if nobody has, is seen most). A face that was not found cannot be blurred: look through the video before you share it.
    """

    paths: list[Path] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "PATH"})
    out: Path = field(default=Path("vidfer-results"), metadata={"metavar": "DIR"})
    excel: bool = False
    json: bool = False
    show_faces: bool = False
    overlay: bool = False
    blur_faces: Literal["all", "others"] | None = None
    camera: str | None = field(default=None, metadata={"metavar": "N"})
    seconds: float | None = None
    manifest: Path | None = field(default=None, metadata={"metavar": "FILE"})
    parts: tuple[Literal["frames", "seconds", "segments", "people", "windows"], ...] | None = None
    work: WorkOptions = field(default_factory=WorkOptions)
    cluster: EngineOptions = field(default_factory=EngineOptions, metadata={"groups": ENGINE_GROUPS})
    tables: TableOptions = field(default_factory=TableOptions, metadata={"groups": TABLES})
    study: StudyOptions = field(default_factory=StudyOptions, metadata={"groups": STUDY})
    people: LinkOptions = field(default_factory=LinkOptions, metadata={"groups": PEOPLE})

    def __post_init__(self) -> None:
        """Refuse a run over nothing, and a length of no recording."""
        if self.manifest is not None:
            self._refuse_beside_manifest()
        elif not self.paths and self.camera is None:
            raise UsageError("name at least one PATH, or --camera 0, or --manifest FILE")
        elif self.parts:
            raise UsageError("--parts is about the results of --manifest FILE: a run over PATHs writes all tables")
        if self.blur_faces is not None and not self.overlay:
            raise UsageError("--blur-faces is about the overlay: add --overlay")
        if not self.work.chain.keep_faces and (
            given := [name for name in ("overlay", "show_faces") if getattr(self, name)]
        ):
            asked = f"--{given[0].replace('_', '-')}"
            raise UsageError(f"--no-keep-faces keeps no pixels, and {asked} asks for some: leave one of them out")
        if self.seconds is not None and (self.camera is None or not 0 < self.seconds < float("inf")):
            raise UsageError(f"--seconds has to be above 0, and goes with --camera, not {self.seconds}")

    def _refuse_beside_manifest(self) -> None:
        beside = {
            "PATH": bool(self.paths),
            "--camera": self.camera is not None,
            **{f"--{name.replace('_', '-')}": getattr(self, name) for name in ("excel", "show_faces", "overlay")},
            **{f"--{name}": getattr(self.study, name) for name in ("participants", "markers", "baseline")},
            "--identify": self.people.identify,
        }
        if given := [name for name, value in beside.items() if value]:
            raise UsageError(f"--manifest goes without {' and '.join(given)}: leave one of them out")

    def engine(self, retries: int = 0) -> "Engine":
        """Return where clips are analysed; a worker that dies on this machine has its clip tried again so many times."""
        where, device = self.out / ".vidfer-slurm", self.work.chain.device
        return self.cluster.make(self.work.jobs, device, where, retries)


@dataclass(frozen=True)
class _AnalyzeClip:
    """The work on one clip, in this process or in a worker."""

    options: "ChainOptions"
    tables: "TableOptions"
    design: "Design"
    writing: "Writing"
    out: Path
    store: "Store"
    folders: "Mapping[Path, Path]"
    overlay: "Overlay | None" = None
    identity: str | None = None

    def __call__(self, clip: "NamedClip", progress: "StageProgress") -> dict[str, Any]:
        from vidfer.api.named import ClipWork

        result = ClipWork(self.options, self.tables, self.store, self.identity).analyze(clip, progress)
        return self.write(clip.path, result, progress)

    def write(self, clip: Path, result: "ClipResult", progress: "StageProgress | None" = None) -> dict[str, Any]:
        """Write a clip's result into its folder, and return its summary, with the overlay's if one was asked for."""
        from vidfer.api import write_result

        written = write_result(
            result,
            self.folders[clip],
            self.writing,
            source=clip,
            design=self.design.of(result.clip_id),
            overlay=self.overlay,
            progress=progress,
        )
        overlay = {} if self.overlay is None else {OVERLAID: written[OVERLAID]}
        return {**result.summary, **overlay, "clip_id": result.clip_id}

    def earlier(self) -> "dict[int, dict[str, Any]]":
        """Return the summaries of clips whose folders hold already what the work would write there, by position."""
        from vidfer.api import Earlier

        if self.overlay is not None:  # how it is drawn depends on people.csv and on the programs that encode it
            return {}
        known = Earlier(self.options, self.tables, self.writing, self.store, self.identity)
        found = {}
        for position, (clip, folder) in enumerate(self.folders.items()):
            called = clip_id(folder, self.out)
            if self.design.of(called).consent.refusal():  # which may be since today: it is not read
                continue
            if (summary := known.summary(clip, folder, self.design.of(called))) is not None:
                found[position] = {**summary, "clip_id": called}
        return found


def run(options: AnalyzeOptions) -> int:
    """Record the camera if that is asked for, analyse the clips, write the tables, print the overview."""
    if options.manifest is not None:
        from vidfer.cli.manifest import analyze_manifest

        return analyze_manifest(options, options.manifest)
    if options.camera is None:
        return _analyze(options)
    from vidfer.cli.display import say
    from vidfer.media.camera import CameraSource, record_camera
    from vidfer.pipeline.temporary import temporary_folder

    with temporary_folder("camera") as folder:
        with CameraSource(options.camera, seconds=options.seconds) as camera:
            until = "Ctrl-C" if options.seconds is None else f"{options.seconds:g} s have passed, or Ctrl-C"
            say(f"recording camera {options.camera} until {until}")
            clip = record_camera(camera, folder)
        return _analyze(replace(options, paths=[*options.paths, clip]))


def _analyze(options: AnalyzeOptions) -> int:
    from vidfer.api import Writing, claimed_folders
    from vidfer.api.identify import NO_WEIGHTS, link_run
    from vidfer.api.overlays import Overlay
    from vidfer.cli.display import fault, say, say_where_faces_are_kept
    from vidfer.media.find import find_clips
    from vidfer.pages.run import as_written, finish_run
    from vidfer.pipeline.extras import require
    from vidfer.pipeline.store import Store, default_store
    from vidfer.results.design import read_design
    from vidfer.results.run_folder import check
    from vidfer.weights.published import identity_digest

    engine = options.engine()
    if options.cluster.engine == "local":
        options.work.chain.compute.require()
    if options.people.identify:
        require("--identify", "scipy")
    store = Store(options.work.store or default_store())
    own = [options.out, store.root, *options.study.files(options.paths)]
    clips = find_clips(options.paths, own, say, options.work.chain.picture_fps)
    if as_written(options.out, excel=options.excel) is None:
        check(options.out)  # finds out now, and not after hours, whether results can be written
    say_where_faces_are_kept(store, options.work.store, pictures=options.work.chain.keep_faces)
    with ending_in_order(), claimed_folders(clips, options.out) as folders:
        names = {clip_id(folder, options.out): clip for clip, folder in folders.items()}
        work = _AnalyzeClip(
            options.work.chain,
            options.tables,
            read_design(options.study, options.paths, names, say),
            Writing(options.excel, options.show_faces, options.out),
            options.out,
            store,
            folders,
            Overlay(options.blur_faces, options.work.chain.timeout) if options.overlay else None,
            identity_digest() if options.people.identify else None,
        )
        if options.people.identify and work.identity is None:
            say(NO_WEIGHTS)
        links = None
        try:
            done = dict(_analyze_all(work, engine))
            if work.identity is not None:
                links = link_run(options.out, work.identity, store.place, options.people.identify_threshold)
                say(f"{len(links)} people are linked to others: see the column linked_to of people.csv")
        finally:
            found, page = finish_run(options.out, excel=options.excel, links=links)
            for warning in found.warnings():
                fault(warning)
    return _print_results(options, [done[position] for position in sorted(done)], page)


def _print_results(options: AnalyzeOptions, summaries: "Sequence[Mapping[str, Any]]", page: Path) -> int:
    """Print what was found, as `--json` asks, and return the exit status."""
    from vidfer.cli.overview import print_overview

    if options.json:
        for summary in summaries:
            put_json(summary)
        return exit_status(summaries)
    print_overview(summaries)
    sys.stdout.flush()
    _say_of_overlays(summaries)
    status = exit_status(summaries)
    drawn = ", overlay.mp4" if options.overlay else ""
    put(f"\nOpen {page}; each clip has a report{drawn} and tables beside it.")
    return status


def _analyze_all(work: _AnalyzeClip, engine: "Engine") -> "Iterator[tuple[int, dict[str, Any]]]":
    from vidfer.api.elsewhere import StoredWork, result_of
    from vidfer.api.named import NamedClip
    from vidfer.cli.clip_bars import run_with_bars
    from vidfer.cli.display import say
    from vidfer.pipeline.engines import LocalEngine
    from vidfer.stages.progress import ANALYSIS

    names = [clip_id(folder, work.out) for folder in work.folders.values()]
    further = {"identify": work.identity, "overlay": work.overlay}
    stages = (*ANALYSIS, *(name for name, wanted in further.items() if wanted is not None))
    earlier = work.earlier()
    yield from earlier.items()
    if earlier:
        say(f"{len(earlier)} of {len(names)} clips are as an earlier run wrote them")
    clips = [NamedClip(file, name, work.design.of(name)) for file, name in zip(work.folders, names, strict=True)]
    due = [position for position in range(len(clips)) if position not in earlier]
    todo, called = [clips[position] for position in due], [names[position] for position in due]
    here = isinstance(engine, LocalEngine)
    does = work if here else StoredWork(work.options, work.tables, work.store.place, work.identity)
    for place, found in run_with_bars(does, todo, engine, stages, called):
        if here and not isinstance(found, ClipError):
            yield due[place], found
        else:  # its worker died, or was on another machine and wrote no files but the store's
            result = result_of(todo[place], found)
            written = work(todo[place], _unheard) if result is None else work.write(todo[place].path, result)
            yield due[place], written


def _unheard(_stage: str, _share: float) -> None:
    """Report to nobody."""


def exit_status(summaries: "Sequence[Mapping[str, Any]]") -> int:
    """Name each clip that could not be read without a fault, and return 1 if there is one."""
    from vidfer.cli.display import fault

    failed = 0
    for summary in summaries:
        sound = summary["sound"]
        if summary["status"] != Status.OK:
            fault(f"{summary['clip']}: {summary['status']}: {summary['message']}")
        elif sound["status"] not in SOUND_IS_FINE:
            fault(f"{summary['clip']}: its sound is {sound['status']}: {sound['message']}")
        elif not _is_fine(summary.get(OVERLAID)):
            fault(f"{summary['clip']}: its overlay is {summary[OVERLAID]['status']}: {summary[OVERLAID]['message']}")
        else:
            continue
        failed = 1
    return failed


def _is_fine(overlay: "Mapping[str, Any] | None") -> bool:
    return overlay is None or overlay["status"] in (Status.OK, Status.NO_VIDEO)


def _say_of_overlays(summaries: "Sequence[Mapping[str, Any]]") -> None:
    """Say what is to be known of each overlay, and why a clip that could be read has none."""
    from vidfer.cli.display import say

    for summary in summaries:
        overlay = summary.get(OVERLAID)
        if overlay and overlay["message"] and _is_fine(overlay) and summary["media"]["container"]:
            say(
                f"{summary['clip']}: {'no overlay' if overlay['status'] != Status.OK else 'overlay'}: {overlay['message']}"
            )
