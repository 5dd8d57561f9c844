"""What is in a store, whether it is whole, and what may go."""

import json
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from vidfer.pipeline.bounded import read_json
from vidfer.pipeline.digest import seal_of
from vidfer.pipeline.left import is_grave, is_left, new_grave
from vidfer.pipeline.mirror import UPLOADS, object_names, prefix_of, quarantine
from vidfer.pipeline.remote import Object
from vidfer.pipeline.store import MANIFEST, Store, StoreError, reading
from vidfer.pipeline.system import is_running, move


@dataclass(frozen=True)
class Entry:
    """One artifact, or a leftover: then `stage` is `tmp`, `quarantine`, `memo`, `fits` or `jobs`, and `key` its name.

    The status is the stage's, or `unreadable` when the manifest is; `size` is in bytes, `age` in seconds. Of one in
    a remote store `path` is where a mirror would have it, and `names` are its objects, the manifest first.
    """

    path: Path
    stage: str
    key: str
    status: str
    size: int
    age: float
    recipe: dict[str, Any]
    names: tuple[str, ...] = ()


_HOUR, _DAY = 3600, 86_400
_UNREADABLE = "unreadable"
_OURS = {
    "fits": re.compile(r"[0-9a-f]{64}"),
    "tmp": re.compile(r"[a-z_]+-\d+-[0-9a-f]{32}|removed-.*"),
    "jobs": re.compile(r"[0-9a-f]{64}\.(json|log)"),
    "quarantine": re.compile(r"[a-z_]+-[0-9a-f]{64}-[0-9a-f]{8}"),
    "uploads": re.compile(r"[a-z_]+-[0-9a-f]{64}"),
    "memo": re.compile(r"[0-9a-f]+-[0-9a-f]+\.json|\.vidfer-[0-9a-f]{32}\.tmp"),
}
_FAR = re.compile(r"(?P<stage>[^/]+)/(?P<start>..)/(?P<key>(?P=start)[0-9a-f]{62})/[^/]+")
_FAR_LEFTOVER = re.compile(
    r"(?P<stage>quarantine|tmp)/(?P<key>[a-z_]+-[0-9a-f]{64}-[0-9a-f]{8}|check-[0-9a-f]{32})(?:/[^/]+)?"
)
"""How leftovers are named, by folder; whatever else lies there is not ours to remove."""


def entries(store: Store) -> list[Entry]:
    """List every artifact of a store."""
    return _existing(store.folders())


def leftovers(store: Store) -> list[Entry]:
    """List drafts that are being written or were never finished, quarantined artifacts, memos, and what jobs of SLURM have left.

    Such a job has a file that says its number, as old as what was last written into its log.
    """
    found = ((sorted((store.root / place).glob("*")), ours) for place, ours in _OURS.items())
    return _existing(path for paths, ours in found for path in paths if ours.fullmatch(path.name))


def far_entries(store: Store) -> tuple[list[Entry], list[Entry]]:
    """List every artifact of a remote store, and its leftovers: what is no artifact's yet or any more, and quarantine.

    There are none where a store is a folder.
    """
    if store.remote is None:
        return [], []
    groups: dict[tuple[str, str], list[Object]] = {}
    for each in store.remote.list():
        if found := _FAR.fullmatch(each.name) or _FAR_LEFTOVER.fullmatch(each.name):
            groups.setdefault((found["stage"], found["key"]), []).append(each)
    wanted = [f"{prefix_of(stage, key)}/{MANIFEST}" for stage, key in groups if stage not in _OURS]
    manifests = store.remote.read_all(wanted)
    artifacts, rest = [], []
    for (stage, key), objects in sorted(groups.items()):
        if stage in _OURS:
            rest.append(_far(store, stage, key, objects))
            continue
        name = f"{prefix_of(stage, key)}/{MANIFEST}"
        manifest = _sealed(manifests[name]) if name in manifests else {}
        known = {name, *(f"{prefix_of(stage, key)}/{each}" for each in object_names(manifest))}
        kept = [each for each in objects if name in manifests and (each.name in known or not manifest)]
        if kept:
            artifacts.append(_far(store, stage, key, kept, manifest))
        if lost := [each for each in objects if each not in kept]:
            rest.append(_far(store, UPLOADS, f"{stage}-{key}", lost))
    return artifacts, rest


