"""Choose pooling, class prior, temperature and abstention on clips simulated from faces of people held out of training.

How the clips are made, and what their class is, stands in `simulated_clips.py` and in docs/concepts/calibration.md. The rules are
compared on the clips of one half of the persons, and looked at again on those of the other; intervals are percentiles of a
bootstrap over persons. Nothing here sees a real clip.

    python benchmarks/pooling.py --image-model NAME|FILE [--data data] [--out DIR] [--write-card]     # about 3 CPU-minutes
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from simulated_clips import LASTING, NEUTRAL, Clip, Floats, read_pools, simulate, truth  # the file beside this one

from vidfer.evaluation.export import write_card
from vidfer.inference import decision
from vidfer.inference.models import ImageModel
from vidfer.metrics.calibration import coverage_curve, fit_temperature
from vidfer.metrics.classification import negative_log_likelihood, reliability
from vidfer.types import EMOTIONS
from vidfer.weights.files import read_calibration, weights_digest

Rule = Callable[[Floats, Floats, Floats], Floats]
Ints = NDArray[np.int64]

EACH: Final = 100
"""Clips of each class in each half."""

HALVES: Final = ("chosen on", "confirmed on")
_RESAMPLED = 1000
_TINY = 1e-6


@dataclass(frozen=True)
class Half:
    """The clips of half of the persons."""

    name: str
    clips: list[Clip]
    frames: list[Floats]  # of each clip, calibrated probabilities (N, 7) under the training's class shares
    target: Ints  # (C,)
    person: Ints  # (C,), from 0 on
    clear: NDArray[np.bool_]  # (C,), neutral by the teachers with a mean probability of at least a half


@dataclass
class Report:
    """Tables, printed as they are made and kept for a JSON file."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print a table in Markdown and keep it."""
        print(f"\n## {title}\n\n| {' | '.join(rows[0])} |\n{'|---' * len(rows[0])}|")
        for row in rows:
            print(
                f"| {' | '.join(f'{value:.3f}' if isinstance(value, float) else str(value) for value in row.values())} |"
            )
        self.tables[title] = [dict(row) for row in rows]


def smoothed(p: Floats, weights: Floats, times: Floats, seconds: float) -> Floats:
    """Smooth as `pool_peaks` does, row for row."""
    near = (np.abs(times[:, None] - times) <= seconds) * weights
    logs = near @ np.log(np.maximum(p, _TINY)) / near.sum(1, keepdims=True)
    return decision.softmax(logs)


def mean_of_top(values: Floats, weights: Floats, share: float) -> float:
    """Return the weighted mean of the largest values that hold a share of all weight."""
    order = np.argsort(-values, kind="stable")
    before = weights[order].cumsum() - weights[order]
    kept = np.clip(share * weights.sum() - before, 0, weights[order])
    return float(kept @ values[order] / kept.sum())


def peak(p: Floats, weights: Floats, times: Floats, *, share: float, smoothing: float = 0.0) -> Floats:
    """Give each expression the mean of its own top share of frames, and neutral its mean over all."""
    q = smoothed(p, weights, times, smoothing)
    found = np.array(
        [mean_of_top(q[:, label], weights, 1 if label == NEUTRAL else share) for label in range(len(EMOTIONS))]
    )
    return np.asarray(found / found.sum())


def quantile(p: Floats, weights: Floats, times: Floats, *, at: float, smoothing: float = 0.5) -> Floats:
    """Give each expression a quantile over the frames, and neutral its median."""
    q, found = smoothed(p, weights, times, smoothing), []
    for label in range(len(EMOTIONS)):
        order = np.argsort(q[:, label], kind="stable")
        place = (weights[order].cumsum() - weights[order] / 2) / weights.sum()
        found.append(np.interp(0.5 if label == NEUTRAL else at, place, q[order, label]))
    return np.asarray(np.array(found) / sum(found))


def mixture(p: Floats, weights: Floats, _times: Floats) -> Floats:
    """Suppose that each frame shows the class with a probability, U(0.1, 1), and neutral otherwise; N frames tell as three do."""
    share = np.linspace(0.1, 1, 16)[:, None, None]
    logs = np.log(np.maximum(share * p + (1 - share) * p[:, NEUTRAL, None], _TINY))
    found = np.exp(3 * (weights[:, None] * logs).sum(1) / weights.sum()).mean(0)
    return np.asarray(found / found.sum())


def peaks(share: float, smoothing: float) -> Rule:
    """Return `pool_peaks` with these constants."""
    return partial(decision.pool_peaks, share=share, smoothing=smoothing)


