"""Accuracy of an audio model on recordings of known expression, and cross-validation and calibration of one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vidfer.datasets.clips import find_clips
from vidfer.datasets.groups import sex_of
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.splits import take_people
from vidfer.evaluation import Notify
from vidfer.evaluation.calibration import calibration_entry, calibration_lines, fit_folds
from vidfer.evaluation.corpora import corpus_lines, leave_corpora_out
from vidfer.evaluation.export import require_own_card, require_weights, write_card
from vidfer.evaluation.folds import FoldOptions, cross_validate, find_recipe, fold_lines, leave_out_trained
from vidfer.evaluation.groups import group_figures, group_lines
from vidfer.evaluation.held_out import HeldOut
from vidfer.evaluation.image import score_lines
from vidfer.inference.decision import Rules, predict_sound, used_windows
from vidfer.metrics.classification import score
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Place, Store, default_store
from vidfer.stages.fitting import audio_stage, incompatibility
from vidfer.types import ClipError, Status, UsageError, VidferError
from vidfer.weights.files import find_weights, read_calibration, weights_digest

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.tasks.clip import ClipTask


@dataclass(frozen=True)
class AudioOptions:
    """An audio model on recordings whose expression is known.

    Args:
        data: Data set by name, or a folder or CSV file in one of the layouts of docs/reference/data.md.
        root: Where it lies (default: data/NAME).
        people: Whose recordings, such as 17-20 (default: all).
        actors: The same.
        audio_model: Weights by name, or a file.
        voice: Windows count where someone speaks, or wherever they are not silent (off).
        cross: Cross-validation.
        leave_corpus_out: Train without one of several data sets of --data and test on it, each in turn, with confidences that
            are calibrated on the others.
        calibrate: With --folds, fit a temperature to the out-of-fold predictions, and measure --audio-model with it on these
            people, whom nothing was trained on.
        by: Measure women and men apart, too, as far as the data set says who is which, as RAVDESS does.
        write_card: With --calibrate or --leave-corpus-out, write the calibration to the card of --audio-model; with --by, what
            was measured of each group.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    data: str = field(default="ravdess", metadata={"metavar": "NAME|DIR"})
    root: Path | None = field(default=None, metadata={"metavar": "DIR"})
    people: str | None = field(default=None, metadata={"metavar": "A-B,C"})
    actors: str | None = field(default=None, metadata={"metavar": "A-B,C"})
    audio_model: str = field(default="voice", metadata={"metavar": "NAME|FILE"})
    voice: Literal["auto", "off"] = "auto"
    cross: FoldOptions = field(default_factory=FoldOptions, metadata=FoldOptions.GROUPS)
    leave_corpus_out: bool = False
    calibrate: str | None = field(default=None, metadata={"metavar": "A-B,C"})
    by: Literal["sex"] | None = None
    write_card: bool = False
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


def evaluate_audio(options: AudioOptions, notify: Notify = lambda _: None) -> dict[str, Any]:
    """Measure an audio model on people whom it was not trained on, or cross-validate its recipe.

    Returns `on` and the scores, with `left_out` and `unknown_persons`, numbers of recordings; with `folds` what
    `cross_validate` returns, and `calibration`. Raises `UsageError` if options contradict each other, or the model does not fit.
    """
    if options.people and options.actors:
        raise UsageError("--people and --actors are the same: give one of them")
    people = options.people or options.actors
    require_weights({"audio": options.audio_model})
    store = options.store or default_store()
    if options.leave_corpus_out:
        return _leave_corpora_out(options, people, store, notify)
    if options.cross.folds:
        return _cross_validate(options, people, store, notify)
    options.cross.require_folds(calibrate=options.calibrate, write_card=options.write_card and not options.by)
    if fault := incompatibility("audio", options.audio_model):
        raise UsageError(f"the audio model {options.audio_model} does not fit: {fault}")
    clips, report = find_clips(options.data, options.root)
    for line in report.lines():
        notify(line)
    chosen = take_people(clips, people) if people else clips
    cards = {options.audio_model: find_weights("audio", options.audio_model).card}
    chosen = leave_out_trained(chosen, cards, named=bool(people), notify=notify)
    speech_only = options.voice == "auto"
    digest = weights_digest("audio", options.audio_model)
    heard = predict_recordings(chosen, options.audio_model, Store(store), speech_only=speech_only, notify=notify)
    target, preds = [clip.target for clip, _ in heard], [told for _, told in heard]
    who = f"people {people}" if people else "all people it was not trained on"
    found = {
        "on": f"{options.audio_model} on {options.root or options.data}, {who}",
        **asdict(score(np.array(target), np.array(preds))),
        "left_out": len(chosen) - len(heard),
        "unknown_persons": sum(clip.person is None for clip in chosen),
    }
    if options.by:
        entry = {"by": options.by, **group_figures([clip.person for clip, _ in heard], target, preds, sex_of)}
        found |= entry
        if options.write_card:
            require_own_card("audio", options.audio_model)
            notify(write_card("audio", options.audio_model, digest, {"groups": [{"on": found["on"], **entry}]}))
    return found


