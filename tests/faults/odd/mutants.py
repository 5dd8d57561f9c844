"""Good files of ten formats, and damage of many kinds to them, by seeded dice."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.odd.films import film, sound, tone
from tests.faults.odd.pictures import animated, saved

Make = Callable[[Path], Path]


def _film(suffix: str, **how: object) -> Make:
    return lambda folder: film(folder / f"good.{suffix}", **how)  # type: ignore[arg-type]


def _bytes(suffix: str, data: Callable[[], bytes]) -> Make:
    def make(folder: Path) -> Path:
        (folder / f"good.{suffix}").write_bytes(data())
        return folder / f"good.{suffix}"

    return make


SEEDS: dict[str, Make] = {
    "mp4": _film("mp4", sound="aac", mux={"movflags": "+faststart"}, options={"bf": "2", "g": "6"}),
    "mkv": _film("mkv", sound="pcm_s16le"),
    "webm": _film("webm", codec="libvpx-vp9", sound="libopus", rate=48_000),
    "avi": _film("avi", codec="mpeg4", sound="pcm_s16le"),
    "ts": _film("ts", codec="mpeg2video", clock=25, sound="mp2"),
    "wav": lambda folder: sound(folder / "good.wav", tone(1.0)),
    "flac": lambda folder: sound(folder / "good.flac", tone(1.0), codec="flac"),
    "png": _bytes("png", lambda: animated("PNG")),
    "gif": _bytes("gif", lambda: animated("GIF")),
    "jpg": _bytes("jpg", lambda: saved("JPEG")),
    "webp": _bytes("webp", lambda: animated("WEBP")),
}


@cache
def good(suffix: str) -> bytes:
    """The bytes of the good file of a format."""
    with TemporaryDirectory() as folder:
        return SEEDS[suffix](Path(folder)).read_bytes()


def _flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 3, 10, 100])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _head(data: bytearray, dice: random.Random) -> None:
    """Change bytes among the first, where sizes and counts are."""
    for _ in range(dice.choice([1, 2, 5])):
        data[dice.randrange(min(len(data), 1500))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(1, len(data)) :]


def _bite(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice([1, 7, 188, 1000, 5000])]


def _splice(data: bytearray, dice: random.Random) -> None:
    other = good(dice.choice(list(SEEDS)))
    at, start = dice.randrange(len(data)), dice.randrange(len(other))
    data[at:] = other[start:]


def _repeat(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.choice([4, 64, 1000])] * dice.choice([1, 3, 50])


def _zero(data: bytearray, dice: random.Random) -> None:
    at, length = dice.randrange(len(data)), dice.choice([4, 64, 1000, 4000])
    data[at : at + length] = bytes(len(data[at : at + length]))


def _ones(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at : at + 4] = b"\xff" * len(data[at : at + 4])


MUTATIONS = (_flip, _head, _cut, _bite, _splice, _repeat, _zero, _ones)


def mutant(folder: Path, dice: random.Random, number: int) -> Path:
    """Write one, of the formats in turn, damaged once or twice."""
    suffix = list(SEEDS)[number % len(SEEDS)]
    data = bytearray(good(suffix))
    for _ in range(dice.choice([1, 1, 2])):
        dice.choice(MUTATIONS)(data, dice)
        data = data or bytearray(1)
    name = {"ts": "mts"}.get(
        suffix, suffix
    )  # a folder's `.ts` that is no longer one is passed over: TypeScript has that name
    path = folder / f"mutant{number:03}.{name}"
    path.write_bytes(data)
    return path
