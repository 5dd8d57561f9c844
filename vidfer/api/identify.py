"""Persons linked across the cuts and the clips of a run, by the embeddings that stage `identify` keeps in the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.stage import Stage
from vidfer.pipeline.store import Place, Store, default_store
from vidfer.results.linking import THRESHOLD, Identity, link_people
from vidfer.results.people import PEOPLE, Row, read_rows
from vidfer.results.run_folder import contents
from vidfer.results.tables import person_id
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.identify import IdentifyStage

NO_WEIGHTS: Final = (
    "--identify links nobody: the weights that tell persons apart are not here; fetch them (112 MB) by `vidfer weights pull "
    "identity` and run the same command again"
)


def with_identity(chain: Sequence[Stage], options: ChainOptions, weights: str) -> tuple[Stage, ...]:
    """Return a chain with the stage behind it that embeds persons."""
    return (*chain, IdentifyStage(weights, compute=options.compute))


def identify_clip(
    path: Path, options: ChainOptions, weights: str, store: Store, progress: StageProgress | None = None
) -> dict[str, str]:
    """Embed the persons of a clip, and return where the store has that: `key`, and the digest of `weights`.

    Raises:
        ClipError: The clip cannot be read.
    """
    with finished(with_identity(build_chain(options), options, weights), "identify", path, store, progress) as artifact:
        return {"key": artifact.key, "weights": weights}


def link_run(run: Path, weights: str, store: Place | None = None, threshold: float = THRESHOLD) -> dict[str, str]:
    """Link the persons of all clips of a run that were embedded by the same weights, see `link_people`.

    What was linked before stays where the store has no embeddings any more.

    Returns:
        By id as tracked, the id of the first of the same persons.

    Raises:
        VidferError: `people.csv` cannot be read.
    """
    place, rows = Store(default_store() if store is None else store), read_rows(run / PEOPLE)
    found: list[Identity] = []
    for clip in contents(run).clips.values():
        found += _identities(clip.clip_id, clip.summary.get("identify") or {}, weights, place, rows)
    seen = {one.person_id for one in found}
    kept = {one: row.linked_to for one, row in rows.items() if row.linked_to and one not in seen}
    return {**kept, **link_people(found, threshold)}


def _identities(
    clip_id: str, where: Mapping[str, Any], weights: str, store: Store, rows: Mapping[str, Row]
) -> list[Identity]:
    artifact = store.find("identify", where["key"]) if where.get("weights") == weights else None
    if artifact is None or not artifact.names("identities"):
        return []
    arrays = artifact.arrays("identities.safetensors")
    people = []
    for person, embedding, (start, end) in zip(arrays["person"], arrays["embedding"], arrays["span"], strict=True):
        tracked = person_id(clip_id, int(person))
        row = rows.get(tracked, Row(0))
        span = (float(start), float(end))
        people.append(Identity(tracked, clip_id, int(person), embedding, span, row.name, bool(row.same_as)))
    return people
