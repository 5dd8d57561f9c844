"""What each figure of a face's quality costs in accuracy, and the curves of the weight (`vidfer.media.quality`) from that.

    python benchmarks/face_quality.py --data data --image-model compact64 --out docs/results

Held-out faces only: 5 % of FER2013's training rows, by content, and 10 % of the persons of `faces_wild`, as
`benchmarks/occlusion.py` and the training of the image model leave them out. They are corrupted one way at a time, each figure is
taken of the result as in a video, and accuracy against the teachers' label of the clean face is fitted as a monotone function
of the figure (isotonic regression). Half of the faces make the curves; on the other half, corrupted in several ways at once,
rules that combine them are compared by pooling simulated clips.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from occlusion import read_faces, read_photos  # the file beside this one
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from vidfer.datasets.occluders import OCCLUDERS, cover
from vidfer.inference.decision import pool, softmax
from vidfer.inference.models import ImageModel
from vidfer.inference.occlusion import OcclusionModel
from vidfer.media import quality
from vidfer.media.align import CENTRAL, CROP, TEMPLATE, align
from vidfer.metrics.classification import wilson_interval
from vidfer.types import EMOTIONS

Gray = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
Rng = np.random.Generator
Found = tuple[float | None, Flags, dict[str, Floats]]

BOX = 0.92
"""Mean side of MTCNN's box as a share of the square that FER2013 would show of the face."""

_POINTS = np.array(TEMPLATE) * CENTRAL + (CROP - CENTRAL) / 2 - 0.5


