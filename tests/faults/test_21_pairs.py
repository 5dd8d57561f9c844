"""Two faults of clocks at once, one in the pictures and one in the sound: together, or told.

Beep k and frame 10 k + 5 belong together, whatever the stamps say.
"""

import random
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

from tests.faults.clips.times import FPS, MARKS, joined, jump, restamp, write
from tests.faults.film import Clock, Film, beeps
from tests.faults.look import heard, seen

TOLD = 0.55
"""Seconds that pictures and sound may lie apart without a word."""

AHEAD: dict[str, Clock] = {
    "right": float,
    "0.7 ahead": jump(3, 0.7),
    "1.2 ahead": jump(3, 1.2),
    "7 ahead": jump(3, 7),
    "200 ahead": jump(3, 200),
    "twice ahead": lambda time: time + 2 * (time >= 2) + 3 * (time >= 4),
}
STARTS: dict[str, Clock] = {"5 early": lambda time: time - 5, "100 late": lambda time: time + 100}
BACK: dict[str, Clock] = {
    "0.3 back": jump(3, -0.3),
    "0.7 back": jump(3, -0.7),
    "1.5 back": jump(3, -1.5),
    "2.9 back": jump(3, -2.9),
    "100 back": lambda time: time + 100 - 100 * (time >= 3),
    "twice back": lambda time: time - 1.5 * (time >= 2) - 1.5 * (time >= 4),
    "ahead and back": lambda time: time + 5 * (2 <= time < 4),
}
CLOCKS = AHEAD | STARTS | BACK
FLOWS = {  # the formats in which stamps may do so
    "mkv": AHEAD | STARTS,
    "nut": AHEAD | STARTS,
    "ts": AHEAD | STARTS,
    "mp4": AHEAD,
    "flv": AHEAD | BACK,
}
PAIRS = [(form, *pair) for form, clocks in FLOWS.items() for pair in product(clocks, clocks)]


def make(folder: Path, form: str, pictures: str, sound: str) -> Path:
    path = folder / f"a.{form}"
    if form == "flv":
        return restamp(write(path), CLOCKS[pictures], CLOCKS[sound])
    return write(path, pictures=CLOCKS[pictures], sound=CLOCKS[sound])


def hold_together(path: Path, together: list[tuple[int, int]]) -> tuple[float, bool]:
    """Assert that pairs of a frame and a beep come at one time, or that it is told; return how far apart, and whether told."""
    shown, played = seen(path), heard(path)
    assert len(set(shown.numbers)) == len(shown.numbers)
    assert all(after > before for before, after in zip(shown.times, shown.times[1:], strict=False)), "times go back"
    assert shown.times[0] >= 0
    at = dict(zip(shown.numbers, shown.times, strict=True))
    beeps = {number: time for time, number in played.beeps}
    assert set(beeps) == {beep for _, beep in together}
    assert set(at) >= {frame for frame, _ in together}
    apart = max(abs(at[frame] - beeps[beep]) for frame, beep in together)
    told = bool(played.doubt or played.damage)
    assert apart <= TOLD or told, f"{apart:.2f} s apart: {beeps}, {[at[frame] for frame, _ in together]}"
    return apart, told


WHOLE = [(round(mark * FPS), beep) for beep, mark in enumerate(MARKS)]


@pytest.mark.parametrize(
    ("form", "pictures", "sound"),
    [
        ("mp4", "7 ahead", "1.2 ahead"),
        ("nut", "5 early", "7 ahead"),
        ("flv", "0.3 back", "0.3 back"),
        ("flv", "1.5 back", "2.9 back"),
        ("flv", "ahead and back", "1.5 back"),
    ],
)
def test_two_faults_are_mended_or_told(tmp_path, form, pictures, sound):
    apart, told = hold_together(make(tmp_path, form, pictures, sound), WHOLE)
    assert (apart < 0.1) != told


