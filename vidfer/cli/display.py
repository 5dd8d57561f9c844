"""What people see in the terminal: progress on standard error, the table on standard output."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vidfer.inference.decision import UNCERTAIN

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def _bars(*counts: "ProgressColumn", keep: bool = False) -> "Progress":
    """Make bars with a title and the columns given on standard error.

    They go at the end, and are not there where that is no terminal; with `keep` their last state stays in both cases.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        *(TextColumn("{task.description}", markup=False), BarColumn(), *counts),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=not keep,
        disable=not keep and not sys.stderr.isatty(),
    )


@contextmanager
def progress_bar() -> Iterator[Callable[[float, float, str], None]]:
    """Show a bar for work in steps; it takes the steps done, their number, and the one at work."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    with _bars(MofNCompleteColumn(), TimeElapsedColumn()) as bars:
        bar = bars.add_task("")
        yield lambda done, total, what: bars.update(bar, completed=done, total=total, description=what)


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar for a download; it takes the bytes that came and, where known, their number."""
    from rich.progress import DownloadColumn, TimeRemainingColumn

    with _bars(DownloadColumn(), TimeRemainingColumn(), keep=True) as bars:
        bar = bars.add_task(name, total=None, visible=False)  # nothing may have to be fetched
        yield lambda done, total: bars.update(bar, completed=done, total=total, visible=True)


def say(message: str) -> None:
    """Write a line to the standard error stream."""
    print(message, file=sys.stderr, flush=True)


class ClipProgress:
    """A bar over all clips, and one inside each clip at work.

    Args:
        clips: The clips in the order in which positions count them.
    """

    def __init__(self, clips: list[Path]) -> None:
        from rich.progress import MofNCompleteColumn, TimeElapsedColumn

        self._clips = clips
        self._progress = _bars(MofNCompleteColumn(), TimeElapsedColumn())
        self._all = self._progress.add_task("clips", total=len(clips))
        self._inside: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, position: int, stage: str, share: float) -> None:
        """Show how far a stage has come with a clip."""
        if position not in self._inside:
            self._inside[position] = self._progress.add_task("", total=100)
        description = f"  {_short(self._clips[position].name)} · {stage}"
        self._progress.update(self._inside[position], completed=int(100 * share), description=description)

    def finish(self, position: int) -> None:
        """Count a clip as done."""
        if position in self._inside:
            self._progress.remove_task(self._inside.pop(position))
        self._progress.advance(self._all)


def print_overview(summaries: list[dict[str, Any]]) -> None:
    """Print a row per clip: status, the predominant expression with its margin, and what each modality says."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title="Displayed expressions",
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("clip", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("predominant", no_wrap=True, style="bold")
    table.add_column("margin", no_wrap=True, justify="right")
    for name in ("faces", "sound"):
        table.add_column(name, no_wrap=True)
    table.add_column("people", no_wrap=True, justify="right")
    for name, summary in zip(_names([summary["clip"] for summary in summaries]), summaries, strict=True):
        status = str(summary["status"])
        table.add_row(
            escape(name),
            status if status == "ok" else f"[yellow]{status}[/yellow]",
            _predominant(summary["predominant"]),
            "-" if summary["margin"] is None else f"{summary['margin']:.2f}",
            _modality(summary["faces"]),
            _modality(summary["sound"]),
            str(len(summary["people"])),
        )
    console = Console()
    console.print(table)
    for line in (_uncertain(summaries), _denoised(summaries)):
        if line:
            console.print(f"[dim]{line}[/dim]")


def _names(clips: Sequence[str]) -> list[str]:
    """Shorten clips' paths by the folder that all of them lie in."""
    folders = {str(Path(clip).parent) for clip in clips}
    mixed = len({Path(folder).is_absolute() for folder in folders}) > 1
    base = os.path.commonpath(folders) if folders and not mixed else ""
    return [os.path.relpath(clip, base) if base not in ("", ".", "/") else clip for clip in clips]


def _denoised(summaries: list[dict[str, Any]]) -> str:
    """Say what denoising did, in one line; nothing when it left every face alone."""
    done = [told for summary in summaries if (told := summary["denoise"]) and told["denoised"]]
    if not done:
        return ""
    faces, denoised, changed = (sum(told[name] for told in done) for name in ("faces", "denoised", "answers_changed"))
    return f"Denoised {denoised} of {faces} faces in {len(done)} of {len(summaries)} clips: {changed} answers changed."


def _uncertain(summaries: list[dict[str, Any]]) -> str:
    """Say how many clips got no class by --abstain, in one line; nothing when all did."""
    left = [summary for summary in summaries if summary["predominant"] == UNCERTAIN]
    if not left:
        return ""
    threshold = left[0]["settings"]["abstain"]
    return (
        f"Uncertain: {len(left)} of {len(summaries)} clips, where no class has a probability of {threshold:g} or more."
    )


def _predominant(name: str | None) -> str:
    return f"[yellow]{name}[/yellow]" if name == UNCERTAIN else name or "-"


def _modality(part: dict[str, Any]) -> str:
    """Name a modality's class with its probability; in brackets where it is not probable enough to be the answer."""
    if part["predominant"] is None:
        return f"[dim]{part['status']}[/dim]"
    name = max(part["distribution"], key=part["distribution"].__getitem__)
    told = f"{name} {part['distribution'][name]:.2f}"
    return f"[dim]({told})[/dim]" if part["predominant"] == UNCERTAIN else told


def _short(name: str, width: int = 32) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
