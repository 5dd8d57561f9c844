"""Clips with odd clocks: cut, turned, of varying rate, with stamps that pause, jump, start anew or run over."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.clips import Kind
from tests.faults.film import CODECS, FAST, HZ, Clock, Film, beeps, draw

SECONDS, FPS = 6, 10
MARKS = tuple(k + 0.5 for k in range(SECONDS))
"""When there are beeps, in s of true time; frame `FPS * MARKS[k]` is shown with beep k."""


def jump(at: float, by: float) -> Clock:
    """Return a clock that goes right, and from a true time on by so many s ahead, or back."""
    return lambda time: time + by * (time >= at - 1e-9)


def write(
    path: Path,
    *,
    pictures: Clock = float,
    sound: Clock = float,
    seconds: float = SECONDS,
    shown: tuple[float, float] = (0, 1e9),
    played: tuple[float, float] = (0, 1e9),
    first: int = 0,
    marks: Sequence[float] = MARKS,
    fps: int = FPS,
    **options: str,
) -> Path:
    """Write a clip in the container of the suffix, its frames numbered from `first`; of both streams there may be a part only."""
    form = path.suffix[1:]
    film = Film(path, **options)
    codec, voice = CODECS[form]
    numbers = [k for k in range(round(seconds * fps)) if shown[0] <= k / fps < shown[1]]
    fine = codec not in {"mpeg4", "mpeg2video"}
    film.pictures(
        [first + k for k in numbers],
        [k / fps for k in numbers],
        clock=pictures,
        codec=codec,
        base=Fraction(1, 1000 if fine else 2 * fps if codec == "mpeg4" else fps),
        rate=fps,
        options={**FAST, "g": "5", "bf": "0"} if codec == "libx264" else {"g": "5", "bf": "0"} if fine is False else {},
    )
    rate = 44_100 if form == "flv" else HZ
    wave = beeps(seconds, marks, rate)[round(played[0] * rate) : round(min(played[1], seconds) * rate)]
    film.sound([(played[0], wave)], clock=sound, codec="libmp3lame" if form == "flv" else voice, rate=rate)
    return film.save()


def restamp(path: Path, pictures: Clock, sound: Clock) -> Path:
    """Give all packets of an FLV file new stamps: its writer refuses those that go back, its reader does not."""
    data = bytearray(path.read_bytes())
    at = 13  # behind the file's header
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4])
        stamp = int.from_bytes(data[at + 4 : at + 7]) | data[at + 7] << 24
        is_header = kind == 9 and data[at + 12] == 0
        if kind in {8, 9} and not is_header:
            stamp = round(1000 * (sound if kind == 8 else pictures)(stamp / 1000)) & 0xFFFFFFFF
            data[at + 4 : at + 8] = (stamp & 0xFFFFFF).to_bytes(3) + bytes([stamp >> 24])
        at += 11 + size + 4
    path.write_bytes(data)
    return path


def joined(folder: Path, name: str, offsets: Sequence[float], seconds: float, **parts: tuple[float, float]) -> Path:
    """Write a file of several parts, one behind the other, part k with frames from 100 k on and beep k at 0.2 s."""
    fps = 25 if name.endswith("mpg") else FPS
    content = b""
    for k, offset in enumerate(offsets):
        path = folder / f"part.{name.rpartition('.')[2]}"
        options = {"output_ts_offset": str(offset)} if offset else {}
        marks = [-1.0] * k + [0.2]
        write(path, seconds=seconds, first=100 * k, marks=marks, fps=fps, **parts, **options)
        content += path.read_bytes()
        path.unlink()
    (folder / name).write_bytes(content)
    return folder / name


def cut(folder: Path, form: str, share: float) -> Path:
    """Write 4 s with a picture for each, and leave the first share of its bytes."""
    options = {"movflags": "faststart"} if form in {"mp4", "mov"} else {}
    path = write(folder / f"cut.{form}", seconds=4, fps=25, marks=(0.5, 1.5, 2.5, 3.5), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def turned(folder: Path, form: str, degrees: int, hflip: bool, vflip: bool) -> Path:
    """Write two frames that are upright once they are turned counter-clockwise and then mirrored, as the file says."""
    stored = [draw(number) for number in (7, 8)]
    stored = [image[:: -1 if vflip else 1, :: -1 if hflip else 1] for image in stored]
    stored = [np.ascontiguousarray(np.rot90(image, -degrees // 90)) for image in stored]
    height, width = stored[0].shape[:2]
    film = Film(folder / f"turned.{form}")
    film.pictures(
        (0, 1),
        (0.0, 0.1),
        size=(width, height),
        image=lambda k: stored[k],
        turned=(degrees, hflip, vflip),
        options={**FAST, "crf": "5"},
    )
    return film.save()


def sizes(folder: Path, shapes: Sequence[tuple[int, int, Fraction]], bf: int = 0) -> Path:
    """Write parts of ten frames whose width, height, or shape of pixels differ, one behind the other on one clock."""
    content = b""
    for k, (width, height, aspect) in enumerate(shapes):
        film = Film(folder / "part.ts", output_ts_offset=str(0.4 * k))
        film.pictures(
            range(100 * k, 100 * k + 10),
            [i / 25 for i in range(10)],
            size=(width, height),
            aspect=aspect,
            base=Fraction(1, 25),
            options={**FAST, "bf": str(bf)},
        )
        content += film.save().read_bytes()
    (folder / "part.ts").unlink()
    (folder / "sizes.ts").write_bytes(content)
    return folder / "sizes.ts"


def _flv(folder: Path, pictures: Clock, sound: Clock) -> Path:
    return restamp(write(folder / "a.flv"), pictures, sound)


def _plain(name: str, **how: object) -> Callable[[Path], Path]:
    return lambda folder: write(folder / name, **how)  # type: ignore[arg-type]


SHAPES = ((64, 48, Fraction(1)), (96, 64, Fraction(1)), (64, 48, Fraction(2)))

KINDS: tuple[Kind, ...] = (
    Kind("times_pause", _plain("a.mkv", pictures=jump(3, 7), sound=jump(3, 7)), "no_face"),
    Kind("times_pictures_jump", _plain("a.mp4", pictures=jump(3, 2)), "no_face"),
    Kind("times_sound_jumps", _plain("a.nut", sound=jump(3, 3)), "no_face"),
    Kind("times_late_sound", _plain("a.ts", played=(2, 6)), "no_face"),
    Kind("times_back", partial(_flv, pictures=jump(3, -1.5), sound=jump(3, -1.5)), "no_face"),
    Kind("times_slip", partial(_flv, pictures=jump(3, -0.3), sound=jump(3, -0.3)), "no_face"),
    Kind("times_wrap", partial(joined, name="a.ts", offsets=(95_443.0,), seconds=2.0), "no_face"),
    Kind("times_joined", partial(joined, name="a.ts", offsets=(10, 0, 5), seconds=1.0), "no_face"),
    Kind("times_cut", partial(cut, form="mkv", share=0.6), "partial"),
    Kind("times_mirrored", partial(turned, form="mp4", degrees=0, hflip=True, vflip=False), "no_face"),
    Kind("times_sizes", partial(sizes, shapes=SHAPES), "no_face"),
)
"""Clips whose times and shapes are odd, at least one of each sort."""