@dataclass
class Face:
    """A gray face `(S, S)` on its way through corruptions, then its crop and what is known of it."""

    image: Gray
    size: float
    sigma: float = 0.0
    cut: tuple[int, int] = (0, 0)  # side, px of the crop

    def crop(self) -> tuple[npt.NDArray[np.uint8], float]:
        """Return the aligned crop `(160, 160, 3)` and the share of it that lies outside the frame."""
        square = cv2.resize(self.image, (CENTRAL, CENTRAL), interpolation=cv2.INTER_LINEAR)
        frame = np.pad(square, (CROP - CENTRAL) // 2, mode="edge")
        side, depth = self.cut
        frame = np.rot90(np.rot90(frame, side)[:, depth:], -side)
        points = _POINTS - [depth * (side == 0), depth * (side == 1)]  # what lies left or above moves the rest
        colour = np.repeat(frame[..., None], 3, 2)
        return align(np.ascontiguousarray(colour), points), quality.outside(points, colour.shape)


def dim(face: Face, gain: float, rng: Rng) -> None:
    """Less light, with the shot noise of a small sensor: 4 electrons for each gray level."""
    face.image = np.rint(rng.poisson(face.image * (gain * 4.0)) / 4.0).clip(0, 255).astype(np.uint8)


def overexpose(face: Face, gain: float, _: Rng) -> None:
    """More light than the sensor takes."""
    face.image = np.rint(face.image * float(gain)).clip(0, 255).astype(np.uint8)


def haze(face: Face, kept: float, rng: Rng) -> None:
    """Less contrast around middle gray, with noise of sigma 1."""
    flat = 128 + (face.image - 128.0) * kept + rng.normal(0, 1, face.image.shape)
    face.image = np.rint(flat).clip(0, 255).astype(np.uint8)


def blur(face: Face, sigma: float, _: Rng) -> None:
    """Gaussian blur; sigma in px of a face of 128 px."""
    face.image = np.asarray(cv2.GaussianBlur(face.image, (0, 0), sigma * len(face.image) / CENTRAL), np.uint8)


def shrink(face: Face, edge: float, _: Rng) -> None:
    """Fewer pixels."""
    face.image = np.asarray(cv2.resize(face.image, (int(edge), int(edge)), interpolation=cv2.INTER_AREA), np.uint8)
    face.size = BOX * edge


def noise(face: Face, sigma: float, rng: Rng) -> None:
    """Gray noise."""
    face.image = np.rint(face.image + rng.normal(0, sigma, face.image.shape)).clip(0, 255).astype(np.uint8)


def cut(face: Face, share: float, rng: Rng) -> None:
    """Let a side of the frame cut off a share of the crop."""
    face.cut = (int(rng.integers(4)), round(share * CROP))


class Covers:
    """Puts a random occluder, or one of a name, in front of a face."""

    def __init__(self, photos: list[Gray], faces: list[Gray]) -> None:
        self.photos, self.faces = photos, faces

    def __call__(self, face: Face, kind: float, rng: Rng) -> None:
        """Cover by kind number."""
        face.image = cover(face.image, list(OCCLUDERS)[int(kind)], rng, self.photos, self.faces)[0]


@dataclass(frozen=True)
class Family:
    """A corruption with its severities, the curves that it makes (name, figure, direction), and whether small faces take part."""

    apply: Callable[[Face, float, Rng], None]
    severities: tuple[float, ...]
    curves: tuple[tuple[str, str, int], ...]
    unit: str
    large_only: bool = False


def families(covers: Covers) -> dict[str, Family]:
    """Return the families by name."""
    return {
        "dim": Family(dim, (0.12, 0.03, 0.015, 0.007), (("dark", "brightness", 1),), "share of the light"),
        "overexposed": Family(overexpose, (1.5, 2.0, 4.0, 8.0), (("blown", "overexposed", -1),), "times the light"),
        "haze": Family(haze, (0.12, 0.06, 0.03, 0.015), (("flat", "contrast", 1),), "share of the contrast"),
        "shrunk": Family(shrink, (48, 24, 16, 12, 8), (("small", "size", 1),), "px", True),
        "blur": Family(blur, (2, 4, 6, 8, 6), (("blurred", "blur", -1),), "sigma in px of 128", True),
        "noise": Family(noise, (5, 10, 20, 40), (("noisy", "noise_sigma", -1),), "sigma", True),
        "covered": Family(
            covers,
            tuple(map(float, range(len(OCCLUDERS)))),
            (("eyes covered", "eyes_covered", -1), ("mouth covered", "mouth_covered", -1)),
            "kind",
        ),
        "cut": Family(cut, (0.15, 0.25, 0.35, 0.45, 0.55, 0.65), (("cut", "outside", -1),), "share of the crop"),
    }


class Judge:
    """Predicts faces and takes their figures as in a video."""

    def __init__(self, image_model: str) -> None:
        self.model, self.occlusion = ImageModel(image_model), OcclusionModel()

    def __call__(self, faces: list[Face]) -> tuple[Floats, dict[str, Floats]]:
        """Return probabilities `(N, 7)` and figures by name, each `(N,)`."""
        pairs = [face.crop() for face in faces]
        crops = np.stack([crop for crop, _ in pairs])
        shares = self.occlusion(crops)
        lights = np.array([quality.light(crop) for crop in crops])
        figures = {
            **{
                "blur": np.array([quality.blurredness(crop) for crop in crops]),
                "size": np.array([f.size for f in faces]),
            },
            **{
                "brightness": lights[:, 0],
                "contrast": lights[:, 1],
                "overexposed": lights[:, 2],
                "outside": np.array([share for _, share in pairs]),
            },
            **{"eyes_covered": shares[:, 0], "mouth_covered": shares[:, 1]},
            "noise_sigma": np.array([quality.noise_sigma(face.image) for face in faces]),
            **dict.fromkeys(("yaw", "pitch"), np.zeros(len(faces))),
            "score": np.ones(len(faces)),
        }
        return softmax(self.model(crops)[1]), figures


def read(data: Path, photographs: int, rows: int) -> tuple[list[Face], npt.NDArray[np.int64]]:
    """Read held-out faces, large ones first, and the classes that the teachers see in them."""
    faces: list[Face] = []
    labels: list[int] = []
    fer, wild = read_faces(data)
    for source, edge, count in ((wild, CENTRAL, photographs), (fer, 48, rows)):
        held_out = source.subset(source.held_out)
        chosen = np.linspace(0, len(held_out.image) - 1, min(count, len(held_out.image))).astype(int)
        faces += [Face(held_out.image[at], BOX * edge) for at in chosen]
        labels += held_out.teacher[chosen].argmax(1).tolist()
    return faces, np.array(labels)


def corrupted(faces: list[Face], family: Family, severity: float, seed: int) -> list[Face]:
    """Return copies of the faces, corrupted."""
    copies = [Face(face.image, face.size) for face in faces]
    for number, copy in enumerate(copies):
        family.apply(copy, severity, np.random.default_rng([seed, number]))
    return copies


def fit(value: Floats, right: Flags, sign: int, good: float, chance: float) -> tuple[list[float], list[float]]:
    """Fit the share of right predictions as a monotone function of a figure.

    Six groups of equally many faces, in the order of the figure, are made monotone by isotonic regression. Returns their
    median figures and how far above chance each is, as a share of what faces with the `good` figure reach.
    """
    groups = np.array_split(np.argsort(value, kind="stable"), 12)
    x, share = (
        np.array([each(part) for part in groups]) for each in (lambda p: np.median(value[p]), lambda p: right[p].mean())
    )
    fitted = IsotonicRegression(increasing=sign > 0, out_of_bounds="clip").fit(x, share)
    x = np.unique(x)
    y = np.clip((fitted.predict(x) - chance) / (fitted.predict([good])[0] - chance), 0.02, 1)
    keep = np.r_[True, np.diff(y) != 0] | np.r_[np.diff(y) != 0, True]  # both ends of what is level
    if sign > 0 and x[0] > 0:  # without light, contrast or size nothing is seen
        x, y, keep = np.r_[0, x], np.r_[0.02, y], np.r_[True, keep]
    return np.round(x[keep], 3).tolist(), np.round(y[keep], 2).tolist()


def combine(faces: list[Face], plan: dict[str, Family], seed: int) -> list[Face]:
    """Return copies of the faces, each corrupted in each way with probability 0.25, at a severity drawn at random."""
    copies = [Face(face.image, face.size) for face in faces]
    for number, copy in enumerate(copies):
        rng = np.random.default_rng([seed, number])
        for family in plan.values():
            if rng.random() < 0.25:
                family.apply(copy, float(rng.choice(family.severities)), rng)
    return copies


def rules(figures: dict[str, Floats], curves: quality.Curves) -> dict[str, Floats]:
    """Return weights `(N,)` by rule."""
    factors = quality.factors(figures, curves)
    table = np.stack(list(factors.values()), 1)
    thumb = np.minimum(1, figures["size"] / 48) * (1 - figures["blur"] ** 2)
    named = {"all equal": np.ones(len(table)), "size and blur by rule of thumb": thumb}
    return named | {"smallest factor": table.min(1), "product of factors": table.prod(1)}


def compare(probabilities: Floats, target: npt.NDArray[np.int64], weights: Floats) -> str:
    """Say how well weights tell right from wrong faces, and how many of 2,000 clips of 8 faces of a class are right."""
    rng, right = np.random.default_rng(0), 0
    for _ in range(2000):
        label = rng.integers(len(EMOTIONS))
        rows = rng.choice(np.flatnonzero(target == label), 8)
        right += int(pool(probabilities[rows], np.maximum(weights[rows], 1e-3)).argmax() == label)
    auc = roc_auc_score(probabilities.argmax(1) == target, weights)
    low, high = wilson_interval(right, 2000)
    return f"AUC {auc:.3f}, clips {right / 2000:.3f} ({low:.3f} to {high:.3f})"


def figure_rows(
    name: str,
    family: Family,
    found: list[Found],
) -> Iterator[str]:
    """Yield a line for each severity: medians of the figures, accuracy, interval."""
    for severity, right, figures in found:
        low, high = wilson_interval(int(right.sum()), len(right))
        medians = ", ".join(f"{figure} {np.median(figures[figure]):.2f}" for _, figure, _ in family.curves)
        what = (
            "as they are"
            if severity is None
            else list(OCCLUDERS)[int(severity)]
            if name == "covered"
            else f"{severity:g}"
        )
        yield f"| {name} | {what} | {medians} | {right.mean():.3f} ({low:.3f} to {high:.3f}) | {len(right)} |"


def main() -> None:
    """Measure, print the tables and the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--image-model", default="compact64")
    parser.add_argument("--wild", type=int, default=706, help="held-out photographs that take part (default: all 706)")
    parser.add_argument("--rows", type=int, default=300, help="held-out rows of FER2013 that do (default: 300)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    faces, target = read(args.data, args.wild, args.rows)
    first = np.random.default_rng(0).random(len(faces)) < 0.5  # these make the curves
    judge, plan = (
        Judge(args.image_model),
        families(Covers(read_photos(args.data, "test"), [face.image for face in faces])),
    )
    chance = float(np.bincount(target).max() / len(target))
    print(f"n = {len(faces)}, chance {chance:.3f}\n\n| corruption | severity | median of the figure | accuracy | n |")
    print("|---|---|---|---|---|")
    plain, known = judge(faces)
    large = np.array([len(face.image) == CENTRAL for face in faces])
    curves: dict[str, tuple[str, list[float], list[float]]] = {}
    for place, (name, family) in enumerate(plan.items()):
        rows = np.flatnonzero(large) if family.large_only else np.arange(len(faces))
        found: list[Found] = [
            (None, plain[rows].argmax(1) == target[rows], {key: values[rows] for key, values in known.items()})
        ]
        for severity in family.severities:
            probabilities, figures = judge(corrupted([faces[row] for row in rows], family, severity, place))
            found.append((severity, probabilities.argmax(1) == target[rows], figures))
        print("\n".join(figure_rows(name, family, found)), flush=True)
        right = np.concatenate([hit[first[rows]] for _, hit, _ in found])
        for curve, figure, sign in family.curves:
            value = np.concatenate([figures[figure][first[rows]] for _, _, figures in found])
            use = np.ones(len(value), bool)
            for _, key, _ in family.curves:  # what covers the eyes alone, and the mouth alone
                if key != figure:
                    use &= np.concatenate([figures[key][first[rows]] < 0.15 for _, _, figures in found])
            curves[curve] = (figure, *fit(value[use], right[use], sign, float(np.median(known[figure][rows])), chance))
    print("\n" + "\n".join(f'    "{name}": {curve},' for name, curve in curves.items()))
    rest = [face for face, used in zip(faces, first, strict=True) if not used]
    parts = [judge(combine(rest, plan, 100 + seed)) for seed in range(3)]
    figures = {key: np.concatenate([part[1][key] for part in parts]) for key in parts[0][1]}
    probabilities, labels = np.concatenate([part[0] for part in parts]), np.tile(target[~first], 3)
    print(
        f"\nseveral at once, other faces: n = {len(labels)}, accuracy {(probabilities.argmax(1) == labels).mean():.3f}"
    )
    for rule, weights in rules(figures, curves).items():
        print(f"{rule}: {compare(probabilities, labels, weights)}")


if __name__ == "__main__":
    main()
