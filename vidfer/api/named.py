"""Clips by the names that they have in the tables, and the work on one of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from vidfer.api.clip import analyze_clip
from vidfer.api.result import ClipResult
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.store import Place, Store
from vidfer.results.design import ClipDesign
from vidfer.results.names import shown
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions


@dataclass(frozen=True)
class NamedClip:
    """A clip to be analysed: file, name in the tables, what a study says of it, and what it is called if not by its path."""

    path: Path
    clip_id: str
    design: ClipDesign
    called: str | None = None

    def __str__(self) -> str:
        return shown(self.path)


@dataclass(frozen=True)
class ClipWork:
    """The work on one clip, in this process or in a worker.

    Args:
        options: Of the chain.
        tables: Of the tables.
        store: Where artifacts are kept; a place is opened anew for each clip, by whichever process has it.
        identity: Digest of the weights by which persons are embedded, if they are.
    """

    options: ChainOptions
    tables: TableOptions
    store: Store | Place
    identity: str | None = None

    def analyze(self, clip: NamedClip, progress: StageProgress | None) -> ClipResult:
        """Turn the clip into its result, see `analyze_clip`."""
        return analyze_clip(
            clip.path,
            self.options,
            tables=self.tables,
            design=clip.design,
            clip_id=clip.clip_id,
            identity=self.identity,
            store=self.store,
            progress=progress,
            name=clip.called,
        )

    def send(self, clip: NamedClip, progress: StageProgress) -> dict[str, Any]:
        """Do the work as `run_all` wants it."""
        return {"result": self.analyze(clip, progress)}


def find_named(paths: Sequence[Path], store: Path, picture_fps: float | None) -> dict[str, Path]:
    """Name clips after their files, or their places below a folder that was given, with a number where a name was taken."""
    from vidfer.media.find import find_clips

    found: dict[str, Path] = {}
    for path in paths:
        notify = logging.getLogger("vidfer").info
        inside = find_clips([path], [store], notify, picture_fps) if is_folder(path) else [(path, Path(path.name))]
        for file, place in inside:
            name = shown(place.as_posix())
            numbered = (name if number == 1 else f"{name}-{number}" for number in count(1))
            found[next(each for each in numbered if each not in found)] = file
    return found
