"""`vidfer cache`: list, verify, gc and purge the store."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.cli.options import add_store_option, find_clips

if TYPE_CHECKING:
    from vidfer.pipeline.gc import Entry
    from vidfer.pipeline.store import Store

_DAY = 86_400


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb and its four actions."""
    parser = verbs.add_parser("cache", help="list, verify, gc or purge stored artifacts")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line per artifact, and what each stage takes")
    listing.set_defaults(run=_list)
    verify = actions.add_parser("verify", help="check every byte; what is damaged goes to quarantine (exit status 1)")
    verify.set_defaults(run=_verify)
    gc = actions.add_parser("gc", help="remove what is old; without --yes only say what would go")
    gc.add_argument("--older-than", type=float, default=30.0, metavar="DAYS", help="default: 30")
    gc.set_defaults(run=_gc)
    purge = actions.add_parser("purge", help="remove everything computed from clips; without --yes only say what")
    which = purge.add_mutually_exclusive_group(required=True)
    which.add_argument("clips", type=Path, nargs="*", default=[], metavar="CLIP", help="clips, or folders of them")
    which.add_argument("--source", action="append", metavar="DIGEST", help="a deleted clip's blake3, from its summary")
    which.add_argument("--all", action="store_true", help="everything in the store")
    purge.set_defaults(run=_purge)
    for action in (gc, purge):
        action.add_argument("--yes", action="store_true", help="really remove")
    for action in (listing, verify, gc, purge):
        add_store_option(action)


def _store(args: argparse.Namespace) -> "Store":
    from vidfer.pipeline.store import Store, default_store

    return Store(args.store or default_store())


def _list(args: argparse.Namespace) -> int:
    from vidfer.pipeline.gc import entries, leftovers

    store = _store(args)
    every = entries(store)
    for entry in every:
        print(f"{entry.stage}\t{entry.status}\t{entry.size}\t{entry.key}")
    sizes, counts = Counter[str](), Counter[str]()
    for entry in (*every, *leftovers(store)):
        sizes[entry.stage] += entry.size
        counts[entry.stage] += 1
    for stage in sorted(sizes):
        print(f"{stage}: {counts[stage]}, {_bytes(sizes[stage])}", file=sys.stderr)
    print(f"{store.root}: {len(every)} artifacts, {_bytes(sum(sizes.values()))} in all", file=sys.stderr)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from vidfer.pipeline.gc import entries, verify

    store = _store(args)
    count = len(entries(store))
    damaged = verify(store)
    for folder, fault in damaged:
        print(
            f"{folder.parent.parent.name}\t{folder.name}\t{fault}; moved to quarantine, the next run computes it again"
        )
    print(f"{store.root}: {count} artifacts checked, {len(damaged)} damaged", file=sys.stderr)
    return 1 if damaged else 0


def _gc(args: argparse.Namespace) -> int:
    from vidfer.pipeline.gc import removable

    store = _store(args)
    return _remove(store, removable(store, args.older_than * _DAY), args.yes)


def _purge(args: argparse.Namespace) -> int:
    from vidfer.pipeline.digest import content_digest
    from vidfer.pipeline.gc import derived_from, entries, leftovers

    store = _store(args)
    if args.all:
        return _remove(store, [*entries(store), *leftovers(store)], args.yes)
    clips = [file for file, _ in find_clips(args.clips)]
    sources = args.source or [content_digest(clip, store) for clip in clips]
    return _remove(store, derived_from(store, sources), args.yes)


def _remove(store: "Store", doomed: "list[Entry]", really: bool) -> int:
    from vidfer.pipeline.gc import remove

    for entry in doomed:
        print(f"{entry.stage}\t{entry.size}\t{entry.key}")
    size = _bytes(sum(entry.size for entry in doomed))
    if really:
        remove(store, doomed)
        print(f"{len(doomed)} removed, {size} freed", file=sys.stderr)
    else:
        print(f"{len(doomed)} would be removed, {size}; say --yes to do it", file=sys.stderr)
    return 0


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