def audio_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_audio` returned."""
    if "corpora" in found:
        return corpus_lines(found)
    if "folds" not in found:
        return [*score_lines(found["on"], found), *(group_lines(found) if "groups" in found else [])]
    return [*fold_lines(found), *(calibration_lines(found["calibration"]) if "calibration" in found else [])]


def predict_recordings(
    clips: Sequence[LabelledClip], model: str, store: Store, *, speech_only: bool, notify: Notify = lambda _: None
) -> list[tuple[LabelledClip, int]]:
    """Predict recordings by the rule of `vidfer analyze`: of each that can be heard the index of its class in `EMOTIONS`.

    With `speech_only`, windows count only where someone speaks. `notify` is called with a line about each recording left out.

    Raises:
        VidferError: There is no window that counts.
    """
    heard = []
    for clip in clips:
        try:
            distribution = predict_recording(clip.path, model, store, speech_only=speech_only)
        except ClipError as error:
            notify(f"  left out: {clip.name}: {error.status}" + (f": {error.message}" if error.message else ""))
            continue
        heard.append((clip, int(distribution.argmax())))
    if not heard:
        raise VidferError("no recording there has sound that counts: see what was left out, or try --voice off")
    return heard


def predict_recording(path: Path, model: str, store: Store, *, speech_only: bool) -> npt.NDArray[np.floating[Any]]:
    """Predict a recording by its sound, as `vidfer analyze` does: probabilities `(7,)`; `ClipError` if no window counts."""
    from vidfer.inference.classifiers import AudioModel
    from vidfer.inference.network import load_model

    rules = Rules(sound_calibration=read_calibration(find_weights("audio", model)), speech_only=speech_only)
    with finished((audio_stage(model),), "audio", path, store) as artifact:
        if not artifact.names("windows"):
            raise ClipError(artifact.status, artifact.message)
        windows = artifact.arrays("windows.safetensors")
        used = used_windows(windows["silent"] == 1, windows["voice"], rules)
        if not used.any():
            status = Status.NO_VOICE if artifact.status is Status.OK else artifact.status
            raise ClipError(status, artifact.message)
    network = load_model(AudioModel, model, weights_digest("audio", model))
    logits = network(windows["vectors"][used])
    return predict_sound(logits, rules, sequential=network.sequential).distribution


def _leave_corpora_out(options: AudioOptions, people: str | None, store: Place, notify: Notify) -> dict[str, Any]:
    if options.cross.folds or options.cross.against or options.calibrate:
        raise UsageError("--leave-corpus-out goes neither with --folds nor with --against or --calibrate")
    if options.write_card:
        require_own_card("audio", options.audio_model)
        if not people:
            raise UsageError("--write-card of a calibration needs --people: name those whom the model was trained on")
    digest = weights_digest("audio", options.audio_model)
    recipe, settings = find_recipe(options.cross.classifier, find_weights("audio", options.audio_model).card)
    settings |= {"voice": options.voice == "auto", "store": str(store)}
    source = (options.data, None if options.root is None else str(options.root))
    found = leave_corpora_out(recipe, source, people, options.cross, settings, notify, sex_of if options.by else None)
    if options.write_card:
        notify(write_card("audio", options.audio_model, digest, {"calibration": found["calibration"]}))
    return found


def _cross_validate(options: AudioOptions, people: str | None, store: Place, notify: Notify) -> dict[str, Any]:
    from vidfer.inference.torch_networks import deciding_logits, load_classifier

    if options.write_card and not options.calibrate:
        raise UsageError("--write-card goes with --calibrate")
    if options.write_card:
        require_own_card("audio", options.audio_model)
    recipe, settings = find_recipe(options.cross.classifier, find_weights("audio", options.audio_model).card)
    settings |= {"voice": options.voice == "auto", "store": str(store)}
    source = (options.data, None if options.root is None else str(options.root))
    if not options.calibrate:
        return cross_validate(recipe, source, people, options.cross, settings, notify)
    digest = weights_digest("audio", options.audio_model)
    logits: list[list[Any]] = []
    target: list[list[int]] = []
    apart = _held_out(options, source, people, settings, notify)

    def collect(task: "ClipTask", data: "ClipDataModule") -> None:
        if task.reads != ("sound",):
            raise UsageError("--calibrate is for classifiers of sound")
        samples = data.samples["test"]
        logits.append([deciding_logits(task.classifier, each.features["sound"].numpy()) for each in samples])
        target.append([each.target for each in samples])

    found = cross_validate(recipe, source, people, options.cross, settings, notify, collect)
    apart.setup("test")
    folds = fit_folds(logits, target, recipe.settings.get("label_smoothing", 0.1))  # 0.1: the default of ClipTask
    network, samples = load_classifier("audio", options.audio_model)[1], apart.samples["test"]
    held_out = [deciding_logits(network, each.features["sound"].numpy()) for each in samples]
    on = f"{apart.source}, people {options.calibrate}"
    test = HeldOut(on, held_out, [each.target for each in samples], [each.person for each in samples], "clips")
    entry = calibration_entry(folds, found["on"], test)
    if options.write_card:
        notify(write_card("audio", options.audio_model, digest, {"calibration": entry}))
    return {**found, "calibration": entry}


def _held_out(
    options: AudioOptions, source: tuple[str, str | None], people: str | None, settings: dict[str, Any], notify: Notify
) -> "ClipDataModule":
    """Return the recordings that calibration is measured on, of people whom nothing was trained on."""
    from vidfer.datamodules.paired import build_clip_data

    (name, root), how = source, options.cross.standardise
    data = build_clip_data(
        name, root, train_people=people or "", val_people="", test_people=options.calibrate, reads=["sound"],
        **settings, **({"standardise": how} if how else {}),
    )  # fmt: skip
    data.notify = notify
    card = find_weights("audio", options.audio_model).card
    leave_out_trained(data.splits()["test"], {options.audio_model: card}, named=True, notify=notify)
    return data
