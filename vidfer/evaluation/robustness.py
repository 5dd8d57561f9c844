"""Accuracy on faces as cameras, codecs and people corrupt them, at several severities, the same in every run.

Randomness depends on the image's digest alone: a face gets the same noise, block or direction in any subset and order, and at
every severity of a corruption, so that severities differ in nothing else.

References:
    Hendrycks, Dietterich: Benchmarking neural network robustness to common corruptions and perturbations. ICLR 2019.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vidfer.media.align import TEMPLATE
from vidfer.types import UsageError

if TYPE_CHECKING:
    from vidfer.datasets.fer2013 import LabelledImages

Pixels = npt.NDArray[np.uint8]

ELECTRONS: Final = 4.0
"""Electrons for each of the 255 gray levels before the light is dimmed: about 1,000 at white, as small pixels hold."""

NOISES: Final = ("noise", "colour_noise")
"""Corruptions whose result is in colour, `(N, S, S, 3)`, as a denoiser reads it."""

DENOISER: Final = "small"

_LUMA: Final = (0.299, 0.587, 0.114)
_COLUMNS: Final = ("corruption", "severity", "unit", "denoised", "n", "accuracy", "low", "high", "uar")


@dataclass(frozen=True)
class Corruption:
    """A corruption and its severities.

    Args:
        apply: Function of gray faces uint8 `(N, S, S)`, a severity and the N digests; returns as many faces, gray, or for
            `NOISES` in colour.
        severities: From mild to severe.
        unit: What a severity counts.
        title: For people.
    """

    apply: Callable[[Pixels, float, Sequence[str]], Pixels]
    severities: tuple[float, ...]
    unit: str
    title: str


def choose_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, or those of all corruptions for `all`.

    Raises:
        UsageError: A name is unknown.
    """
    if unknown := [name for name in names if name not in CORRUPTIONS and tuple(names) != ("all",)]:
        raise UsageError(f"no corruption '{unknown[0]}': there are all, {', '.join(CORRUPTIONS)}")
    return tuple(CORRUPTIONS) if tuple(names) == ("all",) else tuple(names)


def measure_robustness(
    predict: Callable[[Pixels], npt.NDArray[np.floating[Any]]],
    data: "LabelledImages",
    names: Sequence[str],
    out: Path,
    *,
    title: str,
    device: str = "cpu",
    notify: Callable[[str], None],
) -> dict[str, Any]:
    """Score corrupted copies of images, the noisy ones also denoised.

    `predict` maps gray images uint8 `(N, S, S)` to logits `(N, 7)`; names are of `CORRUPTIONS`; the folder gets
    `robustness.csv`, and `robustness.png` and `.svg` with the title. The denoiser computes on the device.

    Returns:
        `n`, `denoiser` (None where nothing was denoised) and `rows`, as in the table; the first is of the images as they are.

    Raises:
        VidferError: The folder cannot be written.
    """
    from vidfer.evaluation.plots import draw_robustness
    from vidfer.metrics.classification import score
    from vidfer.pipeline.atomic import results_folder, write_atomic
    from vidfer.pipeline.columns import to_csv

    rows: list[dict[str, Any]] = []
    with results_folder(out):  # before the long work
        for row, faces in _cases(data, names, device, notify):
            scores = score(data.target, predict(faces).argmax(1))
            low, high = scores.accuracy_ci95
            rows.append(
                {**row, "n": scores.n, "accuracy": scores.accuracy, "low": low, "high": high, "uar": scores.uar}
            )
            # an interrupted run leaves what it has measured
            write_atomic(out / "robustness.csv", to_csv({name: [each[name] for each in rows] for name in _COLUMNS}))
        draw_robustness(rows, out / "robustness", f"{title}, n = {rows[0]['n']}, 95 % intervals")
    denoiser = DENOISER if any(row["denoised"] for row in rows) else None
    return {"n": rows[0]["n"], "denoiser": denoiser, "rows": rows}


def robustness_lines(found: Mapping[str, Any]) -> list[str]:
    """Render the rows for a terminal."""
    lines = []
    for row in found["rows"]:
        what = "clean" if row["severity"] is None else f"{row['corruption']} {row['severity']:g} {row['unit']}"
        what += ", denoised" if row["denoised"] else ""
        interval = f"({row['low']:.3f} to {row['high']:.3f})"
        lines.append(f"{what:<40} accuracy {row['accuracy']:.3f} {interval}, UAR {row['uar']:.3f}")
    return lines


def _cases(
    data: "LabelledImages", names: Sequence[str], device: str, notify: Callable[[str], None]
) -> Iterator[tuple[dict[str, Any], Pixels]]:
    """Yield the clean and the corrupted faces, with what they are."""
    plan = [
        (name, severity, denoised)
        for name in names
        for severity in CORRUPTIONS[name].severities
        for denoised in ((False, True) if name in NOISES else (False,))
    ]
    begun = time.monotonic()
    yield {"corruption": "clean", "severity": None, "unit": None, "denoised": False}, data.image
    for done, (name, severity, denoised) in enumerate(plan, 1):
        faces = CORRUPTIONS[name].apply(data.image, severity, data.digest)
        if denoised:  # in colour, before the luma is taken, and at the faces' own size
            from vidfer.inference.denoiser import Denoiser

            faces = Denoiser(DENOISER, device=device)(faces)
        unit = CORRUPTIONS[name].unit
        yield {"corruption": name, "severity": severity, "unit": unit, "denoised": denoised}, to_gray(faces)
        notify(f"  {done}/{len(plan)} after {time.monotonic() - begun:.0f} s: {name}")


def to_gray(faces: Pixels) -> Pixels:
    """Return the luma of faces `(N, S, S, 3)`, rounded; gray faces are returned as they are."""
    return faces if faces.ndim == 3 else _eight_bits(faces @ np.array(_LUMA))


