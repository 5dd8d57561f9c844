"""Accuracy on faces as cameras, codecs and people corrupt them, at several severities, the same in every run.

Random numbers depend on the image's digest alone, so that severities differ in nothing else. After Hendrycks, Dietterich:
Benchmarking neural network robustness to common corruptions and perturbations, ICLR 2019.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages
from vidfer.evaluation import Notify
from vidfer.media.align import TEMPLATE
from vidfer.metrics.classification import score
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.types import UsageError

Pixels = npt.NDArray[np.uint8]
Predict = Callable[[Pixels], npt.NDArray[np.floating[Any]]]

ELECTRONS: Final = 4.0
"""Electrons for each of the 255 gray levels before the light is dimmed: about 1,000 at white, as small pixels hold."""

NOISES: Final = ("noise", "colour_noise")
"""Corruptions whose result is in colour, `(N, S, S, 3)`, as a denoiser reads it."""

DENOISER: Final = "small"

_LUMA: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Corruption:
    """A function of a gray face uint8 `(S, S)`, a severity and an rng, with severities from mild to severe.

    It returns a face as large, in colour for `NOISES`; `title` is a plot's, `unit` its axis'.
    """

    apply: Callable[[Pixels, float, np.random.Generator], Pixels]
    severities: tuple[float, ...]
    unit: str
    title: str


def choose_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, or those of all corruptions for `all`; raise `UsageError` if one is unknown."""
    chosen = tuple(CORRUPTIONS) if tuple(names) == ("all",) else tuple(names)
    if unknown := [name for name in chosen if name not in CORRUPTIONS]:
        raise UsageError(f"no corruption '{unknown[0]}': there are all, {', '.join(CORRUPTIONS)}")
    return chosen


def measure_robustness(
    predict: Predict, data: LabelledImages, names: Sequence[str], out: Path, *, title: str, device: str, notify: Notify
) -> dict[str, Any]:
    """Score corrupted copies of images, the noisy ones also denoised, and write `robustness.csv`, `.png` and `.svg`.

    `predict` maps gray images uint8 `(N, S, S)` to logits `(N, 7)`; names are of `CORRUPTIONS`. Returns `n`, `denoiser` (None
    where nothing was denoised) and `rows`, as in the table; the first is of the images as they are.
    """
    from vidfer.evaluation.plots import draw_robustness
    from vidfer.inference.denoiser import Denoiser
    from vidfer.inference.network import Compute

    denoiser = Denoiser(DENOISER, compute=Compute(device)) if set(names) & set(NOISES) else None
    cases = [(name, severity) for name in names for severity in CORRUPTIONS[name].severities]
    plan = [(*case, on) for case in cases for on in ((False, True) if case[0] in NOISES else (False,))]
    rows: list[dict[str, Any]] = []
    begun = time.monotonic()
    with results_folder(out):  # before the long work
        for done, (name, severity, denoised) in enumerate([("clean", None, False), *plan]):
            faces, unit = data.image, None
            if severity is not None:
                faces, unit = corrupt(name, data.image, severity, data.digest), CORRUPTIONS[name].unit
            if denoised and denoiser:  # in colour, before the luma is taken, and at the faces' own size
                faces = denoiser(faces)
            found = score(data.target, predict(to_gray(faces)).argmax(1))
            row = {"corruption": name, "severity": severity, "unit": unit, "denoised": denoised, "n": found.n}
            low, high = found.accuracy_ci95
            rows.append(row | {"accuracy": found.accuracy, "low": low, "high": high, "uar": found.uar})
            # an interrupted run leaves what it has measured
            write_atomic(out / "robustness.csv", to_csv({key: [each[key] for each in rows] for key in rows[0]}))
            notify(f"  {done}/{len(plan)} after {time.monotonic() - begun:.0f} s: {name}")
        draw_robustness(rows, out / "robustness", f"{title}, n = {rows[0]['n']}, 95 % intervals")
    return {"n": rows[0]["n"], "denoiser": DENOISER if denoiser else None, "rows": rows}


def robustness_lines(found: Mapping[str, Any]) -> list[str]:
    """Render the rows."""
    lines = []
    for row in found["rows"]:
        what = "clean" if row["severity"] is None else f"{row['corruption']} {row['severity']:g} {row['unit']}"
        what += ", denoised" if row["denoised"] else ""
        interval = f"({row['low']:.3f} to {row['high']:.3f})"
        lines.append(f"{what:<40} accuracy {row['accuracy']:.3f} {interval}, UAR {row['uar']:.3f}")
    return lines


