"""`vidfer evaluate`: measure a model on data where the truth is known."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.cli.options import add_store_option, require_weights
from vidfer.evaluation import clips as evaluate_clip
from vidfer.evaluation import denoise as evaluate_denoise
from vidfer.evaluation import image as evaluate_image
from vidfer.evaluation import noise as evaluate_clips
from vidfer.evaluation import paired as evaluate_paired
from vidfer.evaluation.folds import add_calibration_options, add_fold_options, require_folds, run_audio_folds
from vidfer.evaluation.held_out import leave_out_trained
from vidfer.types import ClipError, Status, UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datasets.clips import LabelledClip
    from vidfer.metrics.classification import Scores
    from vidfer.pipeline.store import Store


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb and the kinds of model."""
    parser = verbs.add_parser("evaluate", help="measure a model where the truth is known")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    evaluate_image.add_kind(kinds)
    audio = kinds.add_parser("audio", help="an audio model on recordings whose expression is known")
    audio.add_argument("--data", default="ravdess", metavar="NAME|DIR", help="which set (default: ravdess)")
    audio.add_argument("--root", type=Path, metavar="DIR", help="where it lies (default: data/NAME)")
    audio.add_argument("--actors", "--people", metavar="A-B,C", help="such as 17-20 (default: all)")
    audio.add_argument("--audio-model", default="is10", metavar="NAME|FILE", help="default: is10, as shipped")
    audio.add_argument(
        "--voice", choices=("auto", "off"), default="auto", help="whether windows count only where someone speaks"
    )
    add_fold_options(audio)
    add_calibration_options(audio)
    add_store_option(audio)
    audio.set_defaults(run=_audio)
    evaluate_denoise.add_kind(kinds)
    evaluate_clip.add_kind(kinds)
    evaluate_clips.add_kind(kinds)
    evaluate_paired.add_kind(kinds)


def evaluate_sound(
    clips: "Sequence[LabelledClip]", model: str | Path, store: "Store", *, voice: bool = True
) -> "Scores":
    """Score an audio model on recordings, by the windows and the pooling that `vidfer analyze` uses.

    Args:
        clips: Recordings with their labels.
        model: Shipped name or weights file.
        store: Where vectors are kept.
        voice: Whether windows count only where someone speaks.

    Raises:
        VidferError: There is nothing to answer, or there are no such weights.
    """
    import numpy as np

    from vidfer.inference.decision import Rules, predict_sound, used_windows
    from vidfer.inference.models import AudioModel, one_thread
    from vidfer.metrics.classification import score
    from vidfer.pipeline.runner import finished
    from vidfer.stages.audio import AudioStage
    from vidfer.weights.files import find_weights, read_calibration

    rules = Rules(sound_calibration=read_calibration(find_weights("audio", model)), speech_only=voice)
    audio_model = AudioModel(model)
    target, preds = [], []
    for clip in clips:
        try:
            with finished((AudioStage(),), "audio", clip.path, store) as artifact:
                windows = artifact.arrays("windows.safetensors") if artifact.names("windows") else None
                status, message = artifact.status, artifact.message
        except ClipError as error:
            windows, status, message = None, error.status, error.message
        kept = np.zeros(0, bool) if windows is None else used_windows(windows["silent"] == 1, windows["voice"], rules)
        if windows is None or not kept.any():
            status = Status.NO_VOICE if windows is not None and status is Status.OK else status
            print(f"  left out: {clip.name}: {status}{message and ': '}{message}", file=sys.stderr)
            continue
        with one_thread():
            logits = audio_model(windows["vectors"][kept])
        target.append(clip.target)
        preds.append(int(predict_sound(logits, rules).distribution.argmax()))
    if not target:
        raise VidferError("no recording there could be answered")
    return score(np.array(target), np.array(preds))


def _audio(args: argparse.Namespace) -> int:
    from vidfer.datasets.clips import find_clips
    from vidfer.datasets.splits import take_people
    from vidfer.pipeline.store import Store, default_store
    from vidfer.stages.chain import incompatibility
    from vidfer.weights.files import find_weights

    require_weights({"audio": args.audio_model})
    if args.folds:
        return run_audio_folds(args)
    require_folds(args)
    if fault := incompatibility("audio", args.audio_model):
        raise UsageError(f"the audio model {args.audio_model} does not fit: {fault}")
    clips, report = find_clips(args.data, args.root)
    for line in report.lines():
        print(line, file=sys.stderr)
    chosen = take_people(clips, args.actors) if args.actors else clips
    card = find_weights("audio", args.audio_model).card
    chosen = leave_out_trained(chosen, {args.audio_model: card}, named=bool(args.actors))
    scores = evaluate_sound(chosen, args.audio_model, Store(args.store or default_store()), voice=args.voice == "auto")
    who = f"people {args.actors}" if args.actors else "all people it was not trained on"
    for line in evaluate_image.score_lines(f"{args.audio_model} on {args.root or args.data}, {who}", scores):
        print(line)
    print(json.dumps({**asdict(scores), "left_out": len(chosen) - scores.n}))
    return 0
