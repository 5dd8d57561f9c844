"""What is in a store, whether it is whole, and what may go."""

import json
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from vidfer.pipeline.digest import seal_of
from vidfer.pipeline.store import MANIFEST, Store, StoreError, explained, reading
from vidfer.pipeline.system import is_running, move


@dataclass(frozen=True)
class Entry:
    """One artifact, or a leftover: then `stage` is `tmp`, `quarantine`, `memo` or `fits`, and `key` its name.

    The status is the stage's, or `unreadable` when the manifest is; `size` is in bytes, `age` in seconds.
    """

    path: Path
    stage: str
    key: str
    status: str
    size: int
    age: float
    recipe: dict[str, Any]


_HOUR, _DAY = 3600, 86_400
_UNREADABLE = "unreadable"
_OURS = {
    "fits": re.compile(r"[0-9a-f]{64}"),
    "tmp": re.compile(r"[a-z_]+-\d+-[0-9a-f]{32}|removed-.*"),
    "quarantine": re.compile(r"[a-z_]+-[0-9a-f]{64}-[0-9a-f]{8}"),
    "memo": re.compile(r"[0-9a-f]+-[0-9a-f]+\.json|\.vidfer-[0-9a-f]{32}\.tmp"),
}
"""How leftovers are named, by folder; whatever else lies there is not ours to remove."""


def entries(store: Store) -> list[Entry]:
    """List every artifact of a store."""
    return _existing(store.folders())


def leftovers(store: Store) -> list[Entry]:
    """List drafts that are being written or were never finished, quarantined artifacts and memos."""
    found = ((sorted((store.root / place).glob("*")), ours) for place, ours in _OURS.items())
    return _existing(path for paths, ours in found for path in paths if ours.fullmatch(path.name))


def _existing(paths: Iterable[Path]) -> list[Entry]:
    found = []
    for path in paths:
        with reading(path), suppress(FileNotFoundError):  # published or removed by another process since it was listed
            files = [path] if path.is_file() else list(_files(path))
            size = sum(file.stat().st_size for file in files)
            manifest = _manifest(path / MANIFEST)
            stage = path.parent.name if path.parent.name in _OURS else path.parent.parent.name
            status, age = str(manifest.get("status", _UNREADABLE)), time.time() - path.stat().st_mtime
            found.append(Entry(path, stage, path.name, status, size, age, manifest.get("recipe", {})))
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below; unlike `rglob`, raise an OSError where one cannot be listed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.is_file():
            yield path


def _manifest(path: Path) -> dict[str, Any]:
    """Read a manifest as it was sealed; of a leftover, or where it is damaged (which `verify` names), nothing."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        manifest: dict[str, Any] = json.loads(path.read_bytes())
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

    Damaged ones go to quarantine, those that cannot be read stay.
    """
    folders = list(store.folders())
    faults = []
    for folder in folders:
        try:
            fault = store.fault(folder)
        except StoreError as error:
            faults.append((folder, str(error)))
            continue
        if fault and store.quarantine(folder):
            faults.append((folder, f"{fault}; moved to quarantine, the next run computes it again"))
    return len(folders), faults


def removable(store: Store, older_than: float = -inf) -> list[Entry]:
    """List artifacts, drafts, quarantined artifacts and memos written more than so many seconds ago."""
    return [entry for entry in (*entries(store), *leftovers(store)) if entry.age > older_than]


def derived_from(store: Store, sources: Iterable[str]) -> list[Entry]:
    """List every artifact computed, directly or not, from clips with these content digests, and their memos.

    Drafts, quarantined artifacts and those whose manifest is damaged may hold faces of any clip, so all are listed but the
    drafts of living processes.
    """
    wanted = set(sources)
    every = entries(store)
    keys: set[str] = set()
    more = {entry.key for entry in every if entry.recipe.get("source") in wanted}
    while more:
        keys |= more
        more = {entry.key for entry in every if keys & set(entry.recipe.get("inputs", {}).values())} - keys
    rest = [entry for entry in leftovers(store) if _concerns(entry, wanted)]
    return [entry for entry in every if entry.key in keys or entry.status == _UNREADABLE] + rest


def _concerns(leftover: Entry, sources: set[str]) -> bool:
    if leftover.stage == "memo":
        with suppress(OSError, ValueError, TypeError, KeyError):
            return json.loads(leftover.path.read_bytes())["blake3"] in sources
        return False
    if leftover.stage == "fits":
        return False  # weights, of which no clip can be told
    if leftover.stage == "quarantine":
        return True
    pid = leftover.key.split("-")[1]
    if not pid.isdigit():
        return True
    return not (leftover.age < _HOUR or (leftover.age < _DAY and is_running(int(pid))))


def remove(store: Store, doomed: Iterable[Entry]) -> None:
    """Delete entries for good; an artifact first leaves its place in one rename, so that no reader meets half of it."""
    for entry in doomed:
        with explained(store.root), suppress(FileNotFoundError):  # another process removed it
            if entry.path.is_file():
                entry.path.unlink()
            elif entry.stage in _OURS:
                shutil.rmtree(entry.path)
            else:
                grave = store.root / "tmp" / f"removed-{entry.key}-{uuid.uuid4().hex}"
                grave.parent.mkdir(exist_ok=True)
                move(entry.path, grave)
                shutil.rmtree(grave)
