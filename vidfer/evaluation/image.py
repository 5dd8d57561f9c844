"""`vidfer evaluate image`: measure an image model, calibrate it, and see what it bears."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.cli.options import count, device_name
from vidfer.evaluation import calibration as evaluate_calibration
from vidfer.evaluation import robustness as evaluate_robustness
from vidfer.evaluation.subject import Subject, find_subject, require_own_card, write_card
from vidfer.types import EMOTIONS, UsageError, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.datasets.fer2013_csv import Labels
    from vidfer.metrics.classification import Scores

TTA: Final = ("none", "flip", "ten-crop")
"""The same as in `vidfer.inference.models`, which is too heavy to import here."""

_TRAIN: Final = "train"
_MEASURES: Final = ("n", "accuracy", "accuracy_ci95", "uar", "f1_macro", "confusion")
_NOTES: Final = {"none": "", "flip": ", averaged with the mirrored face", "ten-crop": ", averaged over ten crops"}

_EPILOG = """
Accuracy is told with and without the images that recur in the training split. ECE: expected calibration error over 15 bins of
equal width (Guo et al. 2017). --calibrate divides the split by content into two halves of each class, fits the temperature on
one and measures on the other. --corrupt measures corrupted copies of every image, the same in every run; the noises also with
the shipped denoiser 'small' before the model.
"""


def add_kind(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the kind `image` of `vidfer evaluate`."""
    parser = kinds.add_parser("image", help="an image model on FER2013, or faces in its layout", epilog=_EPILOG)
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DIR|CSV", help="folder of <split>/<class>/*, or fer2013.csv"
    )
    parser.add_argument("--split", required=True, metavar="NAME", help="such as public_test")
    parser.add_argument(
        "--labels", choices=("fer2013", "ferplus"), default="fer2013", help="whose labels (default: fer2013)"
    )
    parser.add_argument(
        "--train-split", metavar="NAME", help="where to look for images that recur (default: train, where there is one)"
    )
    parser.add_argument("--image-model", default="compact", metavar="NAME|FILE", help="default: compact, as shipped")
    parser.add_argument(
        "--tta",
        choices=TTA,
        default="flip",
        help="views to average over: with the mirror image, as analyze does (default), none more, or ten crops",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="only N images, of every class alike, for a quick look"
    )
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--save-logits", type=Path, metavar="FILE", help="keep the logits, for another model to learn from"
    )
    what.add_argument("--calibrate", action="store_true", help="fit a temperature on one half, measure on the other")
    what.add_argument(
        "--corrupt",
        type=parse_corruptions,
        metavar="NAME,NAME",
        help="all, or of eyes, mouth, block, low_light, blur, downscale, noise, colour_noise, rotation, jpeg",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for tables and plots of the latter two")
    parser.add_argument(
        "--write-card", action="store_true", help="keep the accuracy, or with --calibrate that, in the weights' card"
    )
    parser.set_defaults(run=_run)


def parse_corruptions(text: str) -> tuple[str, ...]:
    """Parse a list of corruptions.

    Args:
        text: `all`, or names such as `blur,noise`.

    Returns:
        The names, in their order.

    Raises:
        argparse.ArgumentTypeError: A name is unknown, or stands there twice.
    """
    from vidfer.evaluation.corruptions import CORRUPTIONS

    names = tuple(CORRUPTIONS) if text == "all" else tuple(text.split(","))
    for name in names:
        if name not in CORRUPTIONS:
            raise argparse.ArgumentTypeError(f"no corruption '{name}': there are all, {', '.join(CORRUPTIONS)}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"'{text}' names something twice")
    return names


def evaluate_images(
    root: Path,
    split: str,
    model: str | Path,
    *,
    tta: str = "none",
    labels: "Labels" = "fer2013",
    device: str = "cpu",
) -> dict[str, Any]:
    """Score an image model on faces framed as its training images are.

    Args:
        root: Folder that holds `<split>/<class>/*`, or FER2013's CSV file.
        split: Split to read, untouched but for what cannot be read, which is named on the standard error stream.
        model: Shipped name or weights file.
        tta: Views to average over, see `vidfer.inference.models.TTA`.
        labels: Whose labels, see `vidfer.datasets.fer2013.read_images`.
        device: Where to compute.

    Returns:
        An entry of a card's `metrics`: on what, and the scores.

    Raises:
        VidferError: There is nothing to read, a class is unknown, or there are no such weights.
    """
    from vidfer.metrics.classification import score

    subject = find_subject(root, split, model, tta=tta, labels=labels, device=device)
    return _as_metrics(subject, asdict(score(subject.data.target, subject.logits().argmax(1))))


def score_lines(what: str, scores: "Scores") -> list[str]:
    """Render scores for a terminal: accuracy with its interval, mean recall and F1, and the confusion matrix."""
    rows = [
        f"{name:<16}" + " ".join(f"{count:>8}" for count in row)
        for name, row in zip(EMOTIONS, scores.confusion, strict=True)
    ]
    return [_accuracy(what, scores), "target \\ answer " + " ".join(f"{name:>8}" for name in EMOTIONS), *rows]


def _accuracy(what: str, scores: "Scores") -> str:
    low, high = scores.accuracy_ci95
    return (
        f"{what}: accuracy {scores.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}, n = {scores.n}), "
        f"UAR {scores.uar:.3f}, macro F1 {scores.f1_macro:.3f}"
    )


def _run(args: argparse.Namespace) -> int:
    from vidfer.weights.files import weights_digest

    _require_sense(args)
    if args.write_card:
        require_own_card(args.image_model)
    digest = weights_digest("image", args.image_model)
    subject = find_subject(
        args.root,
        args.split,
        args.image_model,
        tta=args.tta,
        labels=args.labels,
        device=args.device,
        limit=args.limit,
    )
    if args.corrupt:
        found = evaluate_robustness.measure(subject, args.corrupt, args.out)
    elif args.calibrate:
        found = evaluate_calibration.measure(subject, args.out)
    else:
        found = _plain(subject, args)
    if args.write_card:
        kept = {"calibration": found} if args.calibrate else {"metrics": [_as_metrics(subject, found)]}
        write_card(args.image_model, digest, kept)
    print(json.dumps(found))
    return 0


def _require_sense(args: argparse.Namespace) -> None:
    if args.write_card and (args.corrupt or args.split in (args.train_split, _TRAIN)):
        raise UsageError(
            "--write-card keeps a calibration or a measurement on images that the model was not trained on"
        )
    if args.write_card and args.calibrate and args.tta != "flip":
        raise UsageError("--write-card of a calibration needs --tta flip: analyze averages with the mirror image")
    if args.write_card and args.limit:
        raise UsageError("--write-card needs the whole split: leave --limit out")
    if args.corrupt and not args.out:
        raise UsageError("--corrupt needs --out DIR for its table and plot")
    if args.out and not (args.corrupt or args.calibrate):
        raise UsageError("--out goes with --calibrate or --corrupt")
    if (args.corrupt or args.calibrate) and args.split in (args.train_split, _TRAIN):
        raise UsageError(f"--split {args.split}: a model is not measured on what it was trained on")


def _plain(subject: Subject, args: argparse.Namespace) -> dict[str, Any]:
    from vidfer.inference.decision import invert_label_smoothing, softmax
    from vidfer.metrics.classification import negative_log_likelihood, reliability, score

    data = subject.data
    logits = subject.logits()
    if args.save_logits:
        from vidfer.datasets.teacher_logits import save_logits

        save_logits(args.save_logits, data.digest, logits)
        print(f"logits of {len(logits)} images kept in {args.save_logits}", file=sys.stderr)
    scores = score(data.target, logits.argmax(1))
    if args.split in (args.train_split, _TRAIN):
        print(f"{subject.title}: {scores.accuracy:.3f} of {scores.n} labels reproduced. Training images: no accuracy")
        return {"n": scores.n, "training_labels_reproduced": scores.accuracy}
    temperature, smoothing = _calibration(subject)
    calibrated = invert_label_smoothing(logits, smoothing) / temperature
    measures = {
        "ece": reliability(softmax(calibrated), data.target).ece,
        "nll": negative_log_likelihood(calibrated, data.target),
        "temperature": temperature,
    }
    told, rest = _without_recurring(subject, logits, args)
    for line in score_lines(subject.title, scores):
        print(line)
    print("ECE {ece:.4f}, NLL {nll:.4f} nats, at temperature {temperature:.3f}".format(**measures))
    print(told)
    return {**asdict(scores), **measures, "tta": subject.tta, **rest}


def _as_metrics(subject: Subject, found: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a card's `metrics`."""
    return {"on": f"{subject.source}{_NOTES[subject.tta]}", **{name: found[name] for name in _MEASURES}}


def _calibration(subject: Subject) -> tuple[float, float]:
    """Return temperature and label smoothing of the card where they were fitted to the same views."""
    from vidfer.weights.files import read_calibration

    fitted = subject.model.weights.card.get("calibration")
    if isinstance(fitted, dict) and fitted.get("tta") != subject.tta:
        return 1.0, 0.0
    return read_calibration(subject.model.weights) or (1.0, 0.0)


def _without_recurring(
    subject: Subject, logits: "npt.NDArray[np.float32]", args: argparse.Namespace
) -> tuple[str, dict[str, Any]]:
    """Return a line for people and the entries of the JSON object."""
    from vidfer.datasets.fer2013 import read_images, recurring
    from vidfer.metrics.classification import score

    split = args.train_split or _TRAIN
    try:
        again = recurring(subject.data, read_images(args.root, split))
    except VidferError as error:
        if args.train_split:
            raise
        told = f"images that recur in training are not told apart: {error}"
        return told, {"recurring": None, "without_recurring": None}
    count = int(again.sum())
    if again.all():
        return f"all {count} recur in {split}", {"recurring": count, "without_recurring": None}
    rest = score(subject.data.target[~again], logits[~again].argmax(1))
    told = _accuracy(f"without the {count} that recur in {split}", rest)
    return told, {"recurring": count, "without_recurring": asdict(rest)}