@pytest.mark.slow
def test_every_pair_of_faults_is_mended_or_told(tmp_path, figure):
    together = told = 0
    for form, pictures, sound in random.Random(18).sample(PAIRS, 150):
        try:
            apart, said = hold_together(make(tmp_path, form, pictures, sound), WHOLE)
        except AssertionError as error:
            raise AssertionError(f"{form}: pictures {pictures}, sound {sound}: {error}") from error
        if pictures == sound:
            assert apart < 0.1, f"{form}: both {sound}: {apart}"
            assert not said, f"{form}: both {sound}"
        together += apart <= 0.1
        told += said
    figure(f"150 of {len(PAIRS)} pairs of faults: {together} mended, {told} told, none apart by over {TOLD} s untold")


def test_the_pairs_that_are_alike_leave_one_time_line(tmp_path):
    for form, clock in (("flv", "0.7 back"), ("mkv", "200 ahead")):
        apart, told = hold_together(make(tmp_path, form, clock, clock), WHOLE)
        assert apart < 0.1
        assert not told


OFFSETS = [
    (0, 0, 0),
    (0, 0.3, 0.5),
    (0, 1.7, 3.4),
    (10, 0, 5),
    (1000, 10, 2000),  # more than FFmpeg takes for a counter that runs over
    (0, 100, 0),
    (95_443.0, 95_443.3, 95_443.1),  # the counter's 33 bits run over in the middle of a part
    (95_440, 95_441, 0),
]


@pytest.mark.parametrize(
    ("form", "seconds", "offsets"),
    [("ts", 1.0, (0, 0.3, 0.5))]
    + [pytest.param(*each, marks=pytest.mark.slow) for each in product(("ts", "mpg"), (0.6, 1.0, 2.0, 3.0), OFFSETS)],
)
def test_parts_of_any_length_and_stamps_follow_each_other(tmp_path, form, seconds, offsets):
    path = joined(tmp_path, f"a.{form}", offsets, seconds)
    fps = 25 if form == "mpg" else FPS
    apart, told = hold_together(path, [(100 * k + round(0.2 * fps), k) for k in range(len(offsets))])
    assert apart < 0.1
    assert not told
    assert len(seen(path).numbers) == len(offsets) * round(seconds * fps)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mkv", "mp4", "nut"])
def test_jumps_of_one_stream_alone_are_named(tmp_path, form, figure):
    for by, which in product((1, 3, 20, 200), ("pictures", "sound")):
        path = write(tmp_path / f"a.{form}", **{which: jump(3, by)})
        assert f"the time stamps of the {which} alone jump ahead by {by}.0 s at 3.0 s" in heard(path).doubt
    if form == "nut":
        figure("24 jumps of one stream alone, of 1 to 200 s, named to 0.1 s")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mkv", "nut", "mp4"])
@pytest.mark.parametrize("pause", [1, 7, 60, 200])
@pytest.mark.parametrize("which", ["pictures", "sound", "both"])
def test_pauses_are_no_matter(tmp_path, form, pause, which):
    """Nobody speaks, or the picture stands still: both end together."""
    whole, rate = [k / 5 for k in range(5 * (6 + pause))], 8000
    rest = [time for time in whole if not 3 <= time < 3 + pause]
    marks = [0.4, 2.4, 3.4 + pause, 5.4 + pause]
    wave = beeps(6 + pause, marks, rate)
    pieces = [(0.0, wave[: 3 * rate]), (3.0 + pause, wave[(3 + pause) * rate :])]
    film = Film(tmp_path / f"a.{form}")
    times = whole if which == "sound" else rest
    film.pictures([round(5 * time) for time in times], times, codec="mpeg4", base=Fraction(1, 5), rate=5)
    codec = "aac" if form == "mp4" else "pcm_s16le"
    film.sound([(0.0, wave)] if which == "pictures" else pieces, rate=rate, codec=codec)
    path = film.save()
    shown, played = seen(path), heard(path)
    assert shown.times == pytest.approx(times, abs=1e-3)
    assert [time for time, _ in played.beeps] == pytest.approx(marks, abs=0.03)
    assert (shown.said, played.damage, played.doubt) == ("", "", "")
