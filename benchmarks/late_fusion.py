"""Compare rules of late fusion on recordings of speech paired with clips simulated from faces that show the same class.

The faces are of people held out of training (`simulated_clips.py`), the recordings of speakers whom the sound model was not
trained on. With `--leave-out`, each corpus is also predicted by a network that was trained by the same recipe on the others: what
a real video is to the sound model. Paired clips are semi-synthetic: nobody both speaks and is seen, so the modalities err
independently by construction. Constants of rivals are fitted on half of the faces' persons, with the same recordings; all rules
are measured on the other half. Intervals are of a bootstrap over speakers and over the faces' persons, both at once.

    python benchmarks/late_fusion.py --image-model NAME|FILE --audio-model NAME|FILE [--leave-out] [--store DIR]

References:
    Owen: The pigeonhole bootstrap. The Annals of Applied Statistics 1(2), 2007.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pooling import Half, Report, read_halves  # the file beside this one
from scipy.optimize import minimize_scalar

from vidfer.datasets.clips import find_clips
from vidfer.datasets.splits import take_people
from vidfer.evaluation.audio import predict_recording
from vidfer.evaluation.calibration import fit_folds, label_smoothing, pool_windows
from vidfer.evaluation.corpora import Predicted, predict_without
from vidfer.evaluation.folds import find_recipe, leave_out_trained
from vidfer.inference.decision import Rules, fuse_modalities, predict_faces, softmax
from vidfer.inference.models import ImageModel
from vidfer.metrics.calibration import fit_temperature
from vidfer.metrics.classification import reliability
from vidfer.pipeline.store import Place, Store, default_store
from vidfer.stages.chain import ChainOptions, build_rules
from vidfer.types import ClipError
from vidfer.weights.files import find_weights

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Fuse = Callable[[Floats, Floats], Floats]

CORPORA: Final = ("ravdess", "nemo", "ased")
PEOPLE: Final = "2-20"
"""Speakers of RAVDESS: actor 1 is kept for tests of video."""

_TRAINED = {"ravdess": "ravdess-2-16", "nemo": "nemo", "ased": "ased"}
_PAIRINGS = 4  # clips of faces for each recording
_RESAMPLED = 1000


@dataclass(frozen=True)
class Recordings:
    """Recordings of one corpus: distributions `(N, 7)` by a model that has not met them, at its temperature and at 1."""

    name: str
    p: Floats
    uncalibrated: Floats
    target: Ints  # (N,)
    person: list[str]


@dataclass(frozen=True)
class Pairs:
    """Recordings with faces of the same class: distributions `(N, 7)`, classes, and who is heard and seen, `(N,)`."""

    faces: Floats
    uncalibrated_faces: Floats
    sound: Floats
    uncalibrated_sound: Floats
    target: Ints
    speaker: Ints
    person: Ints


def predict_unmet(model: str, store: Place) -> list[Recordings]:
    """Predict the recordings of speakers whom a sound model was not trained on, by corpus."""
    card, found = find_weights("audio", model).card, []
    temperature = card.get("calibration", {}).get("temperature", 1.0)
    for corpus in CORPORA:
        clips = find_clips(corpus, None)[0]
        clips = take_people(clips, PEOPLE) if corpus == "ravdess" else clips
        rows = []
        for clip in leave_out_trained(clips, {model: card}, named=False, notify=print):
            try:
                p = predict_recording(clip.path, model, Store(store), speech_only=True)
            except ClipError as error:
                print(f"  left out: {clip.name}: {error.status}")
                continue
            rows.append((p, clip.target, str(clip.person)))
        if rows:
            p = np.array([each for each, _, _ in rows])
            plain = softmax(np.log(np.maximum(p, 1e-9)), 1 / temperature)
            found.append(
                Recordings(
                    f"{corpus}: {model}",
                    p,
                    plain,
                    np.array([each for _, each, _ in rows]),
                    [each for _, _, each in rows],
                )
            )
    return found


def predict_left_out(model: str, store: Place) -> list[Recordings]:
    """Predict each corpus by a network trained on the others, at the temperature of the others' such predictions."""
    card = find_weights("audio", model).card
    recipe, settings = find_recipe(None, card)
    settings |= {"voice": True, "store": str(store), "seed": 0}
    of = {str(clip.person): name for name in CORPORA for clip in find_clips(name, None)[0]}
    found: dict[str, Predicted] = {}
    for corpus in CORPORA:
        train = ",".join(_TRAINED[name] for name in CORPORA if name != corpus)
        split, source = (train, _TRAINED[corpus]), (",".join(CORPORA), None)
        found |= predict_without(recipe, source, split, settings, of, print)
    rows = []
    for corpus, each in found.items():
        others = [other for name, other in found.items() if name != corpus]
        fitted = fit_folds(
            [other.logits for other in others], [other.target for other in others], label_smoothing(card)
        )
        p = softmax(pool_windows(each.logits, fitted["smoothing"]) / fitted["temperature"])
        plain = softmax(pool_windows(each.logits, 0.0))
        rows.append(Recordings(f"{corpus}, trained without it", p, plain, np.array(each.target), each.person))
    return rows


def pool_faces(half: Half, rules: Rules) -> Floats:
    """Predict the clips of a half by the rule of `analyze`: `(C, 7)`."""
    found = []
    for clip in half.clips:
        alone = np.zeros(len(clip.times), np.int64)
        found.append(predict_faces(clip.logits, alone, clip.times, clip.weights, rules).distribution)
    return np.array(found)


