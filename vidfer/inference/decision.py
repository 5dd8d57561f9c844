"""The one rule that turns a clip's logits into predictions, for `vidfer analyze` and for everything that evaluates it.

Every distribution is float64, `(7,)` or `(N, 7)`, classes in the order of `EMOTIONS`. Nothing is rounded here.

References:
    Cherian, Vaidhehi, Arshey, Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum: the table of expressions over all face images and its most frequent entry (`vote`).
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
    Saerens, Latinne, Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
    14(1), 2002: equation 2.4, of which `logit_adjustment` is the tempered form.
    Kittler, Hatef, Duin, Matas, On combining classifiers, IEEE TPAMI 20(3), 1998: equation 7, the product rule of
        `fuse_modalities`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.media.vad import SPEECH_SHARE
from vidfer.types import EMOTIONS, VidferError

Floats = npt.NDArray[np.floating]
Calibration = tuple[float, float]  # temperature and label smoothing, see `vidfer.weights.files.read_calibration`
Answer = Literal["pool", "vote"]
Pool = Literal["peaks", "mean"]

UNCERTAIN: Final = "uncertain"
"""Stands for a class where no class is probable enough to be named."""

SMALL_MARGIN: Final = 0.1
"""The margin below which another expression is nearly as probable."""

SENSIBLE: Final = 0.95
"""How often late fusion supposes that a modality's prediction tells anything: so no modality can quite exclude a class."""

UNCALIBRATED: Final = 0.5
"""Exponent in late fusion of a modality whose card has no calibration, like a temperature of 2: networks are overconfident."""

PRIOR_STRENGTH: Final = 0.5
"""How far `logit_adjustment` goes from the training set's class shares to equal ones: half, see docs/concepts/calibration.md."""


@dataclass(frozen=True)
class Rules:
    """Settings of the decision.

    Args:
        face_calibration: Of the image model's card, as of the others' below; None, like (1, 0), where it has none.
        sound_calibration: Of the sound model's card.
        person_calibration: Of the faces model's card.
        fusion_calibration: Of the fusion model's card.
        class_shares: Seven shares, above 0, of the classes in the image model's training images, from which the faces'
            probabilities are moved half way to equal ones; None to leave them.
        answer: `pool` pools the face images of a person, unless a faces model predicts them; `vote` is the paper's: the share of
            each class among the images' most probable ones.
        pool: `peaks` pools the half of a person's face images with most expression, `mean` all of them.
        abstain: Probability in (0, 1) that the most probable class needs to be named; None to name it always.
        speech_only: Whether windows of sound count only where someone speaks.
        pooled_temperature: Of what `peaks` pools, as the image model's card has it; 1 where it has none.
        face_weight: Exponent of the faces in late fusion, in (0, 1]: 1 where their probabilities are calibrated.
        sound_weight: Of the sound, likewise.
    """

    face_calibration: Calibration | None = None
    sound_calibration: Calibration | None = None
    person_calibration: Calibration | None = None
    fusion_calibration: Calibration | None = None
    class_shares: tuple[float, ...] | None = None
    answer: Answer = "pool"
    pool: Pool = "peaks"
    abstain: float | None = None
    speech_only: bool = True
    pooled_temperature: float = 1.0
    face_weight: float = 1.0
    sound_weight: float = 1.0


@dataclass(frozen=True)
class FacePrediction:
    """Predictions from a clip's faces."""

    probabilities: Floats  # (N, 7), of each face image
    people: npt.NDArray[np.int64]  # (P,), the persons' ids, ascending
    share: Floats  # (P,), each person's share of the face images
    of_people: Floats  # (P, 7), each person's distribution
    distribution: Floats  # (7,), their mean, weighted by `share`, or the vote over all face images


@dataclass(frozen=True)
class SoundPrediction:
    """Predictions from a clip's sound."""

    probabilities: Floats  # (W, 7), of each window that counts
    distribution: Floats  # (7,), of all together
    sequential: bool = False  # whether each window's prediction is from all windows so far


@dataclass(frozen=True)
class FusedPrediction:
    """Prediction from all modalities."""

    distribution: Floats  # (7,)
    method: Literal["trained", "late", "alone"]  # `alone` with one modality
    weights: dict[str, float]  # of each modality, its exponent in the product of distributions


def predict_faces(
    logits: Floats,
    person: npt.NDArray[np.int64],
    times: Floats,
    weights: Floats,
    rules: Rules,
    by_person: Floats | None = None,
) -> FacePrediction:
    """Predict each face image, each person, and all of them together.

    For N >= 1 images: the image model's logits (N, 7), person ids (N,), presentation times (N,) in s, and weights (N,) by
    quality, above 0. Without a vote, the faces model's logits (P, 7) of the persons, in the order of their ids, predict them.

    Raises:
        VidferError: Logits are not finite.
    """
    return pool_faces(face_probabilities(logits, rules), person, times, weights, rules, by_person)


