"""Clips simulated from held-out photographs of faces, with their teachers' trajectory: what the rules of a clip are chosen on.

A clip has a cast of photographs: one that shows its expression (the anchor), one of a neutral face, one between the two, two
that stand in for the anchor, and two that are mistakable. They are of the same person where there are several photographs of a
person, else of faces whose teachers' distribution is nearest to the wanted one. Episodes rise from neutral over the photograph
between to the expression, last, and fall again; in half of the clips an episode is one photograph throughout, so that all its
frames share their error, in the others the stand-ins take turns, so that errors differ. Half of the clips hold speech: the mouth
opens in some frames, and now and then a mistakable photograph shows for one frame. Every clip has a camera (angle, scale, place,
mirror, gamma, resolution, compression), around which its frames shake; some frames are blurred by motion, and weigh less.

A frame's truth is its photograph's distribution by the teachers, and a clip's truth comes from these alone, see `truth`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vidfer.datasets.soft_labels import SoftFaces, read_soft_fer2013, read_wild
from vidfer.inference.models import ImageModel
from vidfer.media.align import CENTRAL, CROP, TEMPLATE
from vidfer.media.quality import blurredness
from vidfer.types import EMOTIONS

Floats = NDArray[np.floating[Any]]
Gray = NDArray[np.uint8]

NEUTRAL: Final = EMOTIONS.index("neutral")
TEACHERS: Final = {"large": 0.7, "small": 0.3}
VOTE_SHARE: Final = 0.3
LASTING: Final = 0.2
"""Share of a clip's frames that an expression has to be shown in to be the clip's class."""

_FPS = 5
_VIEWS = 3  # of each photograph in a clip
_MOUTH = np.mean(TEMPLATE[3:], 0)


@dataclass(frozen=True)
class Pool:
    """Photographs of one half of the persons: gray `(48, 48)` or `(128, 128)`, the teachers' distributions, persons."""

    image: list[Gray]
    soft: Floats  # (N, 7)
    person: NDArray[np.str_]  # (N,)


@dataclass(frozen=True)
class Clip:
    """A simulated clip of N frames."""

    person: str  # of the anchor
    acted: int  # class of the anchor
    soft: Floats  # (N, 7), the teachers' distribution of what each frame shows
    logits: Floats  # (N, 7), of the image model
    times: Floats  # (N,), s
    weights: Floats  # (N,), by quality


def read_pools(data: Path) -> tuple[list[Pool], Floats]:
    """Read the faces held out of training in two halves by person, and the training faces' mean distribution `(7,)`.

    Rows of FER2013, whose persons are unknown, count as a person each.
    """
    rows, _ = read_soft_fer2013(data / "fer2013", TEACHERS, 0.05)
    wild, _ = read_wild(data / "faces_wild", TEACHERS, 10, CENTRAL)
    voted = rows.votes.sum(1, keepdims=True) > 0
    target = [np.where(voted, VOTE_SHARE * rows.votes + (1 - VOTE_SHARE) * rows.teacher, rows.teacher), wild.teacher]
    parts: Sequence[SoftFaces] = (rows, wild)
    kept = [np.flatnonzero(each.held_out) for each in parts]
    image = [face for each, at in zip(parts, kept, strict=True) for face in each.image[at]]
    soft = np.concatenate([each[at] for each, at in zip(target, kept, strict=True)]).astype(np.float64)
    person = np.concatenate([rows.name[kept[0]], wild.person[kept[1]]])
    _, code = np.unique(person, return_inverse=True)
    half = np.random.default_rng(0).permutation(code.max() + 1)[code] % 2
    pools = [
        Pool([image[at] for at in np.flatnonzero(half == which)], soft[half == which], person[half == which])
        for which in (0, 1)
    ]
    trained = np.concatenate([each[~part.held_out] for each, part in zip(target, parts, strict=True)])
    return pools, trained.mean(0)