def _band(faces: Pixels, height: float, centre: float) -> Pixels:
    size = faces.shape[1]
    top, bottom = (round(float(np.clip(centre + sign * height / 200, 0, 1) * size)) for sign in (-1, 1))
    return _cover(faces, [(slice(top, bottom), slice(None))] * len(faces))


def _eyes(faces: Pixels, height: float, digests: Sequence[str]) -> Pixels:
    return _band(faces, height, (TEMPLATE[0][1] + TEMPLATE[1][1]) / 2)


def _mouth(faces: Pixels, height: float, digests: Sequence[str]) -> Pixels:
    return _band(faces, height, (TEMPLATE[3][1] + TEMPLATE[4][1]) / 2)


def _block(faces: Pixels, side: float, digests: Sequence[str]) -> Pixels:
    size = faces.shape[1]
    edge = round(size * side / 100)
    places = []
    for digest in digests:
        top, left = np.floor(_rng("block", digest).random(2) * (size - edge + 1)).astype(int)
        places.append((slice(top, top + edge), slice(left, left + edge)))
    return _cover(faces, places)


def _cover(faces: Pixels, places: Sequence[tuple[slice, slice]]) -> Pixels:
    """Fill with the image's own mean, so that what is covered adds no light of its own."""
    covered = faces.copy()
    for face, (rows, columns) in zip(covered, places, strict=True):
        face[rows, columns] = round(float(face.mean()))
    return covered


def _low_light(faces: Pixels, gain: float, digests: Sequence[str]) -> Pixels:
    levels = [
        _rng("low_light", digest).poisson(face * (gain * ELECTRONS)) / ELECTRONS
        for face, digest in zip(faces, digests, strict=True)
    ]
    return _eight_bits(np.reshape(levels, faces.shape))


def _blur(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _each(faces, lambda face: cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _downscale(faces: Pixels, edge: float, digests: Sequence[str]) -> Pixels:
    size = faces.shape[1]

    def shrink_and_enlarge(face: Pixels) -> Pixels:
        small = cv2.resize(face, (int(edge), int(edge)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)

    return _each(faces, shrink_and_enlarge)


def _noise(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _add("noise", faces, sigma, digests, channels=1)


def _colour_noise(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _add("colour_noise", faces, sigma, digests, channels=3)


def _add(name: str, faces: Pixels, sigma: float, digests: Sequence[str], channels: int) -> Pixels:
    noisy = np.empty((*faces.shape, 3), np.uint8)
    for place, face, digest in zip(noisy, faces, digests, strict=True):
        place[:] = _eight_bits(face[..., None] + _rng(name, digest).normal(0, sigma, (*face.shape, channels)))
    return noisy


def _rotation(faces: Pixels, degrees: float, digests: Sequence[str]) -> Pixels:
    size = faces.shape[1]
    centre = ((size - 1) / 2, (size - 1) / 2)
    rotated = np.empty_like(faces)
    for place, face, digest in zip(rotated, faces, digests, strict=True):
        sign = 1 if _rng("rotation", digest).random() < 0.5 else -1
        matrix = cv2.getRotationMatrix2D(centre, sign * degrees, 1)
        place[:] = cv2.warpAffine(face, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return rotated


def _jpeg(faces: Pixels, quality: float, digests: Sequence[str]) -> Pixels:
    def encode_and_decode(face: Pixels) -> Pixels:
        packed = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)

    return _each(faces, encode_and_decode)


def _each(faces: Pixels, change: Callable[[Pixels], object]) -> Pixels:
    return np.array([change(face) for face in faces], np.uint8).reshape(faces.shape)


def _rng(name: str, digest: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(sha256(f"{name} {digest}".encode()).digest()))


def _eight_bits(image: npt.NDArray[np.float64]) -> Pixels:
    return np.asarray(np.rint(image).clip(0, 255), np.uint8)


CORRUPTIONS: Final[dict[str, Corruption]] = {
    "eyes": Corruption(_eyes, (10, 20, 30), "% of the height", "eyes covered"),
    "mouth": Corruption(_mouth, (10, 20, 30), "% of the height", "mouth covered"),
    "block": Corruption(_block, (20, 30, 40, 50), "% of the edge", "square covered"),
    "low_light": Corruption(_low_light, (0.5, 0.25, 0.1, 0.05), "share of the light", "low light"),
    "blur": Corruption(_blur, (0.5, 1, 1.5, 2, 3), "sigma in px", "Gaussian blur"),
    "downscale": Corruption(_downscale, (32, 24, 16, 12), "px", "shrunk and enlarged"),
    "noise": Corruption(_noise, (5, 10, 15, 25, 50), "sigma on 0-255", "gray noise"),
    "colour_noise": Corruption(_colour_noise, (5, 10, 15, 25, 50), "sigma on 0-255", "colour noise"),
    "rotation": Corruption(_rotation, (5, 10, 15, 20, 30, 45), "degrees", "rotated in the plane"),
    "jpeg": Corruption(_jpeg, (80, 40, 20, 10), "quality", "JPEG"),
}
"""Corruptions by name.

`eyes`, `mouth`: a band across the image at the height of `TEMPLATE`; `block`: a square at a random place; all filled with the
image's mean. `low_light`: the light dimmed, with its shot noise (Poisson, see `ELECTRONS`), rounded to 8 bits. `downscale`:
shrunk by area, enlarged bilinearly. `noise`: Gaussian, the same in the three colours, as a gray sensor makes it;
`colour_noise`: independent in each colour, as a colour camera makes it: the luma then has 0.67 of sigma. `rotation`: about the
centre, to a random side, the border repeated.
"""
