"""`vidfer analyze`: from clips to tables."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import add_chain_options, chain_options, find_clips
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from vidfer.pipeline.runner import StageProgress
    from vidfer.stages.chain import ChainOptions


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser(
        "analyze",
        help="turn videos into tables of displayed expressions",
        description="Analyse clips, or every file of folders. Exit status: 0 when every clip was read "
        "without a fault, 1 when one was not (each is named), 2 for wrong usage.",
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="video files, or folders of them")
    parser.add_argument(
        "--out", type=Path, default=Path("vidfer-results"), metavar="DIR", help="default: vidfer-results"
    )
    parser.add_argument("--json", action="store_true", help="print each clip's summary as one JSON line")
    add_chain_options(parser)
    parser.set_defaults(run=run)


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


def run(args: argparse.Namespace) -> int:
    """Analyse the clips, write the tables, print the overview."""
    from vidfer.api import default_store, shown, unanswered, write_overview
    from vidfer.cli.display import ClipProgress, print_overview
    from vidfer.pipeline.workers import run_all

    clips = find_clips(args.paths, leave_out=[args.out, args.store or default_store()])
    work = _AnalyzeClip(chain_options(args), args.store, {file: args.out / place for file, place in clips})
    summaries: dict[int, dict[str, Any]] = {}
    write_overview([], args.out)  # finds out now, and not after hours, whether results can be written
    try:
        with ClipProgress([file for file, _ in clips]) as progress:
            for position, done in run_all(work, [file for file, _ in clips], args.jobs, progress.update):
                if isinstance(done, ClipError):
                    done = unanswered(shown(clips[position][0]), done)
                summaries[position] = done
                progress.finish(position)
    finally:
        ordered = [summaries[position] for position in sorted(summaries)]
        write_overview(ordered, args.out)
    if args.json:
        for summary in ordered:
            print(json.dumps(summary, ensure_ascii=False))
    else:
        print_overview(ordered)
        print(f"\nTables: {args.out / 'summary.csv'} and a folder per clip beside it.")
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