RULES: Final[dict[str, Rule]] = {
    "mean log p (`--pool mean`)": lambda p, w, _: decision.pool(p, w),
    "mean p": lambda p, w, _: np.asarray(w @ p / w.sum()),
    "majority vote": lambda p, _w, _t: decision.vote(p),
    "most expressive third, 0.3 s": peaks(1 / 3, 0.3),
    "**`--pool peaks`**": decision.pool_peaks,
    "own top quarter (`peak`)": partial(peak, share=0.25),
    "own top quarter, 0.5 s": partial(peak, share=0.25, smoothing=0.5),
    "quantile 0.75": partial(quantile, at=0.75),
    "quantile 0.9": partial(quantile, at=0.9),
    "mixture with neutral": mixture,
}


def pooled(half: Half, rule: Rule, shares: Sequence[float], strength: float) -> Floats:
    """Predict every clip of a half: `(C, 7)`."""
    moved = (decision.logit_adjustment(p, shares, strength) for p in half.frames)
    return np.array([rule(p, clip.weights, clip.times) for p, clip in zip(moved, half.clips, strict=True)])


def recalls(half: Half, target: Ints, preds: Ints, resampled: int = 0) -> Floats:
    """Return the recall of each class `(7,)`, or of each class in samples of the persons `(resampled, 7)`."""
    counts = np.zeros((2, half.person.max() + 1, len(EMOTIONS)))
    np.add.at(counts[0], (half.person, target), preds == target)
    np.add.at(counts[1], (half.person, target), 1)
    number = counts.shape[1]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(number, np.full(number, 1 / number), resampled) if resampled else np.ones((1, number))
    found = (drawn @ counts[0]) / np.maximum(drawn @ counts[1], 1)
    return np.asarray(found if resampled else found[0])


def interval(values: Floats) -> str:
    """Render the middle 95 % of values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{low:.3f} to {high:.3f}"


def describe(half: Half, p: Floats, rival: Floats | None = None) -> dict[str, Any]:
    """Return the columns of a rule's row for one half: mean recall, neutral kept, calls of neutral; and how far from a rival."""
    preds = p.argmax(1)
    found, spread = recalls(half, half.target, preds), recalls(half, half.target, preds, _RESAMPLED).mean(1)
    still, alarm = half.target == NEUTRAL, (half.target == NEUTRAL) & (preds != NEUTRAL)
    row = {
        f"{half.name}: UAR": float(found.mean()),
        "95 %": interval(spread),
        "false alarms": f"{alarm.sum()}/{still.sum()}",
        "of clear ones": f"{(alarm & half.clear).sum()}/{half.clear.sum()}",
        "missed": f"{(preds[~still] == NEUTRAL).sum()}/{(~still).sum()}",
    }
    if rival is not None:
        other = recalls(half, half.target, rival.argmax(1), _RESAMPLED).mean(1)
        row["less than `peaks` by"] = interval(other - spread)
    return {f"{name}{' ' * HALVES.index(half.name)}": value for name, value in row.items()}


def compare(halves: Sequence[Half], shares: Sequence[float], strength: float, report: Report) -> None:
    """Compare the rules, then strengths of the prior, then the constants of `peaks`."""
    best = [pooled(half, decision.pool_peaks, shares, strength) for half in halves]
    rows = []
    for name, rule in RULES.items():
        row: dict[str, Any] = {"rule": name}
        for half, rival in zip(halves, best, strict=True):
            row |= describe(half, pooled(half, rule, shares, strength), rival)
        rows.append(row)
    report.table(f"Rules, prior strength {strength:g}", rows)
    rows = []
    for name, rule in (("`mean`", RULES["mean log p (`--pool mean`)"]), ("`peaks`", decision.pool_peaks)):
        for each in (0.0, 0.25, 0.5, 0.75, 1.0):
            row = {"rule": name, "strength": each}
            for half in halves:
                row |= describe(half, pooled(half, rule, shares, each))
            rows.append(row)
    report.table("Strength of the class prior's adjustment", rows)
    rows = []
    for share in (0.15, 0.25, 1 / 3, 0.4, 0.5, 0.67):
        row = {"share kept": share}
        for seconds in (0.0, 0.3, 0.5, 0.7, 0.9):
            found = [pooled(half, peaks(share, seconds), shares, strength) for half in halves]
            uar = [recalls(half, half.target, p.argmax(1)).mean() for half, p in zip(halves, found, strict=True)]
            row[f"{seconds:g} s"] = f"{uar[0]:.3f}, {uar[1]:.3f}"
        rows.append(row)
    report.table("`peaks`: share of the weight kept, and seconds of smoothing to either side; UAR of both halves", rows)


