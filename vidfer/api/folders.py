"""The folder of a run: which clip's results lie where in it."""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from uuid import uuid4

from vidfer.api.overlays import Overlay, drawn
from vidfer.api.result import ClipResult
from vidfer.api.unchanged import Writing, video_of
from vidfer.pages.index import INDEX
from vidfer.pages.report import render_report
from vidfer.pipeline.atomic import results_folder
from vidfer.pipeline.bounded import read_json
from vidfer.pipeline.lock import is_locked, locked
from vidfer.pipeline.paths import identity
from vidfer.results.clip_folder import BLURRED, LOCK, OVERLAID, OVERLAY, REPORT, VIDEO, write_clip
from vidfer.results.design import ClipDesign
from vidfer.results.dictionary import PACKAGE
from vidfer.results.links import address
from vidfer.results.names import cut, shown
from vidfer.results.schema import TABLES
from vidfer.types import Status

if TYPE_CHECKING:
    from vidfer.media.find import Clip
    from vidfer.pipeline.runner import StageProgress


@contextmanager
def claimed_folders(clips: "Sequence[Clip]", run: Path) -> Iterator[dict[Path, Path]]:
    """Give each clip a folder below a run's, by its place, that is its own.

    It holds no other clip's results of this run or an earlier one, and no other process gives it to another clip while the block
    runs. A file in the run's folder says so, which is removed at the end, or by the next process if this one is killed.

    Raises:
        VidferError: The run's folder cannot be written.
    """
    with results_folder(run), ExitStack() as held:
        with locked(run / LOCK):
            others = _claims(run)
            folders = result_folders(clips, run, others)
            claim = run / f".vidfer-{uuid4().hex}.claim"
            held.enter_context(locked(claim, remove=True))
            places = {str(folder.relative_to(run)): str(identity(clip)) for clip, folder in folders.items()}
            claim.write_text(json.dumps(places))
        yield folders


def result_folders(
    clips: "Sequence[Clip]", run: Path, claims: Mapping[Path, Container[str]] | None = None
) -> dict[Path, Path]:
    """Give each clip a folder below a run's, by its place, that holds no other clip's results and is claimed for no other."""
    folders: dict[Path, Path] = {}
    names = (
        "summary.csv",
        PACKAGE,
        *(f"{name}.{suffix}" for name in TABLES for suffix in ("csv", "parquet")),
    )
    same = _same_names(run)
    taken = {same(run / name) for name in names}
    for clip, place in clips:
        place = Path(*(cut(shown(part)) for part in place.parts))  # as in the clip's id, so that two clips have two
        folder, number = run / place, 1
        while same(folder) in taken or _belongs_to_another_clip(folder, clip, (claims or {}).get(folder)):
            number += 1
            end = f"-{number}"
            folder = (run / place).with_name(cut(place.name, end))
        taken.add(same(folder))
        folders[clip] = folder
    return folders


def _same_names(run: Path) -> Callable[[Path], str]:
    """Return what is equal for paths that name one folder: where a file system does not tell them by case, letters of either."""
    if not (run / LOCK.upper()).exists():  # the lock is there, by its own name
        return str
    return lambda path: normalize("NFC", str(path).casefold())


def write_result(
    result: ClipResult,
    folder: Path,
    writing: Writing | None = None,
    *,
    source: Path | None = None,
    video: str | None = None,
    design: ClipDesign | None = None,
    overlay: Overlay | None = None,
    progress: "StageProgress | None" = None,
) -> dict[str, Any]:
    """Write a clip's tables, `summary.json`, `report.html` and pictures of people into a folder, all or none of them.

    Args:
        result: Its tables say by what id the clip is known.
        folder: Made if need be.
        writing: How.
        source: The clip's file, for the report's player; by default what the summary names, where that is a file.
        video: The address that the player gets instead; empty for none.
        design: What a study says of the clip; without it, the next run does not know these results again.
        overlay: How the video with drawings is made, if one is wanted.
        progress: Told how far that has come.

    Returns:
        The summary, with what the folder adds to it of pictures and videos.

    Raises:
        VidferError: The folder cannot be written, or its disk is full.
    """
    writing = writing or Writing()
    pictures = result.pictures if writing.show_faces else result.pictures.hidden()
    if result.status is Status.REFUSED:
        video, overlay = "", None
    source = Path(result.summary["clip"]) if source is None else source
    video = video_of(source, folder) if video is None else video or None
    origin = None
    if design is not None and result.key is not None and overlay is None:
        origin = writing.origin(result.key, result.summary, design, video, folder)
    with drawn(result, source, folder, overlay, progress) as (film, facts):
        summary = {**result.summary, BLURRED: pictures.blurred, VIDEO: video, OVERLAID: facts}
        shown_too = address(folder / OVERLAY, folder) if film else None
        index = None if writing.run is None else address(writing.run / INDEX, folder)
        page = render_report(result.tables, summary, pictures, video=video, overlay=shown_too, index=index)
        files: dict[str, bytes | Path] = {**pictures.files(), REPORT: page, **film}
        of_clip = (result.clip_id, result.tables, summary)
        write_clip(folder, *of_clip, files=files, excel=writing.excel, origin=origin)
    return summary


def _claims(run: Path) -> dict[Path, set[str]]:
    """Return the folders that other processes have claimed, with the clips that they are for; claims of the dead are removed."""
    found: dict[Path, set[str]] = {}
    for claim in run.glob(".vidfer-*.claim"):
        if is_locked(claim):
            with suppress(FileNotFoundError):  # it ended meanwhile: its results are there
                for place, clip in read_json(claim).items():
                    found.setdefault(run / place, set()).add(clip)
        else:
            claim.unlink(missing_ok=True)
    return found


def _belongs_to_another_clip(folder: Path, clip: Path, claims: Container[str] | None) -> bool:
    if claims is not None and str(identity(clip)) not in claims:
        return True
    try:
        owner = str(read_json(folder / "summary.json")["clip"])
    except (OSError, ValueError, KeyError, TypeError):  # no results of a clip
        return False
    return owner != shown(clip) and identity(Path(owner)) != identity(clip)
