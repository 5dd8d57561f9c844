"""`vidfer weights`: which weights there are, fetch them, check them."""

import argparse
import sys
from typing import TYPE_CHECKING

from vidfer.types import UsageError

if TYPE_CHECKING:
    from vidfer.weights.catalogue import Entry


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb and its three actions."""
    parser = verbs.add_parser("weights", help="list, pull and verify weights")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what ships with vidfer, what was pulled, what can be")
    listing.set_defaults(run=_list)
    pull = actions.add_parser(
        "pull",
        help="fetch weights into $VIDFER_WEIGHTS or the user's cache folder; their name is then taken wherever weights are named",
    )
    pull.add_argument("name", metavar="NAME")
    pull.set_defaults(run=_pull)
    verify = actions.add_parser(
        "verify", help="hold sizes and checksums against the registry (exit status 1 if one differs)"
    )
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that is here")
    verify.set_defaults(run=_verify)
    for action in (listing, pull, verify):
        action.add_argument(
            "--registry", metavar="FILE|URL", help="another registry than vidfer's own, such as a lab's"
        )


def _known(registry: str | None) -> "dict[str, Entry]":
    """Return a registry's entries; of vidfer's own also what was pulled, from wherever."""
    from vidfer.weights.hub import pulled, read_registry

    known = read_registry(registry)
    if registry is None:
        known = {**known, **pulled(), **{name: entry for name, entry in known.items() if entry.url is None}}
    return known


def _list(args: argparse.Namespace) -> int:
    entries = _known(args.registry).values()
    rows = [("name", "kind", "size", "where", "licence", "what")]
    rows += [
        (entry.name, entry.kind, f"{entry.size / 1e6:.1f} MB", _where(entry), entry.licence, entry.about)
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    if all(entry.url is None for entry in entries):
        print("nothing to pull in this registry; another one is read by --registry FILE|URL", file=sys.stderr)
    return 0


def _where(entry: "Entry") -> str:
    from vidfer.weights.files import weights_folder

    if entry.url is None:
        return "shipped"
    here = all((weights_folder() / f"{entry.name}{suffix}").is_file() for suffix in entry.files)
    return "here" if here else "to be pulled"


def _pull(args: argparse.Namespace) -> int:
    from vidfer.cli.download import say, shown
    from vidfer.weights.hub import pull

    entry = _chosen(_known(args.registry), args.name, args.registry)
    if entry.url is None:
        print(f"{entry.name}: ships with vidfer, nothing to pull")
        return 0
    weights = pull(entry, shown, say)
    print(f"{entry.name}: {entry.size / 1e6:.1f} MB, {entry.licence}, in {weights.path.parent}")
    print(f"use them by --{entry.kind}-model {entry.name}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    known = _known(args.registry)
    names = args.names or [name for name, entry in known.items() if _where(entry) != "to be pulled"]
    wrong = 0
    for name in names:
        entry = _chosen(known, name, args.registry)
        faults = _faults(entry, args.registry)
        wrong += bool(faults)
        print(f"{name}: {'; '.join(faults) if faults else 'size and sha256 of weights and card are right'}")
    print(f"{len(names)} verified, {wrong} wrong", file=sys.stderr)
    return 1 if wrong else 0


def _faults(entry: "Entry", registry: str | None) -> list[str]:
    """Return what is wrong with weights, and last what to do about it; nothing if all is well."""
    from vidfer.weights.catalogue import CATALOGUE
    from vidfer.weights.files import weights_folder
    from vidfer.weights.hub import record_of

    again = f"vidfer weights pull {entry.name}"
    if _where(entry) == "to be pulled":
        return ["not here", f"fetch them: {again}" + (f" --registry {registry}" if registry else "")]
    folder = CATALOGUE.parent if entry.url is None else weights_folder()
    wrong = {suffix: fault for suffix in entry.files if (fault := entry.fault(suffix, folder))}
    if not wrong:
        return []
    if entry.url is None:
        remedy = "reinstall vidfer; where the weights were replaced on purpose run python -m vidfer.weights.catalogue"
    else:
        files = " ".join(str(folder / f"{entry.name}{suffix}") for suffix in wrong)
        remedy = f"delete {files} and fetch them again: {again} --registry {registry or record_of(entry.name)}"
    return [*wrong.values(), remedy]


def _chosen(known: "dict[str, Entry]", name: str, registry: str | None) -> "Entry":
    if name not in known:
        place = registry or "vidfer's registry"
        raise UsageError(
            f"no weights '{name}' in {place}: it has {', '.join(known) or 'none'}; others: --registry FILE|URL"
        )
    return known[name]