def simulate(pool: Pool, model: ImageModel, each: int, seed: int) -> list[Clip]:
    """Make so many clips of each class out of a pool's photographs, and classify their frames as `analyze` does."""
    rng = np.random.default_rng(seed)
    top = pool.soft.argmax(1)
    anchors = [
        int(at) for label in range(len(EMOTIONS)) for at in _spread(np.flatnonzero(top == label), each, pool, rng)
    ]
    plans, views = [], []
    for anchor in anchors:
        plan = _Plan(pool, anchor, rng)
        camera = _Camera(rng)
        shown = np.unique(plan.shown)
        views.append(
            [camera.view(pool.image[at], rng, speech=plan.speech and v > 0) for at in shown for v in range(_VIEWS)]
        )
        plans.append((plan, shown))
    flat = [view for clip in views for view in clip]
    _, logits = model.of_gray(np.stack([image for image, _ in flat]), tta="flip")
    weight = np.array([weight for _, weight in flat])
    clips, start = [], 0
    for plan, shown in plans:
        place = start + np.searchsorted(shown, plan.shown) * _VIEWS + rng.integers(0, _VIEWS, len(plan.shown))
        clips.append(
            Clip(
                str(pool.person[plan.anchor]),
                int(top[plan.anchor]),
                pool.soft[plan.shown],
                logits[place].astype(np.float64),
                plan.times,
                weight[place],
            )
        )
        start += len(shown) * _VIEWS
    return clips


def truth(clip: Clip, lasting: float = LASTING) -> int:
    """Return the class of a clip by its teachers' trajectory.

    It is the expression of the largest mean probability over the frames that show it, of those that are the most probable class,
    neutral included, in a share `lasting` of the frames; neutral where none is.
    """
    top = clip.soft.argmax(1)
    share = np.bincount(top, minlength=len(EMOTIONS)) / len(top)
    strength = [
        clip.soft[top == label, label].sum() if share[label] >= lasting and label != NEUTRAL else 0
        for label in range(len(EMOTIONS))
    ]
    return int(np.argmax(strength)) if max(strength) > 0 else NEUTRAL


