"""`vidfer analyze`: from clips to tables."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.chain import WorkOptions
from vidfer.cli.options import POSITIONAL, find_clips
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from vidfer.pipeline.runner import StageProgress
    from vidfer.stages.chain import ChainOptions


@dataclass(frozen=True)
class AnalyzeOptions:
    """Turn videos into tables of displayed expressions.

    Exit status: 0 when every clip was read without a fault, 1 when one was not (each is named), 2 for wrong usage.

    Args:
        paths: Video files, or folders of them.
        out: Where the tables go.
        json: Print each clip's summary as one JSON line.
    """

    paths: list[Path] = field(metadata=POSITIONAL | {"metavar": "PATH"})
    out: Path = field(default=Path("vidfer-results"), metadata={"metavar": "DIR"})
    json: bool = False
    work: WorkOptions = field(default_factory=WorkOptions)


_SOUND_IS_FINE = {Status.OK, Status.NO_AUDIO, Status.SILENT, Status.TOO_SHORT}


@dataclass(frozen=True)
class _AnalyzeClip:
    """The work on one clip, in this process or in a worker."""

    options: "ChainOptions"
    store: Path | None
    places: dict[Path, Path]

    def __call__(self, clip: Path, progress: "StageProgress") -> dict[str, Any]:
        from vidfer.api import analyze, write_result

        result = analyze(clip, options=self.options, store=self.store, progress=progress)
        write_result(result, self.places[clip])
        return result.summary


def run(options: AnalyzeOptions) -> int:
    """Analyse the clips, write the tables, print the overview."""
    from vidfer.api import ClipResult, write_overview, write_result
    from vidfer.cli.display import ClipProgress, print_overview
    from vidfer.pipeline.store import default_store
    from vidfer.pipeline.workers import run_all

    out, store, jobs = options.out, options.work.store, options.work.jobs
    clips = find_clips(options.paths, leave_out=[out, store or default_store()])
    work = _AnalyzeClip(options.work.chain, store, {file: out / place for file, place in clips})
    summaries: dict[int, dict[str, Any]] = {}
    write_overview([], out)  # finds out now, and not after hours, whether results can be written
    try:
        with ClipProgress([file for file, _ in clips]) as progress:
            for position, done in run_all(work, [file for file, _ in clips], jobs, progress.update):
                if isinstance(done, ClipError):
                    failed = ClipResult.failed(clips[position][0], done)
                    write_result(failed, work.places[clips[position][0]])
                    done = failed.summary
                summaries[position] = done
                progress.finish(position)
    finally:
        ordered = [summaries[position] for position in sorted(summaries)]
        write_overview(ordered, out)
    if options.json:
        for summary in ordered:
            print(json.dumps(summary, ensure_ascii=False))
    else:
        print_overview(ordered)
        print(f"\nTables: {out / 'summary.csv'} and a folder per clip beside it.")
    return _exit_status(ordered)


def _exit_status(summaries: list[dict[str, Any]]) -> int:
    failed = False
    for summary in summaries:
        sound = summary["sound"]
        if summary["status"] != Status.OK:
            print(f"{summary['clip']}: {summary['status']}: {summary['message']}", file=sys.stderr)
        elif sound["status"] not in _SOUND_IS_FINE:
            print(f"{summary['clip']}: its sound is {sound['status']}: {sound['message']}", file=sys.stderr)
        else:
            continue
        failed = True
    return 1 if failed else 0
