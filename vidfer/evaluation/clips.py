"""`vidfer evaluate clip`: how often clips of known expression get it, by their faces, their sound and both."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.cli.options import Clip, add_chain_options, chain_options, find_clips
from vidfer.evaluation.folds import add_fold_options, require_folds, run_clip_folds
from vidfer.inference.decision import UNCERTAIN
from vidfer.types import EMOTIONS, TRANSIENT, ClipError, Status, UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.pipeline.runner import StageProgress
    from vidfer.stages.chain import ChainOptions

PARTS: Final = ("faces", "sound", "fused")

_NO_CLIP: Final = {Status.UNSUPPORTED, Status.NO_VIDEO, *TRANSIENT}
"""Statuses of what is no video, or could not be tried: left out of every figure."""

_EPILOG = """
--labels ravdess reads the third field of names such as 01-01-05-01-02-01-12.mp4, calm as neutral. --labels name looks for a
class, or a common form of its name (sadness, surprised, ...), among the words of the file's and its folder's names. Clips without
a label are named and left out. A clip without a face is a wrong answer of the faces, and so is `uncertain`; sound is counted
where there is some. Clips of one person are no independent samples: the interval is too narrow for people at large.

With --folds PATH is a data set: a folder or CSV file in one of the layouts of docs/data.md, or `paired`; by default the
classifier `fusion` is trained.
"""


def add_kind(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the kind `clip` of `vidfer evaluate`."""
    parser = kinds.add_parser("clip", help="answers for clips whose expression is known", epilog=_EPILOG)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="video files, or folders of them")
    parser.add_argument("--labels", choices=("ravdess", "name"), help="where the truth stands: see below")
    parser.add_argument(
        "--people", metavar="A-B,C", help="with --folds: whose clips of the data set PATH are taken (default: all)"
    )
    add_fold_options(parser)
    add_chain_options(parser, store="a temporary one, for this run only")
    parser.set_defaults(run=_run)


@dataclass(frozen=True)
class _AnswerClip:
    """The work on one clip, in this process or in a worker."""

    options: "ChainOptions"
    store: Path

    def __call__(self, clip: Path, progress: "StageProgress") -> dict[str, Any]:
        from vidfer.api import analyze

        return analyze(clip, options=self.options, store=self.store, progress=progress).summary


def tally(told: Sequence[dict[str, Any]], part: str) -> dict[str, Any]:
    """Count the right answers of one part of the summaries.

    Args:
        told: For each clip its `truth`, and by part its answer: a class, `uncertain` or None.
        part: `faces`, `sound` or `fused`. Clips without an answer are left out of `sound`'s and are wrong in the others'.

    Returns:
        `n`, `right`, `missing` (None), `uncertain`, `accuracy`, `accuracy_ci95`, `uar` (mean recall over the classes that
        occur) and `confusion` (rows are truths, columns answers: `EMOTIONS`, then `uncertain`, then none). The three
        figures are None without a clip.
    """
    import numpy as np

    from vidfer.metrics.classification import wilson_interval

    columns = [*EMOTIONS, UNCERTAIN, None]
    confusion = np.zeros((len(EMOTIONS), len(columns)), int)
    for one in told:
        if part != "sound" or one[part] is not None:
            confusion[EMOTIONS.index(one["truth"]), columns.index(one[part])] += 1
    n, right, support = int(confusion.sum()), np.diag(confusion), confusion.sum(1)
    missing = sum(one[part] is None for one in told)
    return {
        "n": n,
        "right": int(right.sum()),
        "missing": missing,
        "uncertain": int(confusion[:, -2].sum()),
        "accuracy": float(right.sum() / n) if n else None,
        "accuracy_ci95": wilson_interval(int(right.sum()), n) if n else None,
        "uar": float((right[support > 0] / support[support > 0]).mean()) if n else None,
        "confusion": confusion.tolist(),
    }


