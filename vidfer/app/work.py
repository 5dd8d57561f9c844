"""The work on one job, in a process of its own that keeps the models loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.runner import StageProgress
from vidfer.results.links import address
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions, build_chain

_TAKEN: Final = frozenset({"report", "summary", "tables.zip"})
"""What else has an address beside a clip."""


@dataclass(frozen=True)
class Task:
    """A clip to be analysed: where it lies, what its sender called it, where the results go, and how it is to be done.

    The store is this job's own, so that crops of faces vanish with the job. `played` says that a player can open the clip.
    """

    clip: Path
    name: str
    results: Path
    store: Path
    chain: ChainOptions
    tables: TableOptions
    show_faces: bool = False
    played: bool = True

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Analysis:
    """The work that a server's workers do: `None` loads the models, a `Task` analyses its clip."""

    chain: ChainOptions

    def __call__(self, task: Task | None, progress: StageProgress) -> dict[str, Any]:
        """Write a task's results into its folder, and return the clip's summary; nothing for `None`."""
        if task is None:
            for stage in build_chain(self.chain):
                stage.warm()
            return {}
        from vidfer.api import Writing, analyze_clip, write_result

        result = analyze_clip(
            task.clip,
            task.chain,
            tables=task.tables,
            clip_id=task.name,
            store=task.store,
            progress=progress,
            name=task.name,
        )
        how = Writing(show_faces=task.show_faces)
        write_result(result, task.results, how, video=played_at(task.name) if task.played else "")
        return result.summary


def played_at(name: str) -> str:
    """Return the address of a clip from its report: its name, so that a report that was saved beside the clip plays it, too.

    Example:
        >>> played_at('"a b?.mp4'), played_at("report")
        ('./%22a%20b%3F.mp4', './video')
    """
    return address(Path("video" if name in _TAKEN else name), Path())
