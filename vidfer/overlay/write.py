"""Write a clip's overlay: its video with boxes, names and probabilities on it, and its sound."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.limits import MAX_PIXELS
from vidfer.media.child import Child, require_local_file
from vidfer.overlay.plan import Blur, make_plan
from vidfer.pipeline.atomic import replacing, write_atomic
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.temporary import temporary_folder
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import pandas as pd

_MEMORY: Final = 8 << 30  # address space of the child; the encoder holds tens of frames


@dataclass(frozen=True)
class Written:
    """What became of an overlay.

    Args:
        n_frames: Its frames, as many as could be decoded of the clip.
        notes: What is to be known, in sentences.
    """

    n_frames: int
    notes: tuple[str, ...]


def write_overlay(
    path: str | Path,
    tables: "Mapping[str, pd.DataFrame]",
    summary: Mapping[str, Any],
    out: str | Path,
    *,
    names: Mapping[str, str] | None = None,
    blur: Blur | None = None,
    timeout: float = 120.0,
    progress: Callable[[float], None] | None = None,
) -> Written:
    """Write a clip's overlay as MP4, H.264 with the clip's sound, whole or not at all.

    Each frame of the clip is one of the overlay, at the same time. A strip below the picture has the sound's answer and the
    legend. Faces that were not detected cannot be blurred.

    Args:
        path: The clip that was analysed.
        tables: Its six tables.
        summary: Its summary.
        out: The file, which is replaced if it is there.
        names: Of people by `person_id`, as in `people.csv`; by default those in the tables.
        blur: `all` faces, or those of all `others` than the main person: who has a name or, if nobody has, is seen most.
        timeout: Seconds after which a decoder that gives no sign of life is stopped.
        progress: Called with the share that is done.

    Raises:
        ClipError: There is nothing to draw on (`no_video`), or the clip cannot be read (any more).
        OSError: The file cannot be written, or its disk is full.
    """
    if summary["media"]["codec"] is None or not len(tables["frames"]):
        raise ClipError(Status.NO_VIDEO, "it has no moving pictures that could be read, and so no overlay")
    if is_folder(Path(path)):
        raise ClipError(Status.NO_VIDEO, "a folder of pictures has no overlay")
    plan = make_plan(tables, summary, _names(tables) if names is None else names, blur)
    length = summary["media"]["duration_s"] or float(tables["frames"]["time_s"].max()) or 1.0
    with replacing(Path(out)) as draft, temporary_folder("work") as folder:
        file = folder / "plan.json"
        write_atomic(file, json.dumps(plan))
        request = {"path": require_local_file(path), "plan": str(file), "out": str(draft.absolute())}
        for header in _answers({**request, "max_pixels": MAX_PIXELS}, timeout):
            if "errno" in header:
                raise OSError(header["errno"], os.strerror(header["errno"]), str(out))
            if "progress" in header and progress is not None:
                progress(min(1.0, header["progress"] / length))
    return Written(header["end"], tuple(header["notes"]))


def _answers(request: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
    with Child("vidfer.overlay.child", timeout=timeout, memory=_MEMORY) as child:
        child.send(request)
        while True:
            header, _ = child.receive()
            child.left = timeout
            yield header
            if "progress" not in header:
                return


def _names(tables: "Mapping[str, pd.DataFrame]") -> dict[str, str]:
    """Return the names that the tables have of people."""
    rows = tables["people"].dropna(subset=["person_id", "person_name"])
    return dict(zip(rows["person_id"].astype(str), rows["person_name"].astype(str), strict=True))
