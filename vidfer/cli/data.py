"""`vidfer data`: where the data sets are had, and whether they are there."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import cell, put
from vidfer.datasets.check import DataCheck, check_data, default_root, find_source
from vidfer.datasets.sources import SOURCES
from vidfer.types import EMOTIONS

ACTIONS = {"list": "vidfer.cli.data.list_sets", "check": "vidfer.cli.data.check"}


@dataclass(frozen=True)
class ListOptions:
    """Name the data sets: what each holds, where it is had, its terms, and whether its folder is there."""


@dataclass(frozen=True)
class CheckOptions:
    """Say whether a data set is there and whole; exit status 1 where it is not.

    Args:
        name: A name that `vidfer data list` prints.
        root: Its folder, or fer2013.csv (default: the one that `vidfer data list` prints).
    """

    name: str = field(metadata=POSITIONAL)
    root: Path | None = field(default=None, metadata={"metavar": "DIR"})


def list_sets(_options: ListOptions) -> int:
    """Print four lines a data set."""
    for name, source in SOURCES.items():
        folder = default_root(name)
        there = "there" if folder.exists() else "not there"
        put(f"{name:<8}  {source.title}")
        for label, text in (("page", source.page), ("terms", source.terms), ("folder", f"{folder} ({there})")):
            put(f"{'':<8}  {label:<7} {text}", indent=" " * 18)
    put("\n`vidfer data check NAME` counts what is there; docs/reference/data.md says more.")
    return 0


def check(options: CheckOptions) -> int:
    """Print what was found, and return 1 where something is missing."""
    name = options.name.lower().replace("+", "plus").replace("-", "_")  # also as it is published: FER+, CREMA-D
    source, root = find_source(name), options.root or default_root(name)
    put(source.title)
    for label, text in (("folder", root), ("layout", source.layout), ("page", source.page), ("terms", source.terms)):
        put(f"  {label:<7} {text}", indent=" " * 10, flush=True)
    found = check_data(name, root)
    _print_counts(found)
    lines = [*found.notes, *(f"missing: {line}" for line in found.missing)]
    for line in [*lines, f"to get it: {source.get}"] if found.missing else lines:
        put(f"  {line}", indent=" " * 4)
    put("whole" if found.whole else "not whole" if found.counts else "not found")
    return 0 if found.whole else 1


def _print_counts(found: DataCheck) -> None:
    """Print a table of the usable items of each part by class."""
    from rich.console import Console
    from rich.table import Table

    if not found.counts:
        return
    classes = [name for name in EMOTIONS if any(name in counts for counts in found.counts.values())]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("", "all", *classes):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for part, counts in found.counts.items():
        numbers = [str(counts[name]) if counts[name] else "-" for name in classes]
        table.add_row(cell(f"  {part}"), str(counts.total()), *numbers)
    Console().print(table)