def _far(store: Store, stage: str, key: str, objects: list[Object], manifest: dict[str, Any] | None = None) -> Entry:
    names = sorted((each.name for each in objects), key=lambda name: (not name.endswith(f"/{MANIFEST}"), name))
    path = store.root / stage / key if manifest is None else store.path(stage, key)
    size, age = sum(each.size for each in objects), time.time() - max(each.put for each in objects)
    found = manifest or {}
    return Entry(
        path, stage, key, str(found.get("status", _UNREADABLE)), size, age, found.get("recipe", {}), tuple(names)
    )


def _existing(paths: Iterable[Path]) -> list[Entry]:
    found = []
    for path in paths:
        with reading(path), suppress(FileNotFoundError):  # published or removed by another process since it was listed
            files = [path] if path.is_file() else list(_files(path))
            size = sum(file.stat().st_size for file in files)
            manifest = _manifest(path / MANIFEST)
            stage = path.parent.name if path.parent.name in _OURS else path.parent.parent.name
            status, age = str(manifest.get("status", _UNREADABLE)), time.time() - _written(path)
            found.append(Entry(path, stage, path.name, status, size, age, manifest.get("recipe", {})))
    return found


def _written(path: Path) -> float:
    """When a file or folder was last written, in s since 1970: a job's number is needed for as long as the job writes its log."""
    log = path.with_suffix(".log")
    of_log = log.stat().st_mtime if path.parent.name == "jobs" and log.exists() else 0.0
    return max(path.stat().st_mtime, of_log)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below; unlike `rglob`, raise an OSError where one cannot be listed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.is_file():
            yield path


def _manifest(path: Path) -> dict[str, Any]:
    """Read a manifest as it was sealed; of a leftover, or where it is damaged (which `verify` names), nothing."""
    with suppress(OSError):
        return _sealed(path.read_bytes())
    return {}


