"""The one rule that turns a clip's logits into predictions, for `vidfer analyze` and for everything that evaluates it.

    rules = Rules(class_shares=shares, face_calibration=(1.1, 0.1))
    faces = predict_faces(logits, person, times, weights, rules)     # FacePrediction: per face image, person, clip
    used = used_windows(silent, speech, rules)                       # which windows of sound count
    sound = predict_sound(window_logits[used], rules)                # SoundPrediction: per window, clip
    joint = predict_joint(fusion_logits, faces.share, rules)         # (7,), the trained fusion model's
    fused = fuse_modalities(faces, sound, joint, rules)

Every distribution is float64, `(7,)` or `(N, 7)`, classes in the order of `EMOTIONS`. Nothing is rounded here.

References:
    Cherian, Vaidhehi, Arshey, Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum: the table of expressions over all face images and its most frequent entry (`vote`).
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
    Saerens, Latinne, Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
    14(1), 2002: equation 2.4, of which `logit_adjustment` is the tempered form.
    Kittler, Hatef, Duin, Matas, On combining classifiers, IEEE TPAMI 20(3), 1998: the sum rule that `fuse` weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.media.vad import SPEECH_SHARE
from vidfer.types import EMOTIONS, VidferError

Floats = npt.NDArray[np.floating]

Calibration = tuple[float, float]
"""Temperature, and the label smoothing to invert before, as `vidfer.weights.files.read_calibration` gives them."""

Pool = Literal["peaks", "mean"]

UNCERTAIN: Final = "uncertain"
"""Stands for a class where no class is probable enough to be named."""

PRIOR_STRENGTH: Final = 0.5
"""How far `logit_adjustment` goes from the training set's class shares to equal ones: half way, see docs/answer.md."""

PEAK_SHARE: Final = 0.5
"""Share of a person's face images, by weight, that `pool_peaks` keeps."""

SMOOTHING: Final = 0.3
"""Seconds before and after a face image over which `pool_peaks` averages it: one image on each side at 5 frames a second."""

_FLOOR = 1e-6
_REMAINS = 1e-3


@dataclass(frozen=True)
class Rules:
    """Settings of the decision.

    Args:
        face_calibration: Of the image model's card, and so on for the other models; None, like (1, 0), where there is none.
        sound_calibration: Of the sound model's card.
        fusion_calibration: Of the fusion model's card.
        class_shares: Seven shares, above 0, of the classes in the image model's training images, from which the faces'
            probabilities are moved half way to equal ones; None to leave them.
        pool: `peaks` pools the half of a person's face images with most expression, `mean` all of them.
        abstain: Probability in (0, 1) that the most probable class needs to be named; None to name it always.
        speech_only: Whether windows of sound count only where someone speaks.
        face_weight: Weight of the faces in late fusion, in (0, 1); the sound gets the rest. The default leans on the faces,
            because the shipped sound model was trained on fifteen actors only.
    """

    face_calibration: Calibration | None = None
    sound_calibration: Calibration | None = None
    fusion_calibration: Calibration | None = None
    class_shares: tuple[float, ...] | None = None
    pool: Pool = "peaks"
    abstain: float | None = None
    speech_only: bool = True
    face_weight: float = 0.7


@dataclass(frozen=True)
class FacePrediction:
    """Predictions from a clip's faces."""

    probabilities: Floats  # (N, 7), of each face image
    people: npt.NDArray[np.int64]  # (P,), the persons' ids, ascending
    share: Floats  # (P,), each person's share of the face images
    of_people: Floats  # (P, 7), each person's distribution
    distribution: Floats  # (7,), their mean, weighted by `share`


@dataclass(frozen=True)
class SoundPrediction:
    """Predictions from a clip's sound."""

    probabilities: Floats  # (W, 7), of each window that counts
    distribution: Floats  # (7,), of all together


@dataclass(frozen=True)
class FusedPrediction:
    """Prediction from all modalities."""

    distribution: Floats  # (7,)
    method: Literal["trained", "late", "alone"]  # `alone` with one modality
    weights: dict[str, float]  # of each modality in the sum of distributions


