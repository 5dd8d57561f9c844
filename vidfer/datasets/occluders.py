"""Things in front of faces: hands, scarves, masks, sunglasses, caps, plain shapes; drawn, with their masks.

Texture comes from photographs and from other faces' skin. Nothing here is a photograph of a real occluder.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vidfer.media.align import TEMPLATE

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.floating]
Rng = np.random.Generator

_FINE: Final = 4  # masks are drawn so many times larger, which smooths their edges
_EYES_Y, _MOUTH_Y = TEMPLATE[0][1], TEMPLATE[3][1]


def cover(face: Gray, kind: str, rng: Rng, photos: Sequence[Gray], skin: Sequence[Gray]) -> tuple[Gray, Mask]:
    """Put an occluder of one of `OCCLUDERS` in front of a gray face uint8 `(S, S)` that is framed as FER2013's.

    Args:
        face: The face.
        kind: Name of the occluder.
        rng: Decides on place, size, form, brightness.
        photos: Gray photographs uint8, at least S px a side, for texture.
        skin: Gray faces uint8 `(S, S)`, whose cheeks become the texture of hands.

    Returns:
        The covered face, and its mask `(S, S)`: 1 where nothing of the face is seen.
    """
    size = len(face)
    shape = np.zeros((size * _FINE, size * _FINE), np.uint8)
    OCCLUDERS[kind](shape, rng)
    mask = cv2.resize(shape, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    texture = _skin(skin, size, rng) if kind == "hand" else _material(kind, photos, size, rng)
    if kind == "hand":  # darker between the fingers
        texture = texture * (0.55 + 0.45 * cv2.GaussianBlur(mask, (0, 0), 0.03 * size) ** 2)
    if rng.random() < 0.3:  # a shadow beside it
        shade = np.roll(cv2.GaussianBlur(mask, (0, 0), 0.04 * size), rng.integers(-3, 4, 2), (0, 1))
        face = np.asarray(face * (1 - 0.4 * shade), np.uint8)
    return np.rint(face * (1 - mask) + texture * mask).clip(0, 255).astype(np.uint8), mask


def _skin(faces: Sequence[Gray], size: int, rng: Rng) -> npt.NDArray[np.float64]:
    face = faces[int(rng.integers(len(faces)))]
    edge = len(face)
    top, left = round((0.5 + 0.1 * rng.random()) * edge), round((0.15 + 0.5 * rng.random()) * edge)
    patch = face[top : top + edge // 5, left : left + edge // 5]
    return _light(cv2.resize(patch, (size, size), interpolation=cv2.INTER_CUBIC), rng)


def _material(kind: str, photos: Sequence[Gray], size: int, rng: Rng) -> npt.NDArray[np.float64]:
    if kind == "sunglasses":
        plain = np.full((size, size), rng.uniform(0, 70))
    elif kind == "mask" and rng.random() < 0.7:
        plain = np.full((size, size), rng.uniform(40, 240))
    elif rng.random() < 0.25:
        plain = np.full((size, size), rng.uniform(0, 255))
    else:
        photo = photos[int(rng.integers(len(photos)))]
        edge = int(rng.integers(size, min(photo.shape) + 1))
        top, left = (int(rng.integers(0, side - edge + 1)) for side in photo.shape)
        part = photo[top : top + edge, left : left + edge]
        return _light(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), rng)
    return _light(plain + rng.normal(0, rng.uniform(0, 4), plain.shape), rng)


def _light(texture: npt.NDArray[np.number], rng: Rng) -> npt.NDArray[np.float64]:
    """Let the light fall from one side, and vary the brightness."""
    ramp = np.linspace(-1, 1, len(texture)) * rng.uniform(-0.3, 0.3)
    slope = ramp[:, None] if rng.random() < 0.5 else ramp[None]
    return np.asarray((texture.astype(np.float64) * rng.uniform(0.7, 1.3) * (1 + slope)).clip(0, 255), np.float64)


def _at(shape: Gray, x: float, y: float) -> tuple[int, int]:
    return round(x * len(shape)), round(y * len(shape))


def _place(rng: Rng) -> tuple[float, float]:
    """Choose a place: near the eyes, near the mouth, or anywhere."""
    where = rng.random()
    y = _EYES_Y if where < 0.35 else _MOUTH_Y if where < 0.7 else rng.uniform(0, 1)
    return rng.normal(0.5, 0.15) if where < 0.7 else rng.uniform(0, 1), y + rng.normal(0, 0.06)


def _block(shape: Gray, rng: Rng) -> None:
    sides = rng.uniform(0.12, 0.65, 2) * len(shape)
    corners = cv2.boxPoints((_at(shape, *_place(rng)), sides.tolist(), rng.uniform(0, 180)))
    cv2.fillPoly(shape, [np.rint(corners).astype(np.int32)], 255)


def _ellipse(shape: Gray, rng: Rng) -> None:
    axes = np.rint(rng.uniform(0.08, 0.35, 2) * len(shape)).astype(int).tolist()
    cv2.ellipse(shape, _at(shape, *_place(rng)), axes, rng.uniform(0, 180), 0, 360, 255, -1)


def _hand(shape: Gray, rng: Rng) -> None:
    """Draw two to five fingers side by side, and often the palm they come from."""
    x, y = _place(rng)
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    wide, long = rng.uniform(0.07, 0.12), rng.uniform(0.25, 0.5)
    count = int(rng.integers(2, 6))
    for finger in range(count):
        root = np.array([x, y]) + across * wide * 1.05 * (finger - (count - 1) / 2)
        tip = root + (along + across * rng.normal(0, 0.06)) * long * rng.uniform(0.8, 1.1)
        cv2.line(shape, _at(shape, *root), _at(shape, *tip), 255, max(1, round(wide * len(shape))))
    if rng.random() < 0.7:
        palm = np.array([x, y]) - along * 0.15
        axes = (round(0.25 * len(shape)), round(wide * count * 0.6 * len(shape)))
        cv2.ellipse(shape, _at(shape, *palm), axes, float(np.degrees(angle)), 0, 360, 255, -1)


def _scarf(shape: Gray, rng: Rng) -> None:
    """Cover everything below a wavy line."""
    edge = rng.uniform(0.5, 0.95) + 0.04 * np.sin(np.linspace(0, rng.uniform(2, 12), len(shape)) + rng.uniform(0, 6))
    edge = edge + rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, len(shape))
    shape[np.arange(len(shape))[:, None] > edge[None] * len(shape)] = 255


def _mask(shape: Gray, rng: Rng) -> None:
    """Cover the mouth and mostly the nose as a surgical mask does."""
    top, low, half = rng.uniform(0.5, 0.72), rng.uniform(0.92, 1.05), rng.uniform(0.24, 0.36)
    outline = [(-half, top + 0.05), (0, top), (half, top + 0.05), (half, 0.85), (0.5 * half, low), (-0.5 * half, low)]
    points = [_at(shape, 0.5 + x, y) for x, y in [*outline, (-half, 0.85)]]
    cv2.fillPoly(shape, [np.array(points, np.int32)], 255)


def _sunglasses(shape: Gray, rng: Rng) -> None:
    wide, high, round_off = rng.uniform(0.11, 0.17), rng.uniform(0.06, 0.11), rng.random() < 0.6
    y = _EYES_Y + rng.uniform(-0.02, 0.03)
    for x in (TEMPLATE[0][0], TEMPLATE[1][0]):
        low, high_end = _at(shape, x - wide, y - high), _at(shape, x + wide, y + high)
        if round_off:
            axes = (round(wide * len(shape)), round(high * len(shape)))
            cv2.ellipse(shape, _at(shape, x, y), axes, 0, 0, 360, 255, -1)
        else:
            cv2.rectangle(shape, low, high_end, 255, -1)
    thick = max(1, round(rng.uniform(0.01, 0.03) * len(shape)))
    cv2.line(shape, _at(shape, 0.1, y - 0.02), _at(shape, 0.9, y - 0.02), 255, thick)


def _cap(shape: Gray, rng: Rng) -> None:
    """Cover everything above a slanted line: a cap, or hair over the eyes."""
    edge = rng.uniform(0.1, 0.5) + rng.uniform(-0.1, 0.1) * np.linspace(-1, 1, len(shape))
    shape[np.arange(len(shape))[:, None] < edge[None] * len(shape)] = 255


def _side(shape: Gray, rng: Rng) -> None:
    """Cover one side, as a person or a thing in front does."""
    edge = rng.uniform(0.1, 0.6) + rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, len(shape))
    shape[np.arange(len(shape))[None] < edge[:, None] * len(shape)] = 255
    if rng.random() < 0.5:
        shape[:] = shape[:, ::-1].copy()


OCCLUDERS: Final[dict[str, Callable[[Gray, Rng], None]]] = {
    **{"block": _block, "ellipse": _ellipse, "hand": _hand, "scarf": _scarf},
    **{"mask": _mask, "sunglasses": _sunglasses, "cap": _cap, "side": _side},
}
"""Occluders by name; each draws 255 into a mask uint8 of zeros."""
