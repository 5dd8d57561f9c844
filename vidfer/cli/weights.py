"""`vidfer weights`: which weights there are, fetch them, check them."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.display import download_bar, say
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import one_line, put
from vidfer.types import UsageError
from vidfer.weights.bundles import SHIPPED_BUNDLE, read_bundle
from vidfer.weights.hub import Entry, pull, pulled, read_registry, record_of, shipped
from vidfer.weights.published import PUBLISHED, pull_published

ACTIONS = {name: f"vidfer.cli.weights.{name}_weights" for name in ("list", "show", "pull", "verify", "onnx")}


_REGISTRY = {"metavar": "FILE|URL", "help": "A registry of further weights, such as a lab's"}


@dataclass(frozen=True)
class ListOptions:
    """Say what ships with vidfer, what was pulled, what can be."""

    registry: str | None = field(default=None, metadata=_REGISTRY)


@dataclass(frozen=True)
class ShowOptions:
    """Print what the card of weights says: data, heads, figures, calibration, use.

    Args:
        name: Weights that are here by name, or a .safetensors file.
    """

    name: str = field(metadata=POSITIONAL)


@dataclass(frozen=True)
class PullOptions:
    """Fetch weights into $VIDFER_WEIGHTS or the user's cache folder; their name is then taken wherever weights are named.

    Args:
        name: Their name in the registry; `identity` needs none.
    """

    name: str = field(metadata=POSITIONAL)
    registry: str | None = field(default=None, metadata=_REGISTRY)


@dataclass(frozen=True)
class VerifyOptions:
    """Check weights against the checksums of their registry and card (exit status 1 if one differs).

    Args:
        names: Weights (default: all that are here).
    """

    names: list[str] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "NAME"})
    registry: str | None = field(default=None, metadata=_REGISTRY)


@dataclass(frozen=True)
class OnnxOptions:
    """Write the graph of weights for ONNX Runtime beside them, where an older vidfer exported none; needs `vidfer[train]`.

    Args:
        files: .safetensors files with their cards.
    """

    files: list[Path] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "FILE"})


def list_weights(options: ListOptions) -> int:
    """Print a table of the weights; in a terminal, which is too narrow for it, what is long stands below each row."""
    from rich.filesize import decimal

    rows = [["name", "kind", "size", "where", "licence", "what"]]
    for entry in _known(options.registry).values():
        where = "shipped" if not entry.url else "here" if entry.here else "to be pulled"
        rows.append([entry.name, entry.kind, decimal(entry.size), where, entry.licence, entry.about])
    rows = [list(map(one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    beside = rows[0].index("licence") if sys.stdout.isatty() else len(widths)
    for row in rows:
        put("  ".join(f"{cell:<{width}}" for cell, width in zip(row[:beside], widths, strict=False)).rstrip())
        for heading, cell in zip(rows[0][beside:], row[beside:], strict=True):
            if row is not rows[0]:
                put(f"    {heading}: {cell}", indent="      ")
    if options.registry is None:
        bundle = read_bundle(SHIPPED_BUNDLE)
        models = ", ".join(f"{kind} {name}" for kind, name in bundle.names.items())
        say(f"the bundle {bundle.name}, by which clips are predicted unless --models names another: {models}")
        say("more weights can be pulled from a registry: --registry FILE|URL")
    return 0


def show_weights(options: ShowOptions) -> int:
    """Print a card."""
    from vidfer.evaluation.export import card_lines
    from vidfer.weights.files import find_weights, trained_weights

    if options.name.endswith(".safetensors"):
        weights = trained_weights(Path(options.name))
    else:
        weights = find_weights(_choose(_known(None), options.name, None).kind, options.name)
    for line in card_lines(weights):
        put(one_line(line))
    return 0


def pull_weights(options: PullOptions) -> int:
    """Fetch weights by name."""
    entry = _choose(_known(options.registry), options.name, options.registry)
    if not entry.url:
        put(f"{entry.name}: ships with vidfer, nothing to pull")
        return 0
    published = PUBLISHED.get(entry.name) == entry
    weights = pull_published(entry, download_bar) if published else pull(entry, download_bar)
    put(f"{entry.name}: {entry.size / 1e6:.1f} MB, {entry.licence}, in {weights.path.parent}")
    put("use them by --identify" if published else f"use them by --{entry.kind}-model {entry.name}")
    return 0


def verify_weights(options: VerifyOptions) -> int:
    """Print a line for each of the weights: right, or what is wrong and how to mend it."""
    known = _known(options.registry)
    names = options.names or [name for name, entry in known.items() if entry.here]
    wrong = 0
    for name in names:
        fault = _fault(_choose(known, name, options.registry), options.registry)
        wrong += bool(fault)
        put(f"{name}: {fault or 'weights and card are right'}")
    say(f"{len(names)} verified, {wrong} wrong")
    return 1 if wrong else 0


def onnx_weights(options: OnnxOptions) -> int:
    """Write graphs."""
    from vidfer.inference.network import require_torch
    from vidfer.weights.files import trained_weights

    if not options.files:
        raise UsageError("name .safetensors files")
    require_torch("vidfer weights onnx")
    from vidfer.inference.graphs import write_graph

    for file in options.files:
        put(write_graph(trained_weights(file)).graph_path)
    return 0


def _fault(entry: Entry, registry: str | None) -> str:
    """Return what is wrong with weights, and what to do about it; nothing if all is well."""
    place = "" if PUBLISHED.get(entry.name) == entry else f" --registry {registry or record_of(entry.name)}"
    again = f"vidfer weights pull {entry.name}{place}"
    if not entry.here:
        return f"not here; fetch them: {again}"
    if not (faults := entry.faults()):
        return ""
    remedy = f"delete what is wrong and fetch it again: {again}" if entry.url else "reinstall vidfer"
    return "; ".join([*faults, remedy])


def _known(registry: str | None) -> dict[str, Entry]:
    """Return a registry's weights, or else those that ship with vidfer, that others publish, or that were pulled."""
    return {**pulled(), **shipped(), **PUBLISHED} if registry is None else read_registry(registry)


def _choose(known: dict[str, Entry], name: str, registry: str | None) -> Entry:
    if name not in known:
        there, place = ", ".join(known) or "none", registry or "vidfer, nor pulled"
        raise UsageError(f"no weights '{name}' in {place}: there are {there}; others: --registry FILE|URL")
    return known[name]
