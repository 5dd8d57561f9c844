"""The overlay of a clip among the other files of its folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.media.child import require_local_file
from vidfer.overlay import Blur
from vidfer.pipeline.atomic import results_folder
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.left import new_mark
from vidfer.pipeline.paths import is_folder
from vidfer.results.clip_folder import OVERLAY
from vidfer.results.names import clip_id as clip_id_of
from vidfer.results.people import PEOPLE, read_people
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import pandas as pd

    from vidfer.api.result import ClipResult
    from vidfer.pipeline.runner import StageProgress


@dataclass(frozen=True)
class Overlay:
    """How a clip's overlay is made, see `vidfer.overlay.write_overlay`.

    Args:
        blur: Whose faces are blurred.
        timeout: Seconds after which a decoder that gives no sign of life is stopped.
    """

    blur: Blur | None = None
    timeout: float = 120.0


@contextmanager
def drawn(
    result: "ClipResult", source: Path, folder: Path, how: Overlay | None, progress: "StageProgress | None"
) -> Iterator[tuple[dict[str, Path], dict[str, Any] | None]]:
    """Draw an overlay, and lend it as a file in the clip's folder, by its name, with what the summary says of it.

    People are called as in the `people.csv` of the run that the folder lies in. A clip that cannot have an overlay has no file,
    and the summary says why; no other result depends on it.

    Raises:
        VidferError: The folder cannot be written, or its disk is full.
    """
    if how is None:
        yield {}, None
        return
    with results_folder(folder):
        draft = folder / f".vidfer-{new_mark()}.tmp"
        try:
            facts = _write(result, source, draft, how, progress, folder)
            yield ({OVERLAY: draft} if draft.exists() else {}), facts
        finally:
            draft.unlink(missing_ok=True)


def _write(
    result: "ClipResult", source: Path, draft: Path, how: Overlay, progress: "StageProgress | None", folder: Path
) -> dict[str, Any]:
    from vidfer.overlay import write_overlay

    try:
        _check_unchanged(result, source)
        written = write_overlay(
            source,
            _with_names(result, folder),
            result.summary,
            draft,
            blur=how.blur,
            timeout=how.timeout,
            progress=None if progress is None else lambda share: progress("overlay", share),
        )
    except ClipError as error:
        return {"status": error.status, "message": error.message, "n_frames": 0, "blurred": how.blur}
    notes = "; ".join(written.notes)
    return {"status": Status.OK, "message": notes, "n_frames": written.n_frames, "blurred": how.blur}


def _check_unchanged(result: "ClipResult", source: Path) -> None:
    """Refuse to draw the results of one file on another.

    Raises:
        ClipError: `unreadable`: the file is not there any more, or is not the one that was analysed.
    """
    known = (result.summary["provenance"] or {}).get("source_blake3")
    if known is not None and not is_folder(source) and file_digest(Path(require_local_file(source))) != known:
        raise ClipError(Status.UNREADABLE, f"{source} is not the file any more that was analysed: analyse it again")


def _with_names(result: "ClipResult", folder: Path) -> "Mapping[str, pd.DataFrame]":
    """Return the tables with people as the run's user has named and joined them."""
    depth, above = result.clip_id.count("/"), folder.absolute().parents
    run = above[min(depth, len(above) - 1)]
    if clip_id_of(folder.absolute(), run) != result.clip_id:
        return result.tables
    people = read_people(run / PEOPLE)
    if not people.concern(result.people["person_id"].dropna().tolist()):
        return result.tables
    from vidfer.results.merge import apply_people

    return apply_people(result.tables, people, result.summary)[0]