def pair(recordings: Recordings, half: Half, faces: Floats, plain: Floats) -> Pairs:
    """Pair each recording with clips of its class."""
    rng = np.random.default_rng(0)
    heard = np.repeat(np.arange(len(recordings.target)), _PAIRINGS)
    seen = np.array([rng.choice(np.flatnonzero(half.target == recordings.target[at])) for at in heard])
    speaker = np.unique(recordings.person, return_inverse=True)[1]
    return Pairs(
        faces[seen], plain[seen], recordings.p[heard], recordings.uncalibrated[heard], recordings.target[heard],
        speaker[heard], half.person[seen],
    )  # fmt: skip


def as_analyze(rules: Rules) -> Fuse:
    """Return late fusion as `analyze` has it."""

    def fuse(faces: Floats, sound: Floats) -> Floats:
        given: list[list[Any]] = [[SimpleNamespace(distribution=row) for row in rows] for rows in (faces, sound)]
        fused = [fuse_modalities(face, voice, None, rules) for face, voice in zip(*given, strict=True)]
        return np.array([each.distribution for each in fused if each])

    return fuse


def fit_rivals(pairs: Pairs) -> dict[str, float]:
    """Fit the sum's weight of the faces, by likelihood and by how far above chance each is right; both calibrated."""
    rows = np.arange(len(pairs.target))
    truth = [each[rows, pairs.target] for each in (pairs.faces, pairs.sound)]
    best = minimize_scalar(
        lambda w: -np.log(w * truth[0] + (1 - w) * truth[1]).mean(), bounds=(0, 1), method="bounded"
    ).x
    skill = [max(0.01, (each.argmax(1) == pairs.target).mean() - 1 / 7) for each in (pairs.faces, pairs.sound)]
    return {"likelihood": float(best), "skill": skill[0] / sum(skill)}


def rules_of(pairs: Pairs, rivals: Mapping[str, float], rules: Rules) -> dict[str, Floats]:
    """Return the distributions of every rule, `(N, 7)` each."""
    faces, sound = pairs.faces, pairs.sound
    sure = [each.max(1, keepdims=True) for each in (faces, sound)]
    product = faces * sound
    by = {name: w * faces + (1 - w) * sound for name, w in rivals.items()}
    return {
        "faces alone": faces,
        "sound alone": sound,
        "sum, 0.7 and 0.3, uncalibrated (before)": 0.7 * pairs.uncalibrated_faces + 0.3 * pairs.uncalibrated_sound,
        "sum, weight by likelihood": by["likelihood"],
        "sum, weight by accuracy above chance": by["skill"],
        "sum, weight by each one's confidence": (sure[0] * faces + sure[1] * sound) / (sure[0] + sure[1]),
        "product, uncalibrated": as_analyze(rules)(pairs.uncalibrated_faces, pairs.uncalibrated_sound),
        "product, unbounded": product / product.sum(1, keepdims=True),
        "**product of what is calibrated**": as_analyze(rules)(faces, sound),
    }


def accuracy(pairs: Pairs, right: NDArray[np.bool_]) -> Floats:
    """Return the accuracy in samples of speakers and persons, `(_RESAMPLED,)`."""
    rng = np.random.default_rng(0)
    weight = np.ones((_RESAMPLED, len(right)))
    for who in (pairs.speaker, pairs.person):
        count = who.max() + 1
        weight *= rng.multinomial(count, np.full(count, 1 / count), _RESAMPLED)[:, who]
    return np.asarray((weight @ right) / weight.sum(1).clip(1))


def main() -> None:
    """Print a table for each corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="holds fer2013/ and faces_wild/")
    parser.add_argument("--image-model", required=True, metavar="NAME|FILE")
    parser.add_argument("--audio-model", required=True, metavar="NAME|FILE")
    parser.add_argument("--leave-out", action="store_true", help="also train without each corpus and predict it")
    parser.add_argument("--store", default=None, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(1)
    store, report = args.store or default_store(), Report()
    given = {"image_model": args.image_model, "audio_model": args.audio_model, "fusion_model": "late"}
    rules = replace(build_rules(ChainOptions(denoise="off", **given)), face_weight=1.0, sound_weight=1.0)
    recordings = predict_unmet(args.audio_model, store)
    recordings += predict_left_out(args.audio_model, store) if args.leave_out else []
    halves, shares = read_halves(args.data, ImageModel(args.image_model))
    rules = replace(rules, class_shares=tuple(shares), pooled_temperature=1.0)
    plain = [pool_faces(half, rules) for half in halves]
    temperature = fit_temperature(np.log(plain[0]), halves[0].target)
    print(f"temperature of the pooled faces: {temperature:.3f}")
    faces = [softmax(np.log(each), temperature) for each in plain]
    for each in recordings:
        rivals = fit_rivals(pair(each, halves[0], faces[0], plain[0]))
        pairs, rows = pair(each, halves[1], faces[1], plain[1]), []
        found = rules_of(pairs, rivals, rules)
        for name, p in found.items():
            spread = accuracy(pairs, p.argmax(1) == pairs.target)
            low, high = np.percentile(spread, [2.5, 97.5])
            nll = float(-np.log(p[np.arange(len(p)), pairs.target]).mean())
            right = float((p.argmax(1) == pairs.target).mean())
            rows.append(
                {
                    "rule": name,
                    "accuracy": right,
                    "95 %": f"{low:.3f} to {high:.3f}",
                    "NLL": nll,
                    "ECE": float(reliability(p, pairs.target).ece),
                }
            )
        people = f"{len(each.target)} recordings of {len(set(each.person))} speakers"
        report.table(
            f"{each.name}: {people}, {len(pairs.target)} pairs; weights {', '.join(f'{v:.2f}' for v in rivals.values())}",
            rows,
        )


if __name__ == "__main__":
    main()
