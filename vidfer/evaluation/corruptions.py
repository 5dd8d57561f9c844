"""What cameras, codecs and people do to gray face images, at several strengths, the same in every run.

Chance enters by the image's digest alone: a face gets the same noise, block or direction in any subset and order, and at
every strength of a corruption, so that strengths differ by strength only.

References:
    Hendrycks, Dietterich: Benchmarking neural network robustness to common corruptions and perturbations. ICLR 2019.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vidfer.media.align import TEMPLATE

Pixels = npt.NDArray[np.uint8]

ELECTRONS: Final = 4.0
"""Electrons for each of the 255 gray levels before the light is dimmed: about 1,000 at white, as small pixels hold."""

NOISES: Final = ("noise", "colour_noise")
"""Corruptions whose result is in colour, `(N, S, S, 3)`, as a denoiser reads it."""

_LUMA: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Corruption:
    """A corruption and its strengths.

    Args:
        apply: Function of gray faces uint8 `(N, S, S)`, a severity and the N digests; answers as many faces, gray, or for
            `NOISES` in colour.
        severities: From mild to severe.
        unit: What a severity counts.
        title: For people.
    """

    apply: Callable[[Pixels, float, Sequence[str]], Pixels]
    severities: tuple[float, ...]
    unit: str
    title: str


def to_gray(faces: Pixels) -> Pixels:
    """Return the luma of faces `(N, S, S, 3)`, rounded; gray faces come back as they are."""
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
        top, left = np.floor(_dice("block", digest).random(2) * (size - edge + 1)).astype(int)
        places.append((slice(top, top + edge), slice(left, left + edge)))
    return _cover(faces, places)


def _cover(faces: Pixels, places: Sequence[tuple[slice, slice]]) -> Pixels:
    """Fill with the image's own mean, so that what is hidden adds no light of its own."""
    covered = faces.copy()
    for face, (rows, columns) in zip(covered, places, strict=True):
        face[rows, columns] = round(float(face.mean()))
    return covered


def _low_light(faces: Pixels, gain: float, digests: Sequence[str]) -> Pixels:
    levels = [
        _dice("low_light", digest).poisson(face * (gain * ELECTRONS)) / ELECTRONS
        for face, digest in zip(faces, digests, strict=True)
    ]
    return _eight_bits(np.reshape(levels, faces.shape))


def _blur(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _each(faces, lambda face: cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _downscale(faces: Pixels, edge: float, digests: Sequence[str]) -> Pixels:
    size = faces.shape[1]

    def there_and_back(face: Pixels) -> Pixels:
        small = cv2.resize(face, (int(edge), int(edge)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)

    return _each(faces, there_and_back)


def _noise(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _add("noise", faces, sigma, digests, channels=1)


def _colour_noise(faces: Pixels, sigma: float, digests: Sequence[str]) -> Pixels:
    return _add("colour_noise", faces, sigma, digests, channels=3)


def _add(name: str, faces: Pixels, sigma: float, digests: Sequence[str], channels: int) -> Pixels:
    noisy = np.empty((*faces.shape, 3), np.uint8)
    for place, face, digest in zip(noisy, faces, digests, strict=True):
        place[:] = _eight_bits(face[..., None] + _dice(name, digest).normal(0, sigma, (*face.shape, channels)))
    return noisy


def _rotation(faces: Pixels, degrees: float, digests: Sequence[str]) -> Pixels:
    size = faces.shape[1]
    centre = ((size - 1) / 2, (size - 1) / 2)
    turned = np.empty_like(faces)
    for place, face, digest in zip(turned, faces, digests, strict=True):
        sign = 1 if _dice("rotation", digest).random() < 0.5 else -1
        matrix = cv2.getRotationMatrix2D(centre, sign * degrees, 1)
        place[:] = cv2.warpAffine(face, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned


def _jpeg(faces: Pixels, quality: float, digests: Sequence[str]) -> Pixels:
    def there_and_back(face: Pixels) -> Pixels:
        packed = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)

    return _each(faces, there_and_back)


def _each(faces: Pixels, change: Callable[[Pixels], object]) -> Pixels:
    return np.array([change(face) for face in faces], np.uint8).reshape(faces.shape)


def _dice(name: str, digest: str) -> np.random.Generator:
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
    "rotation": Corruption(_rotation, (5, 10, 15, 20, 30, 45), "degrees", "turned in the plane"),
    "jpeg": Corruption(_jpeg, (80, 40, 20, 10), "quality", "JPEG"),
}
"""Corruptions by name.

`eyes`, `mouth`: a band across the image at the height of `TEMPLATE`; `block`: a square at a random place; all filled with the
image's mean. `low_light`: the light dimmed, with its shot noise (Poisson, see `ELECTRONS`), rounded to 8 bits. `downscale`:
shrunk by area, enlarged bilinearly. `noise`: Gaussian, the same in the three colours, as a gray sensor makes it;
`colour_noise`: in each colour by itself, as a colour camera does: the luma then has 0.67 of sigma. `rotation`: about the
centre, to a random side, the border repeated.
"""
