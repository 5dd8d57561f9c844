"""Scores of an image model on labelled faces: accuracy, calibration, robustness."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages, read_images, recurring, save_logits, stratified_rank
from vidfer.evaluation import Notify
from vidfer.evaluation.calibration import FITTED, calibrate_images, calibration_lines
from vidfer.evaluation.export import require_own_card, write_card
from vidfer.inference.decision import invert_label_smoothing, softmax
from vidfer.metrics.classification import negative_log_likelihood, reliability, score
from vidfer.types import EMOTIONS, UsageError, VidferError
from vidfer.weights.files import OWN_HEAD, Weights, find_weights, read_calibration, read_heads, weights_digest

if TYPE_CHECKING:
    from vidfer.datamodules.fer2013 import BatchedImages
    from vidfer.inference.models import ImageModel

Logits = npt.NDArray[np.float32]

_NOTES: Final = {"none": "", "flip": ", averaged with the mirrored face", "ten-crop": ", averaged over ten crops"}


@dataclass(frozen=True)
class ImageOptions:
    """An image model on FER2013, or faces in its layout.

    Accuracy is also given without the images that recur in the training split. ECE is the expected calibration error over 15
    bins of equal width (Guo et al. 2017); it and NLL leave out the images that the card's temperature was fitted on.

    Args:
        root: Folder of SPLIT/CLASS/*, or fer2013.csv.
        split: Split to measure on, such as public_test.
        labels: Labels to use: FER2013's own, or the majority of the FER+ votes.
        head: Head of the network to measure (default: that of the labels' convention, where the network has one, else video,
            the one by which clips are predicted).
        train_split: Where to look for images that recur (default: train, where there is one).
        image_model: Weights by name, or a file.
        tta: Views to average over: the face and its mirror image, as analyze does; the face alone; or ten crops.
        limit: Measure on N images only, evenly from all classes, for a quick look.
        device: cpu, cuda or cuda:N.
        save_logits: Write the logits to this .safetensors file, for another model to be distilled from.
        calibrate: Fit a temperature on one half of each class, chosen by content, and measure on the other.
        corrupt: Measure on corrupted copies of every image, the same in every run: all, or a list of eyes, mouth, block,
            low_light, blur, downscale, noise, colour_noise, rotation, jpeg. The noises are also measured with the shipped
            denoiser before the model.
        out: Folder for the tables and plots of calibrate and corrupt.
        write_card: Write the accuracy, or with calibrate the calibration, to the weights' card.
    """

    root: Path
    split: str
    labels: Literal["fer2013", "ferplus"] = "fer2013"
    head: str | None = None
    train_split: str | None = None
    image_model: str = "compact"
    tta: Literal["none", "flip", "ten-crop"] = "flip"
    limit: int | None = None
    device: str = "cpu"
    save_logits: Path | None = None
    calibrate: bool = False
    corrupt: tuple[str, ...] | None = None
    out: Path | None = None
    write_card: bool = False


def evaluate_image(options: ImageOptions, notify: Notify = lambda _: None) -> dict[str, Any]:
    """Measure an image model; raise `UsageError` if options contradict each other.

    Returns `on`, which names model, data and head; `head`; and the scores; with `calibrate` the entry `calibration` of a card,
    with `corrupt` what `measure_robustness` returns. `notify` is called with a line about each image that cannot be read, and
    about progress.
    """
    from vidfer.evaluation.robustness import choose_corruptions, measure_robustness
    from vidfer.inference.models import ImageModel
    from vidfer.inference.network import Compute

    _check(options)
    corruptions = choose_corruptions(options.corrupt or ())
    compute = Compute(options.device)
    compute.require()
    if options.write_card:
        require_own_card("image", options.image_model)
    digest = weights_digest("image", options.image_model)
    head = choose_head(options.image_model, options.labels, options.head)
    if options.write_card and options.calibrate and head != OWN_HEAD:
        raise UsageError(f"--write-card keeps the calibration by which clips are predicted: give --head {OWN_HEAD}")
    model = ImageModel(options.image_model, head=head, compute=compute)
    if options.write_card and options.calibrate and options.tta != model.tta:
        raise UsageError(f"--write-card of a calibration needs --tta {model.tta}: analyze averages these views")
    data, source = _read(options, notify)
    source += head_note(model.weights, head)
    title = f"{options.image_model} on {source}, --tta {options.tta}"
    if corruptions and options.out:
        found = measure_robustness(
            lambda faces: _predict(model, faces, options.tta), data, corruptions, options.out,
            title=title, device=options.device, notify=notify,
        )  # fmt: skip
        return {"on": title, "head": head, "tta": options.tta, **found}
    logits = _predict(model, data.image, options.tta)
    kept: dict[str, Any]
    if options.calibrate:
        entry = calibrate_images(
            logits, data, card=model.card, head=head, source=source, tta=options.tta, out=options.out
        )
        found, kept = {"on": title, "head": head, **entry}, {"calibration": entry}
    else:
        found = {"on": title, "head": head, **_scores(options, model, head, data, logits, notify)}
        kept = {"metrics": [_card_metrics(source, options.tta, data.target, logits)]}
    if options.write_card:
        notify(write_card("image", options.image_model, digest, kept))
    return found


def choose_head(model: str, labels: str, head: str | None = None) -> str:
    """Return the head to measure: the one named, else that of the labels' convention, else the network's own.

    Raises:
        UsageError: The network has no head of that name.
        VidferError: There are no such weights, or their card has nonsense for its heads.
    """
    known = read_heads(find_weights("image", model))
    if head is not None and head not in known:
        raise UsageError(f"--head {head}: the heads of {model} are {', '.join(known)}")
    return head or (labels if labels in known else OWN_HEAD)


def head_note(weights: Weights, head: str) -> str:
    """Name a head behind the data that it is measured on; nothing of a network that has no other."""
    return f", head {head}" if len(read_heads(weights)) > 1 else ""


def image_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_image` returned."""
    from vidfer.evaluation.robustness import robustness_lines

    if "rows" in found:
        return [f"{found['on']}, n = {found['n']}", *robustness_lines(found)]
    if "coverage" in found:
        return [found["on"], *calibration_lines(found)]
    if "training_labels_reproduced" in found:
        share = found["training_labels_reproduced"]
        return [f"{found['on']}: {share:.3f} of {found['n']} labels reproduced. Training images: no accuracy"]
    return [*score_lines(found["on"], found), _calibration_line(found), _recurring_line(found)]


def score_lines(title: str, scores: Mapping[str, Any]) -> list[str]:
    """Render `Scores` as a dictionary: accuracy with its interval, UAR and F1, and the confusion matrix."""
    table = {"target \\ prediction": EMOTIONS, **dict(zip(EMOTIONS, scores["confusion"], strict=True))}
    rows = [f"{name:<20}" + " ".join(f"{cell:>8}" for cell in row) for name, row in table.items()]
    return [accuracy_line(title, scores), *rows]


def accuracy_line(title: str, scores: Mapping[str, Any]) -> str:
    """Render accuracy with its interval, UAR and macro F1."""
    return f"{title}: {accuracy_text(scores)}, UAR {scores['uar']:.3f}, macro F1 {scores['f1_macro']:.3f}"


def accuracy_text(scores: Mapping[str, Any]) -> str:
    """Render accuracy with its interval and n."""
    low, high = scores["accuracy_ci95"]
    return f"accuracy {scores['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}, n = {scores['n']})"


def image_metrics(
    data: "BatchedImages", model: str | Path, *, tta: str, head: str = OWN_HEAD, device: str = "cpu"
) -> dict[str, Any]:
    """Score a head of an image model; return an entry of a card's `metrics`: `on`, which names data and head, and the scores."""
    from vidfer.inference.models import ImageModel
    from vidfer.inference.network import Compute

    measured = ImageModel(model, head=head, compute=Compute(device))
    logits = _predict(measured, data.image.numpy(), tta)
    return _card_metrics(data.report.source + head_note(measured.weights, head), tta, data.target.numpy(), logits)


def _card_metrics(source: str, tta: str, target: npt.NDArray[np.int64], logits: Logits) -> dict[str, Any]:
    return {"on": f"{source}{_NOTES[tta]}", **asdict(score(target, logits.argmax(1)))}


def _predict(model: "ImageModel", faces: npt.NDArray[np.uint8], tta: str) -> Logits:
    """Compute the logits float32 `(N, 7)` of gray faces uint8 `(N, S, S)`; raise `VidferError` if they are not finite."""
    logits = model.of_gray(faces, tta=tta)[1]
    if not np.isfinite(logits).all():
        raise VidferError("the image model's logits are not finite: train it again")
    return logits


def _check(options: ImageOptions) -> None:
    """Refuse options that contradict each other."""
    training, apart = options.split in (options.train_split, "train"), bool(options.corrupt or options.calibrate)
    if sum((options.save_logits is not None, options.calibrate, bool(options.corrupt))) > 1:
        raise UsageError("--save-logits, --calibrate and --corrupt do not go together: choose one")
    if options.write_card and (options.corrupt or training):
        raise UsageError(
            "--write-card keeps a calibration or a measurement on images that the model was not trained on"
        )
    if options.write_card and options.limit:
        raise UsageError("--write-card needs the whole split: leave --limit out")
    if options.corrupt and not options.out:
        raise UsageError("--corrupt needs --out DIR for its table and plot")
    if options.out and not apart:
        raise UsageError("--out goes with --calibrate or --corrupt")
    if apart and training:
        raise UsageError(f"--split {options.split}: a model is not measured on what it was trained on")


def _read(options: ImageOptions, notify: Notify) -> tuple[LabelledImages, str]:
    """Read the images, at most `limit`, and name them."""
    data = read_images(options.root, options.split, labels=options.labels)
    for line in data.report.lines():
        notify(line)
    source, found = data.report.source, len(data.name)
    if options.limit is None or options.limit >= found:
        return data, source
    keep = np.zeros(found, bool)
    keep[np.argsort(stratified_rank(data.target, data.digest), kind="stable")[: options.limit]] = True
    return data.subset(keep, data.report), f"{source} ({options.limit} of its {found} images only: --limit)"


def _scores(
    options: ImageOptions, model: "ImageModel", head: str, data: LabelledImages, logits: Logits, notify: Notify
) -> dict[str, Any]:
    if options.save_logits:
        save_logits(options.save_logits, data.digest, logits)
        notify(f"logits of {len(logits)} images written to {options.save_logits}")
    scores = asdict(score(data.target, logits.argmax(1)))
    if options.split in (options.train_split, "train"):
        return {"n": scores["n"], "training_labels_reproduced": scores["accuracy"]}
    calibration = _calibration(options, model, head, data, logits)
    return {**scores, **calibration, "tta": options.tta, **_without_recurring(options, data, logits)}


def _calibration(
    options: ImageOptions, model: "ImageModel", head: str, data: LabelledImages, logits: Logits
) -> dict[str, Any]:
    """Measure ECE and NLL at the card's temperature, which is of the network's own head, on images it was not fitted on."""
    entry = model.card.get("calibration")
    given = entry if isinstance(entry, dict) and entry.get("tta") == options.tta and head == OWN_HEAD else {}
    fits = bool(given) or (head == OWN_HEAD and not isinstance(entry, dict))
    temperature, smoothing = (read_calibration(model.weights) if fits else None) or (1.0, 0.0)
    fitted = _fitted_digests(options, given)
    unused = np.array([digest not in (fitted or ()) for digest in data.digest])
    calibrated, truth = invert_label_smoothing(logits[unused], smoothing) / temperature, data.target[unused]
    return {
        "ece": reliability(softmax(calibrated), truth).ece if len(truth) else None,
        "nll": negative_log_likelihood(calibrated, truth) if len(truth) else None,
        "temperature": temperature,
        "temperature_fitted_on": str(given.get("fitted_on", "unknown data")) if given else None,
        "n_calibration": len(truth),
        "n_fitted_left_out": None if fitted is None else int((~unused).sum()),
    }


def _fitted_digests(options: ImageOptions, calibration: Mapping[str, Any]) -> set[str] | None:
    """Return digests of the split's images that a card's temperature was fitted on; None if fitted on another copy of it.

    A folder of another name is a copy if its halves are as large as those of the card.
    """
    fitted_on, _, more = str(calibration.get("fitted_on", "")).partition(",")
    root, _, split = fitted_on.rpartition("/")
    if split != options.split:
        return set()
    own = root == options.root.name
    labels: Literal["fer2013", "ferplus"] = "ferplus" if more.startswith(" FER+") else "fer2013"
    data = read_images(options.root, options.split, labels=labels if own else options.labels)  # they decide the halves
    half = stratified_rank(data.target, data.digest) < FITTED
    if [calibration.get(name) for name in ("n_fitted", "n_measured")] != [half.sum(), (~half).sum()]:
        return None if own else set()
    return {data.digest[at] for at in np.flatnonzero(half)}


def _calibration_line(found: Mapping[str, Any]) -> str:
    on = found["temperature_fitted_on"]
    at = f"temperature {found['temperature']:.3f}" + (
        f", fitted on {on}" if on else ": the card has none for these views or this head"
    )
    if not found["n_calibration"]:
        return f"no ECE and NLL: every image is among those that the card's temperature was fitted on ({at})"
    left = found["n_fitted_left_out"]
    note = f" (without the {left} images that the temperature was fitted on)" if left else ""
    if left is None:
        note = " (about half of them in another copy among those that the temperature was fitted on: too good a figure)"
    return f"ECE {found['ece']:.4f}, NLL {found['nll']:.4f} nats, n = {found['n_calibration']}{note}, at {at}"


def _without_recurring(options: ImageOptions, data: LabelledImages, logits: Logits) -> dict[str, Any]:
    """Score the images that do not recur in the training split; `recurring_note` names it, or why there is no score."""
    split = options.train_split or "train"
    try:
        again = recurring(data, read_images(options.root, split))
    except VidferError as error:
        if options.train_split:
            raise
        return {"recurring": None, "without_recurring": None, "recurring_note": str(error)}
    rest = None if again.all() else asdict(score(data.target[~again], logits[~again].argmax(1)))
    return {"recurring": int(again.sum()), "without_recurring": rest, "recurring_note": f"recur in {split}"}


def _recurring_line(found: Mapping[str, Any]) -> str:
    if found["recurring"] is None:
        return f"not known which images recur in training: {found['recurring_note']}"
    if found["without_recurring"] is None:
        return f"all {found['recurring']} {found['recurring_note']}"
    return accuracy_line(f"without the {found['recurring']} that {found['recurring_note']}", found["without_recurring"])
