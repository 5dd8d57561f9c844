"""Looking after a store: what is in it, whether it is whole, and what may go."""

import json
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidfer.store import MANIFEST, Store, explained


@dataclass(frozen=True)
class Entry:
    """One artifact, or a leftover, as it lies in the store.

    Args:
        path: Its folder or file.
        stage: The stage that made it, or `tmp`, `quarantine`, `memo`.
        key: The artifact's key, or the leftover's name.
        status: The stage's status; `unreadable` when the manifest is.
        size: Bytes on disk, files only.
        age: Seconds since it was written.
        recipe: The recipe, empty for a leftover.
    """

    path: Path
    stage: str
    key: str
    status: str
    size: int
    age: float
    recipe: dict[str, Any]


def entries(store: Store) -> list[Entry]:
    """List every artifact of a store."""
    return [_entry(folder) for folder in store.folders()]


def leftovers(store: Store) -> list[Entry]:
    """List drafts that their writers never finished, quarantined artifacts and memos."""
    found = [path for name in ("tmp", "quarantine", "memo") for path in sorted((store.root / name).glob("*"))]
    return [_entry(path) for path in found]


def _entry(path: Path) -> Entry:
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    manifest: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # a leftover, or damage that `verify` names
        manifest = json.loads((path / MANIFEST).read_bytes())
    age = time.time() - path.stat().st_mtime
    stage = path.parent.name if path.parent.name in {"tmp", "quarantine", "memo"} else path.parent.parent.name
    status = str(manifest.get("status", "unreadable"))
    size = sum(file.stat().st_size for file in files)
    return Entry(path, stage, path.name, status, size, age, manifest.get("recipe", {}))


def verify(store: Store) -> list[tuple[Path, str]]:
    """Check every artifact's sizes and digests; damaged ones go to quarantine.

    Returns:
        (folder, what is wrong with it), empty for a sound store.
    """
    faults = [(folder, store.fault(folder)) for folder in store.folders()]
    damaged = [(folder, fault) for folder, fault in faults if fault]
    for folder, _ in damaged:
        store.quarantine(folder)
    return damaged


def removable(store: Store, older_than: float) -> list[Entry]:
    """List what garbage collection would remove.

    Artifacts that no run has written for `older_than` seconds, and drafts, quarantined artifacts and memos of that age.
    Everything can be computed again from the clips.
    """
    return [entry for entry in (*entries(store), *leftovers(store)) if entry.age > older_than]


def derived_from(store: Store, sources: Iterable[str]) -> list[Entry]:
    """List every artifact computed, directly or not, from clips with these content digests.

    Unfinished drafts belong to nobody who could be named, so all of them are listed too.
    """
    wanted = set(sources)
    every = entries(store)
    keys = {entry.key for entry in every if entry.recipe.get("source") in wanted}
    grown = True
    while grown:
        more = {entry.key for entry in every if keys & set(entry.recipe.get("inputs", {}).values())} - keys
        keys |= more
        grown = bool(more)
    damaged = [entry for entry in leftovers(store) if entry.stage != "memo"]
    return [entry for entry in every if entry.key in keys] + damaged


def remove(store: Store, doomed: Iterable[Entry]) -> None:
    """Delete entries for good.

    An artifact first leaves its place in one rename, so that no reader meets half of it.
    """
    for entry in doomed:
        with explained(store.root):
            if entry.path.is_file():
                entry.path.unlink(missing_ok=True)
                continue
            grave = store.root / "tmp" / f"removed-{entry.key}"
            grave.parent.mkdir(exist_ok=True)
            if entry.stage not in {"tmp", "quarantine"}:
                entry.path.rename(grave)
                shutil.rmtree(grave)
            else:
                shutil.rmtree(entry.path)