def predict_faces(
    logits: Floats, person: npt.NDArray[np.int64], times: Floats, weights: Floats, rules: Rules
) -> FacePrediction:
    """Predict each face image, each person, and all of them together.

    Args:
        logits: (N, 7) of the image model, N >= 1.
        person: (N,) ids.
        times: (N,) presentation times in s.
        weights: (N,) by quality, above 0.
        rules: The settings.

    Raises:
        VidferError: Logits are not finite.
    """
    probabilities = calibrate(logits, rules.face_calibration, "image")
    if rules.class_shares is not None:
        probabilities = logit_adjustment(probabilities, rules.class_shares)
    people, counts = np.unique(person, return_counts=True)
    groups = [(probabilities[rows], weights[rows], times[rows]) for rows in (person == one for one in people)]
    peaks = rules.pool == "peaks"
    of_people = np.array([pool_peaks(p, w, t) if peaks else pool(p, w) for p, w, t in groups])
    share = counts / len(person)
    return FacePrediction(probabilities, people, share, of_people, share @ of_people)


def used_windows(silent: npt.NDArray[np.bool_], speech: Floats, rules: Rules) -> npt.NDArray[np.bool_]:
    """Choose the windows of sound that count, by whether they are silent (W,) and their share of speech (W,), in [0, 1]."""
    return np.asarray(~silent & (speech >= SPEECH_SHARE) if rules.speech_only else ~silent)


def predict_sound(logits: Floats, rules: Rules) -> SoundPrediction:
    """Predict each window and their sequence from the sound model's logits (W, 7) of the windows that count, W >= 1.

    Raises:
        VidferError: Logits are not finite.
    """
    probabilities = calibrate(logits, rules.sound_calibration, "sound")
    return SoundPrediction(probabilities, pool(probabilities, np.ones(len(probabilities))))


def predict_joint(logits: Floats, share: Floats, rules: Rules) -> Floats:
    """Average the fusion model's predictions over the persons, since nobody knows who speaks.

    Args:
        logits: (P, 7), of each person with the clip's sound.
        share: (P,), each person's share of the face images.
        rules: The settings.

    Raises:
        VidferError: Logits are not finite.
    """
    return np.asarray(share @ calibrate(logits, rules.fusion_calibration, "fusion"))


def fuse_modalities(
    faces: FacePrediction | None, sound: SoundPrediction | None, joint: Floats | None, rules: Rules
) -> FusedPrediction | None:
    """Fuse what there is: late by the weighted sum, trained by the mean of that sum and the fusion model's prediction.

    Far from what it was trained on, a fusion model whose logits add up lets one certain mistake decide; the mean does not.

    Args:
        faces: None without faces.
        sound: None without sound that counts.
        joint: (7,), see `predict_joint`, used where both modalities are there; None for late fusion.
        rules: The settings.
    """
    given = {name: part.distribution for name, part in (("faces", faces), ("sound", sound)) if part is not None}
    if len(given) < 2:
        return next((FusedPrediction(part, "alone", {name: 1.0}) for name, part in given.items()), None)
    weights = {"faces": rules.face_weight, "sound": 1.0 - rules.face_weight}
    late = fuse(given, weights)
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
    """Undo what training with smoothed labels did to logits (N, 7).

    A network trained on (1 - e) y + e / 7 predicts (1 - e) p + e / 7, so that even a certain prediction stays below 1. This
    solves for p, for a `smoothing` of e in [0, 1), and returns log p; where nothing is left of a class, it keeps a
    thousandth. With e = 0 the logits come back as they are.

    References:
        Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the Inception architecture, CVPR 2016, section 7: the labels.
    """
    if not smoothing:
        return logits
    left = (softmax(logits) - smoothing / len(EMOTIONS)) / (1 - smoothing)
    kept = np.maximum(left, _REMAINS)
    return np.asarray(np.log(kept / kept.sum(1, keepdims=True)))


