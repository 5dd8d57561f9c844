"""`vidfer cache`: list, verify, gc and purge the store."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.filesize import decimal

from vidfer.cli.display import say
from vidfer.cli.options import POSITIONAL
from vidfer.media.find import Clip, find_clips
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.gc import Entry, derived_from, entries, far_entries, leftovers, removable, remove, usage, verify
from vidfer.pipeline.store import Store, default_store
from vidfer.types import VidferError

ACTIONS = {name: f"vidfer.cli.cache.{name}_artifacts" for name in ("list", "verify", "gc", "purge")}


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


@dataclass(frozen=True)
class PurgeOptions:
    """Remove everything computed from clips; without --yes only say what.

    Args:
        clips: Clips, or folders of them.
        source: A deleted clip's blake3, from its summary.
        all: Everything in the store.
        yes: Really remove.
    """

    clips: list[Path] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "CLIP"})
    source: list[str] | None = field(default=None, metadata={"metavar": "DIGEST"})
    all: bool = False
    yes: bool = False
    store: str | None = field(default=None, metadata=_STORE)

    def __post_init__(self) -> None:
        """Raise VidferError unless exactly one thing is named."""
        if [bool(self.clips), bool(self.source), self.all].count(True) != 1:
            raise VidferError("name what to remove: CLIP, --source DIGEST or --all, one of them")


def _open(store: str | None) -> Store:
    return Store(store or default_store())


def list_artifacts(options: ListOptions) -> int:
    """Print the artifacts, and count them."""
    store = _open(options.store)
    here = entries(store), leftovers(store)
    every, rest = far_entries(store) if store.remote else here
    for entry in every:
        print(f"{entry.stage}\t{entry.status}\t{entry.size}\t{entry.key}")
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
        print(f"{folder.parent.parent.name}\t{folder.name}\t{fault}")
    where = f"{store.place} and its mirror {store.root}" if store.remote else store.place
    say(f"{where}: {count} artifacts checked, {len(faults)} at fault")
    return 1 if faults else 0


def gc_artifacts(options: GcOptions) -> int:
    """Remove, or print, what is old."""
    store = _open(options.store)
    return _remove(store, removable(store, options.older_than * 86_400), options.yes)


def purge_artifacts(options: PurgeOptions) -> int:
    """Remove, or print, what was computed from clips."""
    store = _open(options.store)
    if options.all:
        return _remove(store, removable(store), options.yes)
    clips: list[Clip] = []
    if options.clips:  # pictures may have been clips, or, in a folder, frames of one at any rate
        clips = [*find_clips(options.clips, notify=say), *find_clips(options.clips, picture_fps=1.0)]
    sources = options.source or list({content_digest(clip, store): None for clip, _ in clips})
    return _remove(store, derived_from(store, sources), options.yes)


def _remove(store: Store, doomed: list[Entry], really: bool) -> int:
    for entry in doomed:
        where = "" if store.remote is None else "\tremote" if entry.names else "\tmirror"
        print(f"{entry.stage}\t{entry.size}\t{entry.key}{where}")
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