def pool_faces(
    probabilities: Floats,
    person: npt.NDArray[np.int64],
    times: Floats,
    weights: Floats,
    rules: Rules,
    by_person: Floats | None = None,
) -> FacePrediction:
    """Predict each person and all of them together from calibrated probabilities (N, 7); all else as `predict_faces` takes it."""
    people, counts = np.unique(person, return_counts=True)
    share = counts / len(person)
    groups = [(probabilities[rows], weights[rows], times[rows]) for rows in (person == one for one in people)]
    if rules.answer == "vote":
        of_people = np.array([count_votes(p, rules.abstain) for p, _, _ in groups])
        return FacePrediction(probabilities, people, share, of_people, count_votes(probabilities, rules.abstain))
    if by_person is not None:
        of_people = calibrate(by_person, rules.person_calibration, "faces")
    elif rules.pool == "peaks":
        pooled = np.array([pool_peaks(p, w, t) for p, w, t in groups])
        of_people = softmax(np.log(pooled), rules.pooled_temperature)
    else:
        of_people = np.array([pool(p, w) for p, w, _ in groups])
    return FacePrediction(probabilities, people, share, of_people, share @ of_people)


def face_probabilities(logits: Floats, rules: Rules) -> Floats:
    """Turn the image model's logits (N, 7) into probabilities (N, 7), each face image by itself.

    Raises:
        VidferError: Logits are not finite.
    """
    probabilities = calibrate(logits, rules.face_calibration)
    return probabilities if rules.class_shares is None else logit_adjustment(probabilities, rules.class_shares)


def used_windows(silent: npt.NDArray[np.bool_], speech: Floats, rules: Rules) -> npt.NDArray[np.bool_]:
    """Choose the windows of sound that count, by whether they are silent (W,) and their share of speech (W,), in [0, 1]."""
    return np.asarray(~silent & (speech >= SPEECH_SHARE) if rules.speech_only else ~silent)


def predict_sound(logits: Floats, rules: Rules, *, sequential: bool = False) -> SoundPrediction:
    """Predict each window and their sequence from the sound model's logits (W, 7) of the windows that count, W >= 1.

    Windows that were classified one by one are pooled. Of a `sequential` model, whose logits are each of all windows so far, the
    last are those of the whole sequence.

    Raises:
        VidferError: Logits are not finite.
    """
    return pool_windows(calibrate(logits, rules.sound_calibration, "sound"), sequential=sequential)


def pool_windows(probabilities: Floats, *, sequential: bool = False) -> SoundPrediction:
    """Predict the sound from the calibrated probabilities (W, 7) of the windows that count, in order, W >= 1."""
    whole = probabilities[-1] if sequential else pool(probabilities, np.ones(len(probabilities)))
    return SoundPrediction(probabilities, whole, sequential)


def predict_joint(logits: Floats, share: Floats, rules: Rules) -> Floats:
    """Average the fusion model's predictions by the persons' shares (P,) of the face images, since nobody knows who speaks.

    Its logits (P, 7) are of each person with the clip's sound.

    Raises:
        VidferError: Logits are not finite.
    """
    return np.asarray(share @ calibrate(logits, rules.fusion_calibration, "fusion"))


def fuse_modalities(
    faces: FacePrediction | None, sound: SoundPrediction | None, joint: Floats | None, rules: Rules
) -> FusedPrediction | None:
    """Fuse what there is: late by the product, or trained by the mean of that product and `joint` (7,), see `predict_joint`.

    Calibrated distributions of modalities that err independently are multiplied, under classes that are equally frequent: Bayes'
    rule. The more a modality errs on people and recordings it never met, the flatter its calibration makes it, and the less it
    counts. Each is supposed to tell nothing once in twenty times (`SENSIBLE`), which bounds the odds that it can multiply by.
    """
    if faces is None or sound is None:
        given = {"faces": faces, "sound": sound}.items()
        return next((FusedPrediction(part.distribution, "alone", {name: 1.0}) for name, part in given if part), None)
    weights = {"faces": rules.face_weight, "sound": rules.sound_weight}
    parts = np.array([faces.distribution, sound.distribution])
    logs = np.log(SENSIBLE * parts + (1 - SENSIBLE) / len(EMOTIONS))
    late = softmax((np.array([*weights.values()]) @ logs)[None])[0]
    if joint is None:
        return FusedPrediction(late, "late", weights)
    return FusedPrediction(np.asarray((joint + late) / 2), "trained", weights)