def logit_adjustment(probabilities: Floats, shares: Sequence[float], strength: float = PRIOR_STRENGTH) -> Floats:
    """Move probabilities (N, 7) from the class shares of a training set towards equal ones.

    Each is divided by its class's share, above 0, to the power of `strength`, and the row is normalised again. A strength of 1 is
    Bayes' rule for classes that are equally frequent, 0 changes nothing.

    Example:
        >>> import numpy as np
        >>> from vidfer.inference.decision import logit_adjustment
        >>> p = np.array([[0.4, 0, 0, 0.6, 0, 0, 0]])
        >>> logit_adjustment(p, [0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1]).round(2)[0, [0, 3]].tolist()
        [0.57, 0.43]
    """
    moved = probabilities * np.asarray(shares, np.float64) ** -strength
    return np.asarray(moved / moved.sum(1, keepdims=True))


def pool(probabilities: Floats, weights: Floats) -> Floats:
    """Return the weighted geometric mean of rows, normalised: (N, 7) and (N,) to (7,).

    Args:
        probabilities: N >= 1. Values below 1e-6 count as 1e-6, so that one confident mistake cannot forbid a class.
        weights: Not negative, at least one above 0.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), _FLOOR))
    mean = (weights[:, None] * logs).sum(0) / weights.sum()
    pooled = np.exp(mean - mean.max())
    return np.asarray(pooled / pooled.sum())


def pool_peaks(
    probabilities: Floats, weights: Floats, times: Floats, *, share: float = PEAK_SHARE, smoothing: float = SMOOTHING
) -> Floats:
    """Pool the share of a track that shows most expression: (N, 7), (N,), (N,) to (7,).

    A mean over a track drowns an expression that is shown for a moment. So each face image is smoothed over the images
    before and after, which keeps a single mistake from being a peak, and those with the lowest probability of `neutral` are
    pooled. Neither duplicates nor the order of rows change the result.

    Args:
        probabilities: As for `pool`.
        weights: Above 0.
        times: Presentation times in s.
        share: Share of all weight that is kept, in (0, 1].
        smoothing: Seconds before and after an image over which it is averaged.
    """
    order = np.argsort(times, kind="stable")
    weight, time = weights[order].astype(np.float64), times[order]
    logs = np.log(np.maximum(probabilities[order].astype(np.float64), _FLOOR))
    first = np.searchsorted(time, time - smoothing, "left")
    beyond = np.searchsorted(time, time + smoothing, "right")
    mass = np.concatenate([[0.0], weight.cumsum()])
    total = np.concatenate([np.zeros((1, len(EMOTIONS))), (weight[:, None] * logs).cumsum(0)])
    smooth = softmax((total[beyond] - total[first]) / (mass[beyond] - mass[first])[:, None])
    ranked = np.argsort(smooth[:, EMOTIONS.index("neutral")], kind="stable")
    before = weight[ranked].cumsum() - weight[ranked]
    kept = np.clip(share * weight.sum() - before, 0.0, weight[ranked])
    return pool(smooth[ranked], kept)


def certain(probabilities: Floats, abstain: float | None) -> npt.NDArray[np.bool_]:
    """Say which rows (N, 7) are probable enough for their class to be named."""
    return np.asarray(probabilities.max(1) >= (abstain or 0.0))


def vote(probabilities: Floats) -> Floats:
    """Count each row's most probable class, as shares (7,): the paper's table of expressions. N >= 1."""
    counts = np.bincount(probabilities.argmax(1), minlength=len(EMOTIONS))
    return np.asarray(counts / counts.sum())


def fuse(distributions: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Fuse at least one modality's distribution (7,) by the weighted sum rule; only the weights' ratio matters.

    Not by the product rule: where one model is far from what it was trained on, its certain mistakes would veto the
    other. Kittler et al. derive why the sum bears errors of estimation best.
    """
    total = sum(weights[name] for name in distributions)
    return np.asarray(sum(distribution * (weights[name] / total) for name, distribution in distributions.items()))


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