def _sealed(text: bytes) -> dict[str, Any]:
    """Read a manifest, or nothing where it is not as it was sealed."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        manifest: dict[str, Any] = json.loads(text)
        if manifest["seal"] == seal_of(manifest):
            return manifest
    return {}


def usage(listed: Iterable[Entry]) -> dict[str, tuple[int, int]]:
    """Count entries, and their bytes on disk, by stage."""
    found: dict[str, tuple[int, int]] = {}
    for entry in listed:
        count, size = found.get(entry.stage, (0, 0))
        found[entry.stage] = count + 1, size + entry.size
    return dict(sorted(found.items()))


def verify(store: Store) -> tuple[int, list[tuple[Path, str]]]:
    """Count the artifacts and check their sizes and digests: (folder, what is wrong) of those at fault.

    Damaged ones go to quarantine, those that cannot be read stay. Of a remote store the mirror is checked first, then every
    artifact there, which is fetched for it and not kept.
    """
    count, faults = _verify_far(store)
    folders = list(store.folders())
    for folder in folders:
        try:
            fault = store.fault(folder)
        except StoreError as error:
            faults.append((folder, str(error)))
            continue
        if fault and store.quarantine(folder):
            faults.append((folder, f"{fault}; moved to quarantine, the next run computes it again"))
    return len(folders) + count, faults


def _verify_far(store: Store) -> tuple[int, list[tuple[Path, str]]]:
    artifacts = far_entries(store)[0]
    faults = []
    for entry in artifacts:
        assert store.remote is not None
        if fault := quarantine(store, store.remote, entry.stage, entry.key):
            faults.append((entry.path, f"{fault}; moved to quarantine at {store.remote}, the next run puts it anew"))
    return len(artifacts), faults


def removable(store: Store, older_than: float = -inf) -> list[Entry]:
    """List artifacts and leftovers written more than so many seconds ago."""
    artifacts, rest = far_entries(store)
    return [entry for entry in (*entries(store), *leftovers(store), *artifacts, *rest) if entry.age > older_than]


def derived_from(store: Store, sources: Iterable[str], stages: Collection[str] = ()) -> list[Entry]:
    """List every artifact computed, directly or not, from clips with these content digests, and their memos.

    An artifact comes before those that it was computed from, so that removing them in this order can be broken off: what is left
    is found again. Drafts, quarantined artifacts and those whose manifest is damaged may hold faces of any clip, so all are
    listed but the drafts of living processes, and what was put into a remote store within the last hour and is no artifact's
    yet. So are those of `stages`, the stages of a clip, whose inputs are gone, as after `gc`.
    """
    wanted = set(sources)
    artifacts, far_rest = far_entries(store)
    every = [*entries(store), *artifacts]
    steps = _steps_from({entry.key for entry in every if entry.recipe.get("source") in wanted}, every)
    known = _steps_from({entry.key for entry in every if entry.recipe.get("source")}, every)
    lost = [entry for entry in every if entry.stage in stages and entry.recipe and entry.key not in known]
    rest = [entry for entry in (*leftovers(store), *far_rest) if _concerns(entry, wanted, steps)]
    derived = sorted((entry for entry in every if entry.key in steps), key=lambda entry: -steps[entry.key])
    return [*rest, *(entry for entry in every if entry.status == _UNREADABLE), *lost, *derived]


def broken_off(store: Store) -> list[Entry]:
    """List what was being removed when the process that did so was killed."""
    return [entry for entry in leftovers(store) if is_grave(entry.path)]


def last_written(store: Store) -> dict[str, float]:
    """Return when the newest artifact computed from each clip, by its content digest, was written, in s since 1970."""
    every, now = [*entries(store), *far_entries(store)[0]], time.time()
    sources = {entry.key: {str(entry.recipe["source"])} for entry in every if entry.recipe.get("source")}
    known = len(sources) - 1
    while len(sources) > known:
        known = len(sources)
        for entry in every:
            of_inputs = [sources[key] for key in entry.recipe.get("inputs", {}).values() if key in sources]
            if of_inputs and entry.key not in sources:
                sources[entry.key] = set().union(*of_inputs)
    found: dict[str, float] = {}
    for entry in every:
        for source in sources.get(entry.key, ()):
            found[source] = max(found.get(source, 0.0), now - entry.age)
    return found


def _steps_from(first: set[str], every: Iterable[Entry]) -> dict[str, int]:
    """Return the keys of artifacts that are computed from the first ones, themselves included, and by how many steps."""
    readers: dict[str, list[str]] = {}
    for entry in every:
        for key in entry.recipe.get("inputs", {}).values():
            readers.setdefault(key, []).append(entry.key)
    steps: dict[str, int] = {}
    more = first
    while more:
        steps |= dict.fromkeys(more, max(steps.values(), default=-1) + 1)
        more = {reader for key in more for reader in readers.get(key, ())} - steps.keys()
    return steps


def _concerns(leftover: Entry, sources: set[str], keys: Collection[str]) -> bool:
    if leftover.stage == "memo":
        with suppress(OSError, ValueError, TypeError, KeyError):
            return read_json(leftover.path)["blake3"] in sources
        return False
    if leftover.stage in ("fits", "jobs"):
        return False  # weights, of which no clip can be told, and logs, of which lines go
    if leftover.stage == "quarantine":
        return True
    if leftover.stage == UPLOADS:  # in the mirror a note, at the remote store files that no manifest names
        return leftover.key.rpartition("-")[2] in keys or (bool(leftover.names) and leftover.age > _HOUR)
    if leftover.names:
        return False  # a probe's bytes
    if is_grave(leftover.path) or is_left(leftover.path):
        return True
    pid = leftover.key.split("-")[1]
    if not pid.isdigit():
        return True
    return not (leftover.age < _HOUR or (leftover.age < _DAY and is_running(int(pid))))


def remove(store: Store, doomed: Iterable[Entry]) -> None:
    """Delete entries for good; an artifact first leaves its place in one rename, so that no reader meets half of it.

    Raises:
        StoreError: One cannot be removed; those before it have gone.
    """
    for entry in doomed:
        with _removing(entry), suppress(FileNotFoundError):  # another process removed it
            if entry.names:
                assert store.remote is not None
                store.remote.delete(entry.names)
            elif entry.path.is_file():
                entry.path.unlink()
            elif entry.stage in _OURS:
                shutil.rmtree(entry.path)
            else:
                grave = new_grave(store.root)
                grave.parent.mkdir(exist_ok=True)
                move(entry.path, grave)
                shutil.rmtree(grave)


@contextmanager
def _removing(entry: Entry) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{entry.path} cannot be removed ({reason}): do it as a user, or where, it can be") from error
