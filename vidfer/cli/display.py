"""What people see in the terminal: progress on standard error, the table on standard output."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidfer.inference.decision import UNCERTAIN
from vidfer.media.quality import nearly_all
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID
    from rich.table import Table

    from vidfer.pipeline.workers import Work


def bars(*counts: "ProgressColumn", keep: bool = False) -> "Progress":
    """Make progress bars on standard error, where it is a terminal, and until they end; with `keep` anywhere, and they stay."""
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

    with bars(MofNCompleteColumn(), TimeElapsedColumn()) as shown:
        bar = shown.add_task("")
        yield lambda done, total, what: shown.update(bar, completed=done, total=total, description=what)


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar for a download; it takes the bytes that came and, where known, their number."""
    from rich.progress import DownloadColumn, TimeRemainingColumn

    with bars(DownloadColumn(), TimeRemainingColumn(), keep=True) as shown:
        bar = shown.add_task(name, total=None, visible=False)  # nothing may have to be fetched
        yield lambda done, total: shown.update(bar, completed=done, total=total, visible=True)


def say(message: str) -> None:
    """Write a line to the standard error stream."""
    print(message, file=sys.stderr, flush=True)


def run_with_bars(work: "Work[Path]", clips: Sequence[Path], jobs: int) -> "Iterator[tuple[int, Any]]":
    """Do the work as `run_all` does, under a bar over all clips and one inside each clip at work."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    from vidfer.pipeline.workers import run_all

    with bars(MofNCompleteColumn(), TimeElapsedColumn()) as shown:
        whole = shown.add_task("clips", total=len(clips))
        inside: dict[int, TaskID] = {}

        def update(position: int, stage: str, share: float) -> None:
            if position not in inside:
                inside[position] = shown.add_task("", total=100)
            shown.update(
                inside[position], completed=100 * share, description=f"  {_short(clips[position].name)} · {stage}"
            )

        for position, done in run_all(work, clips, jobs, update):
            yield position, done
            if position in inside:
                shown.remove_task(inside.pop(position))
            shown.advance(whole)


def print_overview(summaries: list[dict[str, Any]]) -> None:
    """Print a row per clip: status, the predominant expression with its margin, and each modality's prediction."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Displayed expressions", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("clip", overflow="fold")
    for name in ("status", "predominant", "margin", "faces", "sound", "people"):
        justify: Literal["left", "right"] = "right" if name in ("margin", "people") else "left"
        table.add_column(name, no_wrap=True, justify=justify, style="bold" if name == "predominant" else "")
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
    voting = [summary for summary in summaries if (summary["settings"] or {}).get("faces") == "vote"]
    if voting:
        console.print(_vote_table(voting))
    for line in (*_unusable(summaries), *_uncertain(summaries), *_denoised(summaries), *_weights(summaries)):
        console.print(f"[dim]{escape(line)}[/dim]")


def _vote_table(summaries: list[dict[str, Any]]) -> "Table":
    """Count the face images of each clip by their most probable class, and of all clips together."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title="Votes of the face images", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0
    )
    table.add_column("clip", overflow="fold")
    for name in ("faces", *EMOTIONS):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("vote", no_wrap=True, style="bold")
    total: Counter[str] = Counter()
    for name, summary in zip(_names([summary["clip"] for summary in summaries]), summaries, strict=True):
        faces, vote = summary["faces"], summary["faces"]["vote"] or {"predominant": None, "distribution": None}
        voting = faces["n_faces"] - faces["n_uncertain"]
        counts = {name: round(share * voting) for name, share in (vote["distribution"] or {}).items()}
        total.update({"faces": faces["n_faces"], **counts})
        cells = [str(counts.get(name, 0)) for name in EMOTIONS]
        table.add_row(escape(name), str(faces["n_faces"]), *cells, _predominant(vote["predominant"]))
    if len(summaries) > 1:
        first = max(EMOTIONS, key=total.__getitem__) if any(total[name] for name in EMOTIONS) else None
        table.add_section()
        table.add_row("all clips", *(str(total[name]) for name in ("faces", *EMOTIONS)), _predominant(first))
    return table


def _weights(summaries: list[dict[str, Any]]) -> Iterator[str]:
    """Say whose weights predicted: those of all clips are the same."""
    if found := next((summary for summary in summaries if summary["models"]), None):
        preset = "" if found["preset"] == "default" else f", preset {found['preset']}"
        models = [f"{kind} {Path(each['weights']).name} ({each['network']})" for kind, each in found["models"].items()]
        yield f"Weights of the bundle {found['bundle']}{preset}: {', '.join(models)}."


def _names(clips: Sequence[str]) -> list[str]:
    """Shorten clips' paths by the folder that all of them lie in."""
    folders = {str(Path(clip).parent) for clip in clips}
    mixed = len({Path(folder).is_absolute() for folder in folders}) > 1
    base = os.path.commonpath(folders) if folders and not mixed else ""
    return [os.path.relpath(clip, base) if base not in ("", ".", "/") else clip for clip in clips]


def _denoised(summaries: list[dict[str, Any]]) -> Iterator[str]:
    """Say what denoising did, unless it left every face alone."""
    counts = [summary["denoise"] for summary in summaries if summary["denoise"] and summary["denoise"]["denoised"]]
    if counts:
        faces, denoised, changed = (
            sum(each[name] for each in counts) for name in ("faces", "denoised", "answers_changed")
        )
        yield (
            f"Denoised {denoised} of {faces} faces in {len(counts)} of {len(summaries)} clips: "
            f"{changed} predictions changed."
        )


def _unusable(summaries: list[dict[str, Any]]) -> Iterator[str]:
    """Name each clip whose faces are nearly all hardly usable, and say why."""
    for summary in summaries:
        if nearly_all(summary["faces"].get("n_unusable", 0), summary["faces"].get("n_faces", 0)):
            yield f"{summary['clip']}: {summary['faces']['message']}"


def _uncertain(summaries: list[dict[str, Any]]) -> Iterator[str]:
    """Say how many clips got no class by --abstain, unless all did."""
    left = [summary["settings"]["abstain"] for summary in summaries if summary["predominant"] == UNCERTAIN]
    if left:
        yield f"Uncertain: {len(left)} of {len(summaries)} clips, where no class has a probability of {left[0]:g} or more."


def _predominant(name: str | None) -> str:
    return f"[yellow]{name}[/yellow]" if name == UNCERTAIN else name or "-"


def _modality(part: dict[str, Any]) -> str:
    """Name a modality's class with its probability, in brackets where that is too low to predict it."""
    if part["predominant"] is None:
        return f"[dim]{part['status']}[/dim]"
    name = max(part["distribution"], key=part["distribution"].__getitem__)
    named = f"{name} {part['distribution'][name]:.2f}"
    return f"[dim]({named})[/dim]" if part["predominant"] == UNCERTAIN else named


def _short(name: str, width: int = 32) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
