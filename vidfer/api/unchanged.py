"""Clips whose results lie in their folder already: a run over them again computes nothing and writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer.pages.index import INDEX
from vidfer.pipeline.digest import dump_json
from vidfer.pipeline.runner import Step, plan
from vidfer.pipeline.store import Store
from vidfer.results.clip_folder import OF_FOLDER, FolderError, open_clip
from vidfer.results.code import code_digest
from vidfer.results.design import ClipDesign
from vidfer.results.links import address, playable
from vidfer.results.names import shown
from vidfer.results.tables import TableOptions, record
from vidfer.stages.chain import ChainOptions, build_chain, for_clip, name_models
from vidfer.types import ClipError

if TYPE_CHECKING:
    from vidfer.pipeline.stage import Stage

_OF_CLIP: Final = ("clip", "bundle", "preset", "models", "tables", "identify")
"""In a clip's summary: what is said of it that does not come from the stored report."""


@dataclass(frozen=True)
class Writing:
    """How a clip's results are written.

    Args:
        excel: Begin each CSV with a byte order mark.
        show_faces: Do not blur the pictures.
        run: The run's folder, to whose page the report leads; by default it leads to none.
    """

    excel: bool = False
    show_faces: bool = False
    run: Path | None = None

    def origin(self, key: str, summary: Mapping[str, Any], design: ClipDesign, video: str | None, folder: Path) -> str:
        """Return the digest of all that decides what is written into a clip's folder, but for the time when that was.

        Args:
            key: The stored report's.
            summary: Of it, the entries that are not the report's.
            design: What a study says of the clip.
            video: Address of the clip's file for the report's player.
            folder: The clip's.
        """
        said = {name: summary.get(name) for name in _OF_CLIP}
        index = None if self.run is None else address(self.run / INDEX, folder)
        how = [self.excel, self.show_faces, video, index, repr(design), code_digest()]
        return blake3(dump_json([key, said, how])).hexdigest()


@dataclass(frozen=True)
class Earlier:
    """Finds what an earlier run of the same options wrote of a clip.

    Args:
        options: Of the chain.
        tables: Of the tables.
        writing: Of the files.
        store: Where artifacts are kept.
        identity: Digest of the weights by which persons are embedded, if they are.
    """

    options: ChainOptions
    tables: TableOptions
    writing: Writing
    store: Store
    identity: str | None = None

    @cached_property
    def _chains(self) -> dict[ChainOptions, "tuple[tuple[Stage, ...], dict[str, Any]]"]:
        return {}

    def summary(self, clip: Path, folder: Path, design: ClipDesign) -> dict[str, Any] | None:
        """Return the summary of a clip whose folder holds what analysing it again would write there, else None.

        The store has to have the clip's report, with sizes as they were written, and nothing damaged before it; the artifacts'
        bytes are not read. The folder's files are read, and checked by their digests.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            found = open_clip(folder)
            if "seal" not in found.summary:  # before a clip of no results is read as a whole to make its key
                return None
            options = for_clip(self.options, clip)
            if options not in self._chains:
                self._chains[options] = (build_chain(options), name_models(options))
            chain, models = self._chains[options]
            report = self._stored(chain, "report", clip)
            said = {"clip": shown(clip), **models, "tables": record(self.tables, design)}
            if self.identity is not None:
                from vidfer.api.identify import with_identity

                embedded = self._stored(with_identity(chain, options, self.identity), "identify", clip)
                said["identify"] = {"key": embedded, "weights": self.identity}
                report = report if embedded else None
        except (FolderError, ClipError):
            return None
        if report is None or not found.is_made_from(
            self.writing.origin(report, said, design, video_of(clip, folder), folder)
        ):
            return None
        return {name: value for name, value in found.summary.items() if name not in OF_FOLDER}

    def _stored(self, chain: "tuple[Stage, ...]", target: str, clip: Path) -> str | None:
        """Return the key of a stage's artifact if that is stored and nothing has to be made again."""
        steps: list[Step] = plan(chain, target, clip, self.store, to_read=False)
        return None if steps[-1].artifact is None or any(step.due for step in steps) else steps[-1].key


def video_of(clip: Path, folder: Path) -> str | None:
    """Return the address of a clip's file from the page in a folder, if that can play it."""
    return address(clip, folder) if playable(clip) else None
