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
    from vidfer.chain.build import ChainOptions
    from vidfer.runner import StageProgress


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser(
        "analyze",
        help="turn videos into tables of displayed expressions",
        description="Analyse clips, or every file of folders. Exit status: 0 when every clip's status is ok, 1 when "
        "one is not (each is named), 2 for wrong usage.",
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="video files, or folders of them")
    parser.add_argument(
        "--out", type=Path, default=Path("vidfer-results"), metavar="DIR", help="default: vidfer-results"
    )
    parser.add_argument("--json", action="store_true", help="print each clip's summary as one JSON line")
    add_chain_options(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _AnalyzeClip:
    """The work on one clip, in this process or in a worker."""

    options: "ChainOptions"
    store: Path | None
    places: dict[Path, Path]

    def __call__(self, clip: Path, progress: "StageProgress") -> dict[str, Any]:
        from vidfer.analysis import analyze, write_result

        result = analyze(clip, options=self.options, store=self.store, progress=progress)
        write_result(result, self.places[clip])
        return result.summary


def run(args: argparse.Namespace) -> int:
    """Analyse the clips, write the tables, print the overview."""
    from vidfer.analysis import unanswered, write_overview
    from vidfer.cli.display import ClipProgress, print_overview
    from vidfer.workers import run_all

    clips = find_clips(args.paths)
    work = _AnalyzeClip(chain_options(args), args.store, {file: args.out / place for file, place in clips})
    summaries: dict[int, dict[str, Any]] = {}
    with ClipProgress([file for file, _ in clips]) as progress:
        for position, done in run_all(work, [file for file, _ in clips], args.jobs, progress.update):
            if isinstance(done, ClipError):
                done = unanswered(str(clips[position][0]), done)
            summaries[position] = done
            progress.finish(position)
    ordered = [summaries[position] for position in range(len(clips))]
    write_overview(ordered, args.out)
    if args.json:
        for summary in ordered:
            print(json.dumps(summary, ensure_ascii=False))
    else:
        print_overview(ordered)
        print(f"\nTables: {args.out / 'summary.csv'} and a folder per clip beside it.")
    return _exit_status(ordered)


def _exit_status(summaries: list[dict[str, Any]]) -> int:
    failed = [summary for summary in summaries if summary["status"] != Status.OK]
    for summary in failed:
        print(f"{summary['clip']}: {summary['status']}: {summary['message']}", file=sys.stderr)
    return 1 if failed else 0
