"""Draw the pictures of docs/how-to/plots.md: a figure of each kind, of numbers that are made up.

python benchmarks/plot_examples.py
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vidfer.plots.agreement import plot_confusion, plot_reliability
from vidfer.plots.distribution import plot_distribution
from vidfer.plots.embedding import plot_embedding
from vidfer.plots.timeline import plot_timeline
from vidfer.results.distribution import Distribution
from vidfer.results.schema import SMOOTH
from vidfer.results.truth import Judged
from vidfer.types import EMOTIONS

FOLDER = Path(__file__).parents[1] / "docs" / "assets" / "plots"
SECONDS, FPS = 60, 5


def main() -> None:
    """Write a PNG for each kind."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(15)
    title = "interview.mp4: happy, margin 0.31 (faces+sound), 2 people"
    figures = {
        "timeline": plot_timeline(conversation(rng), title, cuts=(22.4, 41.0)),
        "distribution": plot_distribution(conditions(rng), title="Displayed expressions by condition"),
        "confusion": plot_confusion(judged := answers(rng), "Answer of the clip, truth: label"),
        "reliability": plot_reliability(judged, "Answer of the clip, truth: label"),
        "embedding": plot_embedding(*images(rng), 3600),
    }
    for name, figure in figures.items():
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=200)
        Image.open(out).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
            FOLDER / f"{name}.png", optimize=True
        )


def wandering(rng: np.random.Generator, count: int, calm: int) -> np.ndarray:
    """Return probabilities `(count, 7)` that wander from expression to expression, each for about `calm` samples."""
    level = rng.normal(0, 1, (count // calm + 2, 7)) + np.array([0, -0.8, -0.8, 1.2, 0, 0.2, 1.2])
    at = np.arange(count) / calm
    share = (1 - np.cos(np.pi * (at % 1))) / 2
    mixed = level[at.astype(int)] * (1 - share)[:, None] + level[at.astype(int) + 1] * share[:, None]
    power = np.exp(2.2 * (mixed + rng.normal(0, 0.08, mixed.shape)))
    return np.asarray(power / power.sum(1, keepdims=True))


def conversation(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return tables of a clip of two people and a sound, in which one person leaves and comes back."""
    times = np.arange(SECONDS * FPS) / FPS
    frames = []
    for person in ("a#1", "a#2"):
        rows = pd.DataFrame(wandering(rng, len(times), 28), columns=[f"{SMOOTH}{name}" for name in EMOTIONS])
        away = (person == "a#2") & ((times < 9) | ((times > 33) & (times < 38)))
        frames.append(rows.assign(person_id=person, time_s=times, status=np.where(away, "no_face", "face")))
    sound = wandering(rng, SECONDS, 9)
    sound[[*range(14, 19), *range(47, 52)]] = np.nan
    seconds = pd.DataFrame(sound, columns=[f"sound_{name}" for name in EMOTIONS])
    people = {"person_id": ["a#1", "a#2"], "person": [1, 2], "person_name": ["Anna", None], "n_faces": [300, 230]}
    return {
        "frames": pd.concat(frames, ignore_index=True),
        "seconds": seconds.assign(start_s=np.arange(SECONDS), end_s=np.arange(SECONDS) + 1.0),
        "people": pd.DataFrame(people),
        "clips": pd.DataFrame({"duration_s": [float(SECONDS)]}),
    }


def conditions(rng: np.random.Generator) -> Distribution:
    """Return the distribution of three conditions."""
    means = {
        "comedy": (0.04, 0.04, 0.03, 0.46, 0.05, 0.12, 0.26),
        "drama": (0.06, 0.05, 0.06, 0.06, 0.39, 0.05, 0.33),
        "rest": (0.04, 0.03, 0.04, 0.1, 0.1, 0.06, 0.63),
    }
    shares = [rng.dirichlet(40 * np.array(mean)) for mean in means.values()]
    rows = pd.DataFrame(shares, columns=list(EMOTIONS))
    return Distribution("condition", "participant", rows.assign(label=list(means), n=[24, 23, 24]))


def answers(rng: np.random.Generator) -> Judged:
    """Return 120 clips, of which about two in three are answered right."""
    target = rng.integers(0, 7, 120)
    power = rng.gumbel(0, 1.1, (120, 7)) + 2.4 * np.eye(7)[target]
    shares = np.exp(power) / np.exp(power).sum(1, keepdims=True)
    named = [
        EMOTIONS[at] if share >= 0.3 else "uncertain" for at, share in zip(shares.argmax(1), shares.max(1), strict=True)
    ]
    return Judged(target, tuple(named), shares, 4, {}, 2)


def images(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Return embeddings of 600 images in seven groups that overlap, and what each shows."""
    kind = rng.choice(7, 600, p=[0.1, 0.06, 0.08, 0.26, 0.14, 0.1, 0.26])
    centres = rng.normal(0, 1, (7, 16))
    return (centres[kind] + rng.normal(0, 0.55, (600, 16))).astype(np.float32), [EMOTIONS[at] for at in kind]


if __name__ == "__main__":
    main()
