"""`vidfer cache`: list, verify and gc the store."""

from dataclasses import dataclass, field

from rich.filesize import decimal

from vidfer.cli.display import say
from vidfer.cli.put import put
from vidfer.pipeline.gc import Entry, entries, far_entries, leftovers, removable, remove, usage, verify
from vidfer.pipeline.store import Store, default_store

ACTIONS = {name: f"vidfer.cli.cache.{name}_artifacts" for name in ("list", "verify", "gc")}


_STORE = {"metavar": "DIR|URL", "help": "Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache)"}


@dataclass(frozen=True)
class ListOptions:
    """Print a line per artifact, and what each stage takes."""

    store: str | None = field(default=None, metadata=_STORE)


@dataclass(frozen=True)
class VerifyOptions:
    """Check every byte; what is damaged goes to quarantine (exit status 1)."""

    store: str | None = field(default=None, metadata=_STORE)


@dataclass(frozen=True)
class GcOptions:
    """Remove what is old; without --yes only say what would go.

    Args:
        older_than: Age of what goes.
        yes: Really remove.
    """

    older_than: float = field(default=30.0, metadata={"metavar": "DAYS"})
    yes: bool = False
    store: str | None = field(default=None, metadata=_STORE)


def _open(store: str | None) -> Store:
    return Store(store or default_store())


def list_artifacts(options: ListOptions) -> int:
    """Print the artifacts, and count them."""
    store = _open(options.store)
    here = entries(store), leftovers(store)
    every, rest = far_entries(store) if store.remote else here
    for entry in every:
        put(f"{entry.stage}\t{entry.status}\t{entry.size}\t{entry.key}")
    for stage, (count, size) in usage([*every, *rest]).items():
        say(f"{stage}: {count}, {decimal(size)}")
    say(f"{store.place}: {_total(every, rest)}")
    if store.remote:
        say(f"its mirror {store.root}: {_total(*here)}")
    return 0


def _total(artifacts: list[Entry], rest: list[Entry]) -> str:
    return f"{len(artifacts)} artifacts, {decimal(sum(entry.size for entry in (*artifacts, *rest)))} in all"


def verify_artifacts(options: VerifyOptions) -> int:
    """Print what is at fault."""
    store = _open(options.store)
    count, faults = verify(store)
    for folder, fault in faults:
        put(f"{folder.parent.parent.name}\t{folder.name}\t{fault}")
    where = f"{store.place} and its mirror {store.root}" if store.remote else store.place
    say(f"{where}: {count} artifacts checked, {len(faults)} at fault")
    return 1 if faults else 0


def gc_artifacts(options: GcOptions) -> int:
    """Remove, or print, what is old."""
    store = _open(options.store)
    return _remove(store, removable(store, options.older_than * 86_400), options.yes)


def _remove(store: Store, doomed: list[Entry], really: bool) -> int:
    for entry in doomed:
        where = "" if store.remote is None else "\tremote" if entry.names else "\tmirror"
        put(f"{entry.stage}\t{entry.size}\t{entry.key}{where}")
    size = decimal(sum(entry.size for entry in doomed))
    if really:
        remove(store, doomed)
        say(f"{len(doomed)} removed, {size} freed")
        if store.remote:
            say(f"from {store.remote} and its mirror {store.root}; the mirrors of other machines keep their copies")
            if store.remote.keeps_versions():
                say("the bucket keeps versions of what is deleted: remove those, too, as by a lifecycle rule")
    else:
        say(f"{len(doomed)} would be removed, {size}; say --yes to do it")
    return 0
