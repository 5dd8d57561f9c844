"""Progress and notes on standard error."""

import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidfer.cli.logs import LOG
from vidfer.cli.put import printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from vidfer.pipeline.store import Store


def bars(*counts: "ProgressColumn", keep: bool = False) -> "Progress":
    """Make progress bars on standard error, where it is a terminal, and until they end; with `keep` anywhere, and they stay.

    With `--quiet` there are none.
    """
    from rich.progress import BarColumn, TextColumn

    return progress_of(TextColumn("{task.description}", markup=False), BarColumn(), *counts, keep=keep)


def progress_of(*columns: "ProgressColumn", keep: bool = False, expand: bool = False) -> "Progress":
    """Make what `bars` makes of any columns; with `expand` as wide as the terminal."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns,
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=not keep,
        expand=expand,
        disable=_quiet() or (not keep and not sys.stderr.isatty()),
    )


def _quiet() -> bool:
    return not LOG.isEnabledFor(logging.INFO)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, float, str], None]]:
    """Show a bar for work in steps; it takes the steps done, their number, and the one at work."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    with bars(MofNCompleteColumn(), TimeElapsedColumn()) as shown:
        bar = shown.add_task("")
        yield lambda done, total, what: shown.update(bar, completed=done, total=total, description=what)


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar for a download; it takes the bytes that came and, where known, their number."""
    from rich.progress import DownloadColumn, TimeRemainingColumn

    with bars(DownloadColumn(), TimeRemainingColumn(), keep=True) as shown:
        bar = shown.add_task(printable(name), total=None, visible=False)  # nothing may have to be fetched
        yield lambda done, total: shown.update(bar, completed=done, total=total, visible=True)


def say(message: str) -> None:
    """Write a note to the standard error stream, unless the command is to be quiet."""
    LOG.info("%s", message)


def say_where_faces_are_kept(store: "Store", named: str | None, *, pictures: bool = True) -> None:
    """Say where a first run keeps crops of faces, or embeddings alone, and how they are removed.

    Nothing is said where the store is there already.
    """
    if not store.root.exists():
        option = f" --store {shlex.quote(named)}" if named else ""
        where = f"in {store.root}, for you alone"
        if store.remote:
            where = f"at {store.remote}, for all who may read there, and {where}"
        what = "Crops" if pictures else "Embeddings"
        say(f"{what} of faces are kept {where}. To remove them: vidfer purge --all --yes{option}")


def fault(message: str) -> None:
    """Write what went wrong to the standard error stream, always."""
    LOG.error("%s", message)