def calibrate(logits: Floats, calibration: Calibration | None, kind: str = "image") -> Floats:
    """Turn logits (N, 7) into probabilities by a card's calibration.

    Raises:
        VidferError: The logits of the `kind` model are not finite.
    """
    if not np.isfinite(logits).all():
        raise VidferError(f"the {kind} model's output is not finite: its weights cannot be used")
    temperature, smoothing = calibration or (1.0, 0.0)
    return softmax(invert_label_smoothing(logits, smoothing), temperature)


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Turn finite logits (N, 7) into float64 probabilities, all divided by one temperature above 0 first."""
    scaled = logits.astype(np.float64) / temperature
    raised = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def invert_label_smoothing(logits: Floats, smoothing: float) -> Floats:
    """Undo what training with smoothed labels did to logits (N, 7); with a `smoothing` of 0 they come back as they are.

    A network trained on (1 - e) y + e / 7 predicts (1 - e) p + e / 7, so that even a certain prediction stays below 1. This
    solves for p, for e in [0, 1), and returns log p; where nothing is left of a class, it keeps a thousandth.

    References:
        Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the Inception architecture, CVPR 2016, section 7: the labels.
    """
    if not smoothing:
        return logits
    kept = np.maximum((softmax(logits) - smoothing / len(EMOTIONS)) / (1 - smoothing), 1e-3)
    return np.asarray(np.log(kept / kept.sum(1, keepdims=True)))


def logit_adjustment(probabilities: Floats, shares: Sequence[float], strength: float = PRIOR_STRENGTH) -> Floats:
    """Move probabilities (N, 7) from a training set's class shares, above 0, towards equal ones.

    Each is divided by its class's share to the power of `strength`, and the row is normalised again. A strength of 1 is
    Bayes' rule for classes that are equally frequent, 0 changes nothing.
    """
    moved = probabilities * np.asarray(shares, np.float64) ** -strength
    return np.asarray(moved / moved.sum(1, keepdims=True))


def pool(probabilities: Floats, weights: Floats) -> Floats:
    """Pool probabilities (N, 7) by weights (N,), not all 0, into their geometric mean (7,), normalised; N >= 1.

    Values below 1e-6 count as 1e-6, so that one confident mistake cannot forbid a class.
    """
    mean = (weights[:, None] * _logs(probabilities)).sum(0) / weights.sum()
    return np.asarray(softmax(mean[None])[0])


def pool_peaks(
    probabilities: Floats, weights: Floats, times: Floats, *, share: float = 0.5, smoothing: float = 0.3
) -> Floats:
    """Pool the share of a track that shows most expression, lest a short one drowns in the mean: (N, 7), (N,), (N,) to (7,).

    Each face image is smoothed over the images before and after, which keeps a single mistake from being a peak, and those
    with the lowest probability of `neutral` are pooled. Neither duplicates nor the order of rows change the result.

    Args:
        probabilities: As for `pool`.
        weights: Above 0.
        times: Presentation times in s.
        share: Share of all weight that is kept, in (0, 1].
        smoothing: Seconds before and after an image over which it is averaged; the default reaches one image at 5 a second.
    """
    order = np.argsort(times, kind="stable")
    weight, time = weights[order].astype(np.float64), times[order]
    first = np.searchsorted(time, time - smoothing, "left")
    beyond = np.searchsorted(time, time + smoothing, "right")
    mass = np.concatenate([[0.0], weight.cumsum()])
    total = np.concatenate([np.zeros((1, len(EMOTIONS))), (weight[:, None] * _logs(probabilities[order])).cumsum(0)])
    smooth = softmax((total[beyond] - total[first]) / (mass[beyond] - mass[first])[:, None])
    ranked = np.argsort(smooth[:, EMOTIONS.index("neutral")], kind="stable")
    before = weight[ranked].cumsum() - weight[ranked]
    kept = np.clip(share * weight.sum() - before, 0.0, weight[ranked])
    return pool(smooth[ranked], kept)


def _logs(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), 1e-6)))


def certain(probabilities: Floats, abstain: float | None) -> npt.NDArray[np.bool_]:
    """Say which rows (N, 7) are probable enough for their class to be named."""
    return np.asarray(probabilities.max(1) >= (abstain or 0.0))


def vote(probabilities: Floats) -> Floats:
    """Count each row's most probable class, as shares (7,): the paper's table of expressions. N >= 1."""
    return np.asarray(np.bincount(probabilities.argmax(1), minlength=len(EMOTIONS)) / len(probabilities))


def count_votes(probabilities: Floats, abstain: float | None = None) -> Floats:
    """Let the rows (N, 7), N >= 1, vote that are `certain`: shares (7,), and equal ones where none is."""
    voting = probabilities[certain(probabilities, abstain)]
    return vote(voting) if len(voting) else np.full(len(EMOTIONS), 1 / len(EMOTIONS))


def predominant(distribution: Floats, abstain: float | None = None) -> tuple[str, float]:
    """Return the most probable class, or `UNCERTAIN` below `abstain`, and its margin over the second, in [0, 1].

    Equal shares, as a vote gives them, go to the class that stands first in `EMOTIONS`, with margin 0.
    """
    order = np.argsort(-distribution, kind="stable")
    highest, second = (float(distribution[place]) for place in order[:2])
    named = abstain is None or highest >= abstain
    return EMOTIONS[int(order[0])] if named else UNCERTAIN, highest - second


def by_name(distribution: Floats) -> dict[str, float]:
    """Name the entries of a distribution (7,)."""
    return dict(zip(EMOTIONS, map(float, distribution), strict=True))