def corrupt(name: str, faces: Pixels, severity: float, digests: Sequence[str]) -> Pixels:
    """Corrupt gray faces uint8 `(N, S, S)` with these digests, each by its own random numbers."""
    corrupted = np.empty((*faces.shape, 3) if name in NOISES else faces.shape, np.uint8)
    for place, face, digest in zip(corrupted, faces, digests, strict=True):
        rng = np.random.default_rng(int.from_bytes(sha256(f"{name} {digest}".encode()).digest()))
        place[:] = CORRUPTIONS[name].apply(face, severity, rng)
    return corrupted


def to_gray(faces: Pixels) -> Pixels:
    """Return the luma of faces `(N, S, S, 3)`, rounded; gray faces are returned as they are."""
    return faces if faces.ndim == 3 else _eight_bits(faces @ np.array(_LUMA))


def _band(face: Pixels, height: float, _: np.random.Generator, *, centre: float) -> Pixels:
    size = len(face)
    top, bottom = (round(float(np.clip(centre + sign * height / 200, 0, 1) * size)) for sign in (-1, 1))
    return _cover(face, slice(top, bottom), slice(None))


def _block(face: Pixels, side: float, rng: np.random.Generator) -> Pixels:
    edge = round(len(face) * side / 100)
    top, left = np.floor(rng.random(2) * (len(face) - edge + 1)).astype(int)
    return _cover(face, slice(top, top + edge), slice(left, left + edge))


def _cover(face: Pixels, rows: slice, columns: slice) -> Pixels:
    """Fill with the image's own mean, so that its brightness stays."""
    covered = face.copy()
    covered[rows, columns] = round(float(face.mean()))
    return covered


def _low_light(face: Pixels, gain: float, rng: np.random.Generator) -> Pixels:
    return _eight_bits(rng.poisson(face * (gain * ELECTRONS)) / ELECTRONS)


def _blur(face: Pixels, sigma: float, _: np.random.Generator) -> Pixels:
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _downscale(face: Pixels, edge: float, _: np.random.Generator) -> Pixels:
    small = cv2.resize(face, (int(edge), int(edge)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, face.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _noise(face: Pixels, sigma: float, rng: np.random.Generator, *, channels: int) -> Pixels:
    return _eight_bits(face[..., None] + rng.normal(0, sigma, (*face.shape, channels)))


def _rotation(face: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    size, sign = len(face), 1 if rng.random() < 0.5 else -1
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), sign * degrees, 1)
    turned = cv2.warpAffine(face, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _jpeg(face: Pixels, quality: float, _: np.random.Generator) -> Pixels:
    packed = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _eight_bits(image: npt.NDArray[np.float64]) -> Pixels:
    return np.asarray(np.rint(image).clip(0, 255), np.uint8)


_EYES, _MOUTH = ((TEMPLATE[at][1] + TEMPLATE[at + 1][1]) / 2 for at in (0, 3))
CORRUPTIONS: Final[dict[str, Corruption]] = {
    "eyes": Corruption(partial(_band, centre=_EYES), (10, 20, 30), "% of the height", "eyes covered"),
    "mouth": Corruption(partial(_band, centre=_MOUTH), (10, 20, 30), "% of the height", "mouth covered"),
    "block": Corruption(_block, (20, 30, 40, 50), "% of the edge", "square covered"),
    "low_light": Corruption(_low_light, (0.5, 0.25, 0.1, 0.05), "share of the light", "low light"),
    "blur": Corruption(_blur, (0.5, 1, 1.5, 2, 3), "sigma in px", "Gaussian blur"),
    "downscale": Corruption(_downscale, (32, 24, 16, 12), "px", "shrunk and enlarged"),
    "noise": Corruption(partial(_noise, channels=1), (5, 10, 15, 25, 50), "sigma on 0-255", "gray noise"),
    "colour_noise": Corruption(partial(_noise, channels=3), (5, 10, 15, 25, 50), "sigma on 0-255", "colour noise"),
    "rotation": Corruption(_rotation, (5, 10, 15, 20, 30, 45), "degrees", "rotated in the plane"),
    "jpeg": Corruption(_jpeg, (80, 40, 20, 10), "quality", "JPEG"),
}
"""Corruptions by name.

`eyes`, `mouth`, `block` are filled with the image's mean. `low_light` has shot noise (Poisson, see `ELECTRONS`). `noise` is the
same in the three colours, as of a gray sensor; `colour_noise` independent, as of a colour camera: its luma has 0.67 of sigma.
"""
