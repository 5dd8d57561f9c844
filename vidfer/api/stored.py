"""Reports of clips that the store has already, looked up one after the other for very many clips."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from blake3 import blake3

from vidfer.pipeline.digest import content_digest, dump_json
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.runner import ancestry
from vidfer.pipeline.store import Artifact, Store
from vidfer.stages.chain import ChainOptions, build_chain, for_clip
from vidfer.types import ClipError, Status

_RECENT: Final = 256
"""Results of as many clips are kept in memory, for rows that name the same one."""


@dataclass(frozen=True)
class Found:
    """A stored report, and the summary in it."""

    artifact: Artifact
    summary: Mapping[str, Any]


class Stored:
    """Looks up reports of clips in a store, without their ancestors, and without those of their files that no one reads.

    Args:
        options: Of the chain.
        store: Where artifacts are kept.
    """

    def __init__(self, options: ChainOptions, store: Store) -> None:
        self._options, self._store = options, store
        self._mark = uuid4().hex
        self._recipes: dict[ChainOptions, list[tuple[bytes, bytes]]] = {}
        self._recent = lru_cache(_RECENT)(self._look_up)

    def find(self, path: str, *, fresh: bool = False) -> Found | None:
        """Return the report of a clip if it is stored; `fresh` after another machine may have written it.

        Raises:
            ClipError: `unreadable` when the clip cannot be read.
            StoreError: The store cannot be read.
        """
        clip = Path(path)
        if self._options.picture_fps is None and is_folder(clip):
            raise ClipError(
                Status.UNREADABLE, f"{clip} is a folder: --picture-fps makes a clip of its numbered pictures"
            )
        source, options = content_digest(clip, self._store), for_clip(self._options, clip)
        with suppress(LookupError):
            return self._recent(source, options)
        if not fresh:
            return None
        place = self._store.path("report", self.key(source, options))
        for folder in (
            place.parent.parent,
            place.parent,
        ):  # file systems of networks forget then what was not there before
            if folder.is_dir():
                list(folder.iterdir())
        with suppress(LookupError):
            return self._recent(source, options)
        return None

    def key(self, source: str, options: ChainOptions) -> str:
        """Return the key of the report of a clip with that digest.

        Recipes of clips differ in the digest and the keys of inputs alone: each stage's is encoded once, with marks for these.
        """
        if options not in self._recipes:
            chain = ancestry(build_chain(options), "report")
            marks = {stage.name: uuid4().hex for stage in chain}
            recipes = [(marks[stage.name], dump_json(stage.recipe(self._mark, marks))) for stage in chain]
            self._recipes[options] = [(mark.encode(), recipe) for mark, recipe in recipes]
        filled = [(self._mark.encode(), source.encode())]
        for mark, recipe in self._recipes[options]:
            for each, value in filled:
                recipe = recipe.replace(each, value)
            filled.append((mark, sha256(recipe).hexdigest().encode()))
        return filled[-1][1].decode()

    def _look_up(self, source: str, options: ChainOptions) -> Found:
        """Find a report; a miss is an error, so that it is not remembered."""
        artifact = self._store.find("report", self.key(source, options), to_read=False)
        if artifact is None:
            raise LookupError
        data = (artifact.path / "summary.json").read_bytes()
        known = next(entry["blake3"] for entry in artifact.manifest["files"] if entry["name"] == "summary.json")
        if blake3(data).hexdigest() != known:  # a run of the chain puts it into quarantine, and makes it anew
            raise LookupError
        return Found(artifact, json.loads(data))
