"""`vidfer run`: bring clips to a stage, or show what that would take."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import add_chain_options, chain_options, find_clips
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from vidfer.pipeline.runner import StageProgress
    from vidfer.stages.chain import ChainOptions

STAGES = ("faces", "denoise", "finetune", "audio", "classify", "report")


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser("run", help="bring clips to a stage of the chain, or show hits and misses (--dry-run)")
    parser.add_argument("target", choices=STAGES, metavar="TARGET", help=f"one of {', '.join(STAGES)}")
    parser.add_argument("paths", type=Path, nargs="+", metavar="CLIPS", help="video files, or folders of them")
    parser.add_argument(
        "--dry-run", action="store_true", help="print hit or miss and the key of each stage; run nothing"
    )
    add_chain_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan or run, and print a line per clip and stage."""
    from vidfer.pipeline.store import default_store

    store = args.store or default_store()
    clips = [file for file, _ in find_clips(args.paths, leave_out=[store])]
    options = chain_options(args)
    return _dry_run(args.target, clips, options, store) if args.dry_run else _run(args, clips, options, store)


def _dry_run(target: str, clips: list[Path], options: "ChainOptions", store: Path) -> int:
    from vidfer.api import shown
    from vidfer.pipeline.runner import plan
    from vidfer.pipeline.store import Store
    from vidfer.stages.chain import build_chain

    chain = build_chain(options)
    status = 0
    for clip in clips:
        try:
            steps = plan(chain, target, clip, Store(store))
        except ClipError as error:
            print(f"{shown(clip)}\t{error.status}\t{error.message}")
            status = 1
            continue
        for step in steps:
            state = step.state if step.state == "hit" or step.due else f"{step.state} (not needed)"
            print(f"{shown(clip)}\t{step.stage.name}\t{state}\t{step.key}")
    return status


@dataclass(frozen=True)
class _RunClip:
    target: str
    options: "ChainOptions"
    store: Path

    def __call__(self, clip: Path, progress: "StageProgress") -> dict[str, Any]:
        from vidfer.pipeline.runner import finished
        from vidfer.pipeline.store import Store
        from vidfer.stages.chain import build_chain

        with finished(build_chain(self.options), self.target, clip, Store(self.store), progress) as artifact:
            return {"status": artifact.status, "key": artifact.key, "message": artifact.message}


def _run(args: argparse.Namespace, clips: list[Path], options: "ChainOptions", store: Path) -> int:
    from vidfer.api import shown
    from vidfer.cli.display import ClipProgress
    from vidfer.pipeline.workers import run_all

    status = 0
    with ClipProgress(clips) as progress:
        for position, done in run_all(_RunClip(args.target, options, store), clips, args.jobs, progress.update):
            if isinstance(done, ClipError):
                done = {"status": done.status, "key": "-", "message": done.message}
            print(f"{shown(clips[position])}\t{args.target}\t{done['status']}\t{done['key']}")
            if done["status"] != Status.OK:
                print(f"{shown(clips[position])}: {done['status']}: {done['message']}", file=sys.stderr)
                status = 1
            progress.finish(position)
    return status
