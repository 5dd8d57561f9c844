"""The work on a clip on another machine: everything goes into the store, where the process that asked finds it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidfer.api.named import ClipWork, NamedClip
from vidfer.api.result import ClipResult
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Place, Store
from vidfer.results.packed import pack, unpack
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions, build_chain, for_clip
from vidfer.types import ClipError


@dataclass(frozen=True)
class StoredWork:
    """The chain over a clip, for an engine: its artifacts stay in the store, and only what the store has not comes back.

    Args:
        options: Of the chain.
        tables: Of the tables.
        store: A folder that all machines have, or an address; each process opens it for itself.
        identity: Digest of the weights by which persons are embedded, if they are.
    """

    options: ChainOptions
    tables: TableOptions
    store: Place
    identity: str | None = None

    def prepare(self, clip: NamedClip, progress: StageProgress) -> None:
        """Do the first stages, see `prepare_clip`."""
        if clip.design.consent.refusal():
            return
        prepare_clip(self.options, clip.path, self.store, progress)

    def __call__(self, clip: NamedClip, progress: StageProgress) -> dict[str, Any]:
        """Bring the clip to its report; `result` is all of it, packed, where a fault of the moment is not stored, else None."""
        result = ClipWork(self.options, self.tables, self.store, self.identity).analyze(clip, progress)
        predominant = {"predominant": result.predominant, "status": str(result.status)}
        unstored = None if result.key is not None else pack(result.summary, result.tables, result.pictures)
        return {"result": unstored, **predominant}


def prepare_clip(options: ChainOptions, clip: Path, store: Place, progress: StageProgress) -> None:
    """Find a clip's faces and listen to its sound, on the CPU: what needs no model of expressions, and takes most of the time.

    Raises:
        ClipError: The clip cannot be read.
        VidferError: The store is full or cannot be written.
    """
    chain, kept = build_chain(replace(for_clip(options, clip), device="cpu")), Store(store)  # a device enters no key
    for target in (
        ("faces", "audio") if options.keep_faces else ("audio",)
    ):  # faces that are not kept do not last till then
        with finished(chain, target, clip, kept, progress):
            pass


def result_of(clip: NamedClip, found: "dict[str, Any] | ClipError") -> ClipResult | None:
    """Return the result that the work has sent back for a clip; None where the store has it."""
    if isinstance(found, ClipError):
        return ClipResult.failed(clip.path, found, clip.clip_id, clip.design)
    if found["result"] is None:
        return None
    summary, tables, pictures = unpack(found["result"])
    return ClipResult(summary, tables, pictures=pictures)