def _spread(candidates: NDArray[np.intp], each: int, pool: Pool, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw anchors: every other one of those whose class is clearly shown, the rest of the weak ones."""
    strength = pool.soft[candidates].max(1)
    strong = candidates[strength >= np.median(strength)]
    weak = candidates[strength < np.median(strength)]
    return np.concatenate([rng.choice(group, each // 2, replace=len(group) < each // 2) for group in (strong, weak)])


class _Plan:
    """Which photograph is seen in which frame of a clip, and when."""

    def __init__(self, pool: Pool, anchor: int, rng: np.random.Generator) -> None:
        self.anchor, self.speech = anchor, bool(rng.random() < 0.5)
        neutral = np.eye(len(EMOTIONS))[NEUTRAL]
        rest = self._like(pool, 0.3 * pool.soft[anchor] + 0.7 * neutral, rng, pool.soft.argmax(1) == NEUTRAL)
        between = self._like(pool, (pool.soft[anchor] + pool.soft[rest]) / 2, rng)
        others = [self._like(pool, pool.soft[anchor], rng) for _ in range(2)] if rng.random() < 0.5 else []
        wrong = [
            self._like(pool, 0.5 * pool.soft[anchor] + 0.5 * np.eye(len(EMOTIONS))[rng.integers(len(EMOTIONS))], rng)
            for _ in range(2)
        ]
        seconds = float(np.exp(rng.uniform(np.log(3), np.log(60))))
        count = max(4, round(seconds * _FPS))
        shown = np.full(count, rest)
        if pool.soft[anchor].argmax() == NEUTRAL:
            shown[:] = self._turns([anchor, *others], count, rng)
        else:
            episodes = max(1, round(seconds / 12))
            share = rng.uniform(0.25, 0.9)
            for part in np.array_split(np.arange(count), episodes):
                length = max(2, round(share * len(part)))
                start = part[0] + rng.integers(0, len(part) - length + 1)
                ramp = min(length // 4, int(rng.integers(1, 5)))
                shown[start : start + length] = self._turns([anchor, *others], length, rng)
                shown[start : start + ramp] = between
                shown[start + length - ramp : start + length] = between
        if self.speech:
            flicker = rng.random(count) < 0.08
            shown[flicker] = rng.choice(wrong, int(flicker.sum()))
        seen = rng.random(count) < rng.uniform(0.5, 1)
        seen[rng.integers(count)] = True
        self.shown, self.times = shown[seen], np.flatnonzero(seen) / _FPS

    def _like(
        self, pool: Pool, wanted: Floats, rng: np.random.Generator, among: NDArray[np.bool_] | None = None
    ) -> int:
        """Find one of the five photographs of the nearest distributions; those of the same person count as twice as near."""
        distance = np.sqrt(1 - np.sqrt(pool.soft * wanted).sum(1).clip(0, 1))
        distance[pool.person == pool.person[self.anchor]] *= 0.5
        distance[self.anchor] = np.inf
        if among is not None:
            distance[~among] = np.inf
        return int(rng.choice(np.argsort(distance)[:5]))

    def _turns(self, cast: list[int], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Let photographs take turns of 1 to 3 s, the anchor first."""
        lengths = rng.integers(_FPS, 3 * _FPS + 1, count)
        turns = np.concatenate([[cast[0]], rng.choice(cast, count)])
        return np.repeat(turns[:count], lengths)[:count]


class _Camera:
    """How the faces of one clip are seen."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.turn, self.zoom = rng.uniform(-8, 8), rng.uniform(-0.1, 0.1)
        self.shift, self.mirror = rng.uniform(-0.03, 0.03, 2), rng.random() < 0.5
        self.gamma = float(np.exp(rng.uniform(-0.4, 0.4)))
        self.edge = round(float(np.exp(rng.uniform(np.log(28), np.log(CENTRAL)))))
        self.quality = int(rng.integers(25, 90))

    def view(self, face: Gray, rng: np.random.Generator, *, speech: bool) -> tuple[Gray, float]:
        """Return a frame's face, uint8 `(128, 128)`, and its weight in (0, 1]."""
        size = face.shape[0]
        change: Any = cv2.getRotationMatrix2D(
            (size / 2 - 0.5,) * 2, self.turn + rng.normal(0, 2), float(np.exp(self.zoom + rng.normal(0, 0.02)))
        )
        change[:, 2] += (self.shift + rng.normal(0, 0.01, 2)) * size
        scale = CENTRAL / size
        change = scale * change
        change[:, 2] += (scale - 1) / 2
        image: Any = cv2.warpAffine(face, change, (CENTRAL, CENTRAL), borderMode=cv2.BORDER_REPLICATE)
        if speech:
            image = open_mouth(image, rng.uniform(0, 0.07))
        image = image[:, ::-1] if self.mirror else image
        if rng.random() < 0.25:
            image = cv2.blur(image, (int(rng.integers(3, 13)), 1))
        image = cv2.resize(np.ascontiguousarray(image), (self.edge, self.edge), interpolation=cv2.INTER_AREA)
        image = np.rint(255 * (image / 255.0) ** self.gamma).astype(np.uint8)
        image = cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1], cv2.IMREAD_GRAYSCALE
        )
        image = cv2.resize(image, (CENTRAL, CENTRAL), interpolation=cv2.INTER_LINEAR)
        crop = np.pad(image, (CROP - CENTRAL) // 2, "edge")
        return image, max(0.05, 1 - blurredness(np.repeat(crop[..., None], 3, 2)) ** 2)


def open_mouth(face: Gray, gap: float) -> Gray:
    """Move what lies below the mouth down by a gap, a share of the edge, and fill the gap darkly: uint8 `(S, S)`."""
    size = len(face)
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    bell = np.exp(-(((x - _MOUTH[0]) / 0.2) ** 2))
    below = np.clip((y - _MOUTH[1] + gap / 2) / max(gap, 1e-6), 0, 1)
    moved: Any = cv2.remap(
        face,
        (x * size - 0.5).astype(np.float32),
        ((y - gap * bell * below) * size - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.exp(-(((x - _MOUTH[0]) / 0.09) ** 4) - ((y - _MOUTH[1]) / max(gap / 2, 1e-3)) ** 4)
    return np.asarray(np.rint(moved * (1 - 0.7 * min(1.0, gap / 0.04) * inside)), np.uint8)
