"""`vidfer evaluate`: measure a model on data where the truth is known."""

import argparse
import json
import re
import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.cli import evaluate_clip, evaluate_clips, evaluate_denoise, evaluate_image
from vidfer.cli.options import add_store_option
from vidfer.types import ClipError, VidferError

if TYPE_CHECKING:
    from vidfer.metrics import Scores
    from vidfer.store import Store


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb and the kinds of model."""
    parser = verbs.add_parser("evaluate", help="measure a model where the truth is known")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    evaluate_image.add_kind(kinds)
    audio = kinds.add_parser("audio", help="an audio model on recordings named as in RAVDESS")
    audio.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of recordings")
    audio.add_argument("--actors", type=parse_actors, metavar="A-B,C", help="such as 17-20 (default: all)")
    audio.add_argument("--audio-model", default="is10", metavar="NAME|FILE", help="default: is10, as shipped")
    add_store_option(audio)
    audio.set_defaults(run=_audio)
    evaluate_denoise.add_kind(kinds)
    evaluate_clip.add_kind(kinds)
    evaluate_clips.add_kind(kinds)


def parse_actors(text: str) -> frozenset[int]:
    """Parse a list of actors.

    Args:
        text: Numbers and ranges, such as `2-16,19`.

    Returns:
        The numbers.

    Raises:
        argparse.ArgumentTypeError: The text is no such list.
    """
    actors: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        span = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not span:
            raise argparse.ArgumentTypeError(f"'{text}' is no list of actors such as 2-16,19")
        actors.update(span)
    return frozenset(actors)


def evaluate_sound(root: Path, actors: Collection[int] | None, model: str | Path, store: "Store") -> "Scores":
    """Score an audio model on recordings, by the windows and the pooling that `vidfer analyze` uses.

    Args:
        root: Folder of recordings named as in RAVDESS.
        actors: Actors wanted; None for all.
        model: Shipped name or weights file.
        store: Where vectors are kept.

    Raises:
        VidferError: There is nothing to read or answer, or there are no such weights.
    """
    import numpy as np

    from vidfer.answer import pool
    from vidfer.chain.audio import AudioStage
    from vidfer.datasets.ravdess import find_recordings
    from vidfer.metrics import score
    from vidfer.models.expression import AudioModel
    from vidfer.runner import finished

    classifier = AudioModel(model)
    recordings, report = find_recordings(root, actors, drop_copies=False)
    for line in report.lines():
        print(line, file=sys.stderr)
    target, preds = [], []
    for recording in recordings:
        try:
            with finished((AudioStage(),), "audio", recording.path, store) as artifact:
                arrays = artifact.arrays("windows.safetensors") if artifact.names("windows") else {}
                status, message = artifact.status, artifact.message
        except ClipError as error:
            arrays, status, message = {}, error.status, error.message
        heard = arrays["silent"] == 0 if arrays else np.zeros(0, bool)
        if not heard.any():
            print(f"  left out: {recording.path.name}: {status}: {message}", file=sys.stderr)
            continue
        logits = classifier(arrays["vectors"][heard]).astype(np.float64)
        raised = np.exp(logits - logits.max(1, keepdims=True))
        target.append(recording.target)
        preds.append(int(pool(raised / raised.sum(1, keepdims=True), np.ones(len(raised))).argmax()))
    if not target:
        raise VidferError(f"no recording in {root} could be answered")
    return score(np.array(target), np.array(preds))


def _audio(args: argparse.Namespace) -> int:
    from vidfer.analysis import default_store
    from vidfer.store import Store

    scores = evaluate_sound(args.root, args.actors, args.audio_model, Store(args.store or default_store()))
    who = f"actors {', '.join(map(str, sorted(args.actors)))}" if args.actors else "all actors"
    for line in evaluate_image.score_lines(f"{args.audio_model} on {args.root.name}, {who}", scores):
        print(line)
    print(json.dumps(asdict(scores)))
    return 0
