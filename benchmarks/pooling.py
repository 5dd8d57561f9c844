"""Choose class prior and pooling on FER2013 images held out of training: the figures behind `vidfer.inference.decision`.

First the frames by themselves: what moving the class prior does to them. Then simulated clips of them, equally many of each
class: 5 to 20 face images, 0.2 s apart, of which a contiguous share s ~ U(0.25, 1) shows the class and the rest is neutral. In
"others" every image is another person's, so that errors are independent; in "same" all are shifted, turned, zoomed and mirrored
copies of one image of the class and one neutral image, so that an error is shared by all. Real clips lie between.

Usage: python benchmarks/pooling.py --root data/fer2013 [--image-model NAME|FILE]
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vidfer.datasets.fer2013 import read_train_val
from vidfer.datasets.paired import distort
from vidfer.evaluation.calibration import label_smoothing
from vidfer.inference import decision as answer
from vidfer.inference.models import ImageModel
from vidfer.metrics.calibration import fit_temperature
from vidfer.types import EMOTIONS

Floats = NDArray[np.floating[Any]]
Rule = Callable[[Floats], Floats]

NEUTRAL: Final = EMOTIONS.index("neutral")
DISGUST: Final = EMOTIONS.index("disgust")
COPIES: Final = 6
CLIPS: Final = 200
STEP: Final = 0.2


@dataclass(frozen=True)
class Held:
    """Held-out images: classes `(N,)`, logits `(N, 7)`, logits of copies `(N, COPIES, 7)`; class shares of the others."""

    target: NDArray[np.int64]
    logits: Floats
    copies: Floats
    shares: list[float]


def read_held_out(root: Path, model: str) -> Held:
    """Classify the images that `Fer2013DataModule` holds out of training."""
    train, kept = read_train_val(root, 0.05)
    shares = np.bincount(train.target, minlength=len(EMOTIONS)) / len(train.target)
    rng = np.random.default_rng(0)
    copies = np.stack([distort(image, rng) for image in kept.image for _ in range(COPIES)])
    classifier = ImageModel(model)
    smoothing = label_smoothing(classifier.card)
    logits, of_copies = (
        answer.invert_label_smoothing(classifier.of_gray(faces, tta="flip")[1].astype(np.float64), smoothing)
        for faces in (kept.image, copies)
    )
    return Held(kept.target, logits, of_copies.reshape(-1, COPIES, len(EMOTIONS)), shares.tolist())


def simulate(held: Held, *, same: bool) -> list[tuple[int, Floats]]:
    """Make `CLIPS` clips of each class: the class and the logits `(frames, 7)`."""
    rng = np.random.default_rng(1)
    images = [np.flatnonzero(held.target == label) for label in range(len(EMOTIONS))]
    clips = []
    for label in range(len(EMOTIONS)):
        for _ in range(CLIPS):
            count = int(rng.integers(5, 21))
            shown = max(1, round(rng.uniform(0.25, 1) * count))
            start = int(rng.integers(0, count - shown + 1))
            apex = (np.arange(count) >= start) & (np.arange(count) < start + shown)
            if same:
                one, rest = rng.choice(images[label]), rng.choice(images[NEUTRAL])
                rest = one if label == NEUTRAL else rest
                logits = held.copies[np.where(apex, one, rest), rng.integers(0, COPIES, count)]
            else:
                chosen = np.where(apex, rng.choice(images[label], count), rng.choice(images[NEUTRAL], count))
                logits = held.logits[chosen]
            clips.append((label, logits))
    return clips


def power_mean(beta: float) -> Rule:
    """Return (mean of p^beta)^(1/beta): the arithmetic mean for 1, the maximum for infinity."""
    return lambda p: np.asarray((p**beta).mean(0) ** (1 / beta))


def mixture(p: Floats) -> Floats:
    """Suppose that each frame shows the class with probability s, U(0.25, 1), and neutral otherwise."""
    share = np.linspace(0.25, 1, 16)[:, None, None]
    logs = np.log(share * p + (1 - share) * p[:, NEUTRAL, None]).mean(1)
    return np.asarray(np.exp(3 * logs).mean(0))


def peaks(share: float, smoothing: float) -> Rule:
    """Return `pool_peaks` with these constants."""

    def rule(p: Floats) -> Floats:
        times = STEP * np.arange(len(p))
        return np.asarray(answer.pool_peaks(p, np.ones(len(p)), times, share=share, smoothing=smoothing))

    return rule


RULES: Final[dict[str, Rule]] = {
    "mean log p (`--pool mean`)": lambda p: np.asarray(answer.pool(p, np.ones(len(p)))),
    "majority vote": lambda p: np.asarray(answer.vote(p)),
    "mean p": power_mean(1),
    "power mean, beta 4": power_mean(4),
    "maximum": lambda p: np.asarray(p.max(0)),
    "mixture with neutral": mixture,
    **{f"top {share}": peaks(share, 0.0) for share in (0.33, 0.5)},
    **{f"smoothed, top {share}": peaks(share, 0.3) for share in (0.25, 0.33, 0.4, 0.5, 0.67)},
    "smoothed twice as far, top 0.5": peaks(0.5, 0.5),
}


def recalls(target: NDArray[np.int64], preds: NDArray[np.int64]) -> Floats:
    """Return the share of right answers for each class."""
    return np.array([(preds[target == label] == label).mean() for label in range(len(EMOTIONS))])


def print_priors(held: Held, temperature: float) -> None:
    """Print what the strength of the change of prior does to single images."""
    print("| strength | accuracy | UAR | recall of disgust | answered disgust | of these right | " + "balanced NLL |")
    print("|---" * 7 + "|")
    weight = 1 / np.bincount(held.target)[held.target] / len(EMOTIONS)
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        p = answer.logit_adjustment(answer.softmax(held.logits, temperature), held.shares, strength)
        preds, truth = p.argmax(1), held.target
        found, disgust = recalls(truth, preds), preds == DISGUST
        precision = (truth[disgust] == preds[disgust]).mean() if disgust.any() else np.nan
        nll = -(weight * np.log(p[np.arange(len(truth)), truth])).sum()
        print(f"| {strength} | {(preds == truth).mean():.3f} | {found.mean():.3f} | {found[DISGUST]:.2f} | ", end="")
        print(f"{disgust.sum()} | {precision:.2f} | {nll:.3f} |")


def print_rules(held: Held, temperature: float) -> None:
    """Print the mean recall of every rule on simulated clips, and of the old and the new one for other priors."""
    clips = {name: simulate(held, same=name == "same") for name in ("others", "same")}
    print("| prior | rule | others: UAR | neutral | disgust | same: UAR | neutral | disgust | mean UAR |")
    print("|---" * 9 + "|")
    some = {name: RULES[name] for name in ("mean log p (`--pool mean`)", "smoothed, top 0.5")}
    for strength, rules in ((answer.PRIOR_STRENGTH, RULES), (0.0, some), (1.0, some)):
        frames = {
            name: [answer.logit_adjustment(answer.softmax(z, temperature), held.shares, strength) for _, z in made]
            for name, made in clips.items()
        }
        for title, rule in rules.items():
            cells, uars = "", []
            for name, made in clips.items():
                answers = np.array([rule(p).argmax() for p in frames[name]])
                found = recalls(np.array([label for label, _ in made]), answers)
                uars.append(found.mean())
                cells += f" {found.mean():.3f} | {found[NEUTRAL]:.2f} | {found[DISGUST]:.2f} |"
            print(f"| {strength} | {title} |{cells} {np.mean(uars):.3f} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="FER2013")
    parser.add_argument("--image-model", default="compact", metavar="NAME|FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    held = read_held_out(args.root, args.image_model)
    temperature = fit_temperature(held.logits, held.target)
    counts = ", ".join(f"{name} {(held.target == i).sum()}" for i, name in enumerate(EMOTIONS))
    print(f"{len(held.target)} held-out images ({counts}), temperature {temperature:.3f} fitted on them\n")
    print_priors(held, temperature)
    print(f"\n{CLIPS} simulated clips a class of each kind\n")
    print_rules(held, temperature)


if __name__ == "__main__":
    main()