def _run(args: argparse.Namespace) -> int:
    if args.folds:
        return run_clip_folds(args)
    require_folds(args)
    if args.people is not None:
        raise UsageError("--people goes with --folds: name the clips instead")
    if args.labels is None:
        raise UsageError("say where the truth stands: --labels ravdess|name")
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    options = chain_options(args)
    with ExitStack() as stack:
        store = args.store or Path(stack.enter_context(TemporaryDirectory(prefix="vidfer-store-")))
        truths = _labelled(find_clips(args.paths, leave_out=[store]), args.labels)
        told, settings = _answers(_AnswerClip(options, store), truths, args.jobs)
    if not told:
        raise VidferError("no labelled clip could be read: name videos")
    _print_clips(told)
    found = {part: tally(told, part) for part in PARTS}
    for part in PARTS:
        print(_line(part, found[part]))
    print(f"{'faces: truth':<16}" + "".join(f"{name:>10}" for name in (*EMOTIONS, UNCERTAIN, "none")))
    for name, row in zip(EMOTIONS, found["faces"]["confusion"], strict=True):
        print(f"{name:<16}" + "".join(f"{count:>10}" for count in row))
    print(json.dumps({"labels": args.labels, "settings": settings, **found, "clips": told}, ensure_ascii=False))
    return 0


def _labelled(clips: Sequence[Clip], labels: str) -> dict[Path, str]:
    from vidfer.api import shown
    from vidfer.datasets.labelled_clips import LABELS

    truths: dict[Path, str] = {}
    for clip, _ in clips:
        truth = LABELS[labels](clip)
        if truth is None:
            print(f"  left out: {shown(clip)}: no label in its name", file=sys.stderr)
        else:
            truths[clip] = truth
    if not truths:
        raise VidferError(f"no file there has a label by --labels {labels}: see `vidfer evaluate clip --help`")
    return truths


def _answers(work: _AnswerClip, truths: dict[Path, str], jobs: int) -> tuple[list[dict[str, Any]], Any]:
    """Answer the clips; return what was told of each, in their order, and the settings that all share."""
    from vidfer.api import shown, unanswered
    from vidfer.cli.display import ClipProgress
    from vidfer.pipeline.workers import run_all

    clips, settings = list(truths), None
    summaries: dict[int, dict[str, Any]] = {}
    with ClipProgress(clips) as progress:
        for position, done in run_all(work, clips, jobs, progress.update):
            summaries[position] = unanswered(shown(clips[position]), done) if isinstance(done, ClipError) else done
            progress.finish(position)
    told: list[dict[str, Any]] = []
    for position, clip in enumerate(clips):
        summary = summaries[position]
        if summary["status"] in _NO_CLIP:
            print(f"  left out: {summary['clip']}: {summary['status']}: {summary['message']}", file=sys.stderr)
            continue
        settings = settings or summary["settings"]
        told.append({"clip": summary["clip"], "truth": truths[clip], "status": summary["status"]})
        for part in PARTS:
            answer = summary[part]
            told[-1][part] = answer["predominant"]
            told[-1][f"{part}_p"] = max(answer["distribution"].values()) if answer["distribution"] else None
            told[-1][f"{part}_status"] = answer["status"]
    return told, settings


def _print_clips(told: Sequence[dict[str, Any]]) -> None:
    width = max(len(Path(one["clip"]).name) for one in told) + 2
    print(f"{'clip':<{width}}{'truth':<10}" + "".join(f"{part:<16}" for part in PARTS))
    for one in told:
        cells = (
            one[f"{part}_status"] if one[part] is None else f"{one[part]} {one[f'{part}_p']:.2f}" for part in PARTS
        )
        print(f"{Path(one['clip']).name:<{width}}{one['truth']:<10}" + "".join(f"{cell:<16}" for cell in cells))


def _line(part: str, found: dict[str, Any]) -> str:
    if not found["n"]:
        return f"{part}: no clip with an answer"
    low, high = found["accuracy_ci95"]
    text = f"{part}: accuracy {found['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}, n = {found['n']})"
    if found["missing"]:
        text += f", {found['missing']} without an answer " + ("left out" if part == "sound" else "counted as wrong")
    if found["uncertain"]:
        answered = found["n"] - found["uncertain"] - (0 if part == "sound" else found["missing"])
        text += (
            f", {found['uncertain']} uncertain counted as wrong: {found['right']} of the {answered} answers are right"
        )
    return text