def vary(halves: Sequence[Half], shares: Sequence[float], strength: float, report: Report) -> None:
    """Show how rules do for other lengths of clips, and for other shares of the time that make a clip's class."""
    rows = []
    lengths = {"under 6 s": (0, 6), "6 to 20 s": (6, 20), "over 20 s": (20, np.inf)}
    for name, rule in RULES.items():
        row: dict[str, Any] = {"rule": name}
        right: dict[str, list[float]] = {}
        for half in halves:
            preds = pooled(half, rule, shares, strength).argmax(1)
            last = np.array([np.ptp(clip.times) for clip in half.clips])
            for title, (low, high) in lengths.items():
                at = (last >= low) & (last < high)
                right.setdefault(title, []).append(_uar(half.target[at], preds[at]))
            for lasting in (LASTING / 2, LASTING * 2):
                other = np.array([truth(clip, lasting) for clip in half.clips])
                right.setdefault(f"class from {lasting:g} of the time on", []).append(_uar(other, preds))
        rows.append(row | {title: float(np.mean(values)) for title, values in right.items()})
    report.table("UAR by length, and by what makes a clip's class; mean of both halves", rows)


def _uar(target: Ints, preds: Ints) -> float:
    return float(np.mean([(preds[target == label] == label).mean() for label in np.unique(target)]))


def calibrate(halves: Sequence[Half], shares: Sequence[float], strength: float, report: Report) -> dict[str, Any]:
    """Fit a temperature to the pooled predictions of the first half, show calibration and abstention, return a card's entry."""
    logs = [np.log(np.maximum(pooled(half, decision.pool_peaks, shares, strength), _TINY)) for half in halves]
    temperature = round(fit_temperature(logs[0], halves[0].target), 6)
    scores: list[dict[str, Any]] = []
    for half, z in zip(halves, logs, strict=True):
        for t in (1.0, temperature):
            nll = negative_log_likelihood(z / t, half.target)
            ece = reliability(decision.softmax(z, t), half.target).ece
            scores.append({"half": half.name, "temperature": t, "NLL": nll, "ECE": float(ece)})
    report.table("Temperature of a person's pooled distribution", scores)
    curve = coverage_curve(decision.softmax(logs[1], temperature), halves[1].target, [0.0, *np.arange(0.3, 0.95, 0.1)])
    rows = [
        {
            "--abstain": round(at.threshold, 2),
            "named": at.coverage,
            "right": at.accuracy,
            "95 %": f"{at.low:.3f} to {at.high:.3f}",
            "n": at.n,
        }
        for at in curve
        if at.n
    ]
    report.table("Abstention at that temperature, on the half that confirms", rows)
    return {
        "rule": "peaks",
        "temperature": temperature,
        "fitted_on": "clips simulated from held-out faces, classes by the teachers, half of the persons",
        "n_fitted": len(halves[0].clips),
        "measured_on": "clips simulated from held-out faces, the other half of the persons",
        "n_measured": len(halves[1].clips),
        **{
            f"{name}_{when}": round(scores[at][key], 6)
            for at, when in ((2, "before"), (3, "after"))
            for name, key in (("ece", "ECE"), ("nll", "NLL"))
        },
    }


def read_halves(data: Path, model: ImageModel) -> tuple[list[Half], list[float]]:
    """Simulate the clips of both halves of the persons, and return the class shares of the model's training, too."""
    pools, trained = read_pools(data)
    halves = []
    for seed, (name, pool) in enumerate(zip(HALVES, pools, strict=True), 1):
        clips = simulate(pool, model, EACH, seed)
        frames = [decision.calibrate(clip.logits, read_calibration(model.weights)) for clip in clips]
        target = np.array([truth(clip) for clip in clips])
        person = np.unique([clip.person for clip in clips], return_inverse=True)[1]
        clear = np.array([clip.soft[:, NEUTRAL].mean() >= 0.5 for clip in clips]) & (target == NEUTRAL)
        halves.append(Half(name, clips, frames, target, person, clear))
        counted = ", ".join(f"{np.sum(target == at)} {emotion}" for at, emotion in enumerate(EMOTIONS))
        faces = f"{len(pool.image)} faces of {len(np.unique(pool.person))} persons"
        print(f"{name}: {faces}, {len(clips)} clips: {counted}", flush=True)
    return halves, model.card["data"].get("class_shares") or trained.tolist()


def main() -> None:
    """Print all tables, write them as JSON, and the temperature to the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="holds fer2013/ and faces_wild/")
    parser.add_argument("--image-model", required=True, metavar="NAME|FILE")
    parser.add_argument("--strength", type=float, default=decision.PRIOR_STRENGTH)
    parser.add_argument("--out", type=Path, metavar="DIR", help="for pooling.json")
    parser.add_argument("--write-card", action="store_true", help="write the pooled temperature to the model's card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    digest, model, report = weights_digest("image", args.image_model), ImageModel(args.image_model), Report()
    halves, shares = read_halves(args.data, model)
    compare(halves, shares, args.strength, report)
    vary(halves, shares, args.strength, report)
    entry = calibrate(halves, shares, args.strength, report)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        found = {"image_model": args.image_model, "class_shares": shares, "pooling": entry, **report.tables}
        (args.out / "pooling.json").write_text(json.dumps(found, indent=1) + "\n")
    if args.write_card:
        print(write_card("image", args.image_model, digest, {"pooling": entry}))


if __name__ == "__main__":
    main()
