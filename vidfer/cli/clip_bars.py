"""Progress of clips: one bar from 0 to 100 % for each that is at work and, of several, one for all."""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from vidfer.cli.display import progress_of
from vidfer.cli.logs import LOG
from vidfer.cli.put import cell, one_line
from vidfer.cli.text import shorten
from vidfer.pipeline.engines import Engine, LocalEngine
from vidfer.pipeline.worker import Work
from vidfer.results.names import shown
from vidfer.stages.progress import ANALYSIS, LOADING, STAGES, ClipProgress
from vidfer.types import ClipError

Item = TypeVar("Item")


class _Name(ProgressColumn):
    """A clip's name, shortened in its middle."""

    def __init__(self, width: int) -> None:
        super().__init__(Column(width=width, no_wrap=True))
        self._width = width

    def render(self, task: Task) -> Text:
        return cell(shorten(task.fields["name"], self._width))


class _TimeLeft(ProgressColumn):
    """How long a clip, or all of them, still take, once that can be told."""

    def __init__(self) -> None:
        super().__init__(Column(width=12, justify="right", no_wrap=True))

    def render(self, task: Task) -> Text:
        return cell(in_words(task.time_remaining))


def in_words(seconds: float | None) -> str:
    """Say how long something still takes; nothing where that is not known.

    Example:
        >>> in_words(75 * 60)
        '1:15 h left'
    """
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h left"


class ClipBars:
    """Bars that never go back. Where standard error is no terminal there are lines instead, one for each clip that is done.

    Args:
        names: What the clips are called, in the order of their positions.
        jobs: Clips at work at once; each begins by loading the models.
        stages: Names of the stages that a clip goes through, in order, of `STAGES`.
    """

    def __init__(self, names: Sequence[str], jobs: int, stages: Sequence[str]) -> None:
        self._way = ClipProgress(stages)
        self._names = list(map(one_line, names))
        self._done = [0.0] * len(names)
        self._finished = 0
        self._began: dict[int, float] = {}
        self._tasks: dict[int, TaskID] = {}
        self.shown = progress_of(*_columns(), expand=True)
        several = len(names) > 1
        self._whole = self.shown.add_task("", total=1.0, start=False, name=self._count()) if several else None
        for position in range(min(jobs, len(names))):
            self._begin(position, LOADING)

    def update(self, position: int, stage: str, share: float) -> None:
        """Say that a clip is at a stage, which has done a share in [0, 1] of its work."""
        words = STAGES[stage][0]
        if position not in self._tasks:
            self._begin(position, words)
        done = self._way.done(stage, share)
        if done > self._way.done("faces", 0.0):  # when that stage begins, models are loaded
            self._move(position, done, words)

    def finish(self, position: int, outcome: str) -> None:
        """Bring a clip's bar to its end and take it away."""
        if position not in self._tasks:
            self._begin(position, "")
        self._move(position, 1.0, "")
        self.shown.remove_task(self._tasks.pop(position))
        self._finished += 1
        if self._whole is not None:
            self.shown.update(self._whole, name=self._count())
        level = logging.DEBUG if sys.stderr.isatty() else logging.INFO
        took = f"{time.monotonic() - self._began[position]:.1f} s"
        LOG.log(level, "%d of %d: %s: %s, %s", self._finished, len(self._names), self._names[position], outcome, took)

    def _begin(self, position: int, words: str) -> None:
        self._began[position] = time.monotonic()
        self._tasks[position] = self.shown.add_task(words, total=1.0, start=False, name=self._names[position])

    def _move(self, position: int, done: float, words: str) -> None:
        self._done[position] = max(self._done[position], min(done, 1.0))
        self.shown.start_task(self._tasks[position])
        self.shown.update(self._tasks[position], completed=self._done[position], description=words)
        if self._whole is not None:
            self.shown.start_task(self._whole)
            self.shown.update(self._whole, completed=sum(self._done) / len(self._done))

    def _count(self) -> str:
        return f"{self._finished} of {len(self._names)} clips"


def _columns() -> list[ProgressColumn]:
    width = Console(stderr=True).width
    words = max(len(words) for words, _ in STAGES.values())
    return [
        _Name(max(12, min(48, width - 56))),
        TextColumn("{task.description}", markup=False, table_column=Column(width=words, no_wrap=True)),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %", table_column=Column(width=5, no_wrap=True)),
        _TimeLeft(),
    ]


def run_with_bars(
    work: Work[Item],
    clips: Sequence[Item],
    engine: Engine,
    stages: Sequence[str] = ANALYSIS,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Have an engine do the work, under a bar over all clips and one for each clip at work, see `ClipBars`.

    By default clips, which are paths then, are called by their files' names.
    """
    jobs = engine.jobs if isinstance(engine, LocalEngine) else 0  # elsewhere nobody knows which begin at once
    bars = ClipBars([shown(Path(str(clip)).name) for clip in clips] if names is None else names, jobs, stages)
    with bars.shown:
        for position, done in engine.run(work, clips, bars.update):
            yield position, done
            bars.finish(position, _outcome(done))


def _outcome(done: Any) -> str:  # noqa: ANN401 - whatever the work returns
    if isinstance(done, ClipError):
        return str(done.status)
    return str(done["predominant"] or done["status"]) if "predominant" in done else "done"
