"""What is left of purged clips where they were, and where nobody looked."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidfer.api.purging import STAGES, Purge
from vidfer.pipeline.digest import dump_json
from vidfer.pipeline.gc import Entry, derived_from, entries, far_entries, leftovers
from vidfer.pipeline.mirror import UPLOADS
from vidfer.pipeline.paths import is_there
from vidfer.pipeline.store import Store
from vidfer.results.study import PARTICIPANTS
from vidfer.results.traces import Traces, files_below
from vidfer.types import VidferError

_LEFTOVERS: Final = ("tmp", "quarantine", "memo", "jobs", UPLOADS)
"""Of single clips, if of any: they go with every purge, or are named as left."""


@dataclass(frozen=True)
class Proof:
    """What was looked through after a purge, and what of the clips is still there.

    Args:
        n_files: Files whose text was searched.
        n_named: Files of pixels and arrays, which were known by where they lie.
        left: What remains, each with the reason.
        models: Weights and measurements that a clip has a part in, which stay.
    """

    n_files: int
    n_named: int
    left: tuple[str, ...]
    models: tuple[str, ...]


def prove(purge: Purge) -> Proof:
    """Look through the store, its remote side, the folders and the logs for digests, keys and names of purged clips.

    Raises:
        OSError: A file cannot be read.
    """
    places, store, left, models, counts = purge.places, purge.places.store, list[str](), list[str](), [0, 0]

    def look(traces: Traces, *roots: Path, but: Collection[Path] = ()) -> Iterator[tuple[Path, str]]:
        for path in files_below(*roots, but=but):
            counts[not traces.reads(path)] += 1
            try:
                found = traces.in_file(path)
            except FileNotFoundError:  # another process removed it
                continue
            if found:
                yield path, found

    again = derived_from(store, purge.chosen.digests, STAGES) if purge.chosen.digests else []
    left += [f"{entry.stage} {entry.key} in {store.place}" for entry in again]
    left += [
        f"{entry.path}: a process at work is writing it: run the same command when it has ended"
        for entry in leftovers(store)
        if entry.stage == "tmp" and entry.path not in {one.path for one in again}
    ]
    for path, found in look(purge.traces, store.root):
        stage = path.relative_to(store.root).parts[0]
        of_clips = (*STAGES, "tmp", "memo", "quarantine", "uploads", "jobs")
        (left if stage in of_clips else models).append(f"{path} has {found}")
    far, on_their_way = far_entries(store)
    left += [f"{entry.stage} {entry.key} at {store.remote}" for entry in far if entry.key in purge.traces.digests]
    left += [
        f"{entry.key} at {store.remote}: files of no artifact, which somebody may be sending: run the same command in an hour"
        for entry in on_their_way
        if entry.stage == UPLOADS
    ]
    for folder in places.folders:
        left += [f"{path} has {found}" for path, found in look(purge.names(folder), folder)]
    for log in places.log_files():
        left += [f"{path} has {found}" for path, found in look(purge.in_logs, log)]
    return Proof(counts[0], counts[1], tuple(dict.fromkeys(left)), tuple(dict.fromkeys(models)))


def out_of_reach(purge: Purge, proof: Proof) -> Iterator[str]:
    """Yield what a purge does not remove, a line each."""
    files = [Path(place) for place in sorted(purge.chosen.places) if is_there(Path(place))]
    yield from (f"{file}: the clip itself" for file in files)
    tables = {folder / PARTICIPANTS for file in files for folder in file.parents}
    yield from (f"{table}: its rows" for table in sorted(tables) if table.is_file())
    if remote := purge.places.store.remote:
        yield f"mirrors of {remote} on other machines: run the same command there"
        if remote.keeps_versions():
            yield f"versions that the bucket of {remote} keeps of what was deleted: remove them, as by a lifecycle rule"
    yield "stores and folders of results that --store and --out did not name, copies and exports elsewhere, backups and snapshots"
    yield "folders of trainings and sweeps, what evaluations printed, and files of Weights & Biases and Ray: delete them there"
    yield from (f"{each}: it is of data that a clip was in, and stays" for each in proof.models)
    yield from _of_data_sets(purge.places.store)
    yield from _trainings(purge.places.store, purge.chosen.digests)


def _of_data_sets(store: Store) -> Iterator[str]:
    """Name the artifacts, a stage each, that were made of whole data sets, of which they do not tell the parts."""
    listed = [one for one in (*entries(store), *far_entries(store)[0]) if one.stage not in STAGES]
    counts = Counter(one.stage for one in (*listed, *leftovers(store)) if not one.stage.endswith("_fit"))
    for stage, count in sorted(counts.items()):
        if stage not in _LEFTOVERS:
            what = "1 artifact" if count == 1 else f"{count} artifacts"
            yield f"{what} of {stage} in {store.place}, of whole data sets, in which a clip may be: --all removes them"


def _trainings(store: Store, digests: Collection[str]) -> Iterator[str]:
    """Name the trained weights of a store that a clip has a part in, and those of which that cannot be told."""
    for entry in entries(store):
        if not entry.stage.endswith("_fit"):
            continue
        learnt = _has_learnt(entry, store, digests)
        if learnt or learnt is None:
            said = (
                "were trained on a clip"
                if learnt
                else "may have been trained on a clip: their data are not as they were"
            )
            yield f"the weights {entry.path} {said}"


def _has_learnt(entry: Entry, store: Store, digests: Collection[str]) -> bool | None:
    """Tell whether a training's data have a clip; None where they are not there, or others by now."""
    from vidfer.datasets.contents import data_contents
    from vidfer.pipeline.digest import recipe_key

    data = entry.recipe.get("params", {}).get("data", {})
    try:
        contents = data_contents(data["class_path"], data.get("init_args", {}), store.root)
    except (VidferError, KeyError, TypeError):
        return None
    if recipe_key({"data": contents}) != entry.recipe.get("source"):
        return None
    return any(digest.encode() in dump_json(contents) for digest in digests)
