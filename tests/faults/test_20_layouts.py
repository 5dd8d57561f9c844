"""Streams of other kinds, in any order and place: the frames and windows are those of the plain layout, bit by bit."""

import random
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.faults.clips.layouts import ORDERS, Layout, write, writes
from tests.faults.film import CODECS, Film, beeps
from tests.faults.look import Seen, seen, windows

FORMS = ("mp4", "mov", "mkv", "webm", "ts", "avi", "nut")
CONTENTS = ((10, 20), (1, 4), (2, 1), (25, 30))  # frames a second, and how many
OPTIONS: dict[str, list[dict[str, str]]] = {
    "mp4": [{}, {"movflags": "faststart"}],
    "mov": [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}],
    "mkv": [{}, {"live": "1"}, {"cluster_time_limit": "100"}],
    "webm": [{}, {"live": "1"}],
}
LAYOUTS = [
    (form, Layout(order, late, interleaved, timecode, options))
    for form in FORMS
    for order, late, interleaved, timecode, options in product(
        ORDERS, (0.0, 0.8, 9.0), (0.0, 4.0, -4.0), (False, True), OPTIONS.get(form, [{}])
    )
]
WRITTEN = [(form, layout) for form, layout in LAYOUTS if writes(form, layout)]

Found = tuple[Seen, list[tuple[dict[str, object], bytes]], object, float]


def found(path: Path) -> Found:
    cut, end = windows(path)
    return seen(path), cut, end["end"], float(str(end["seconds"]))


@cache
def plain(folder: Path, form: str, fps: int, count: int) -> Found:
    expected = found(write(folder, form, Layout(), fps=fps, count=count))
    assert expected[0].numbers == list(range(count))
    assert expected[0].said == ""
    begin = expected[0].times[0]
    assert begin <= 0.03  # of a codec's warming up
    assert expected[0].times == pytest.approx([begin + k / fps for k in range(count)], abs=2e-3)
    return expected


def hold_to_plain(folder: Path, form: str, layout: Layout, fps: int, count: int) -> None:
    expected = plain(folder, form, fps, count)
    assert found(write(folder, form, layout, fps=fps, count=count)) == expected, (form, layout, fps, count)


@pytest.mark.parametrize(
    ("form", "layout", "fps", "count"),
    [
        ("mp4", Layout("scAPpa", late=9.0), 1, 4),
        ("mov", Layout("ap", timecode=True), 2, 1),
        ("mkv", Layout("Ppa", late=9.0, interleaved=4.0), 1, 4),
        ("ts", Layout("dspa", late=0.8), 10, 20),
    ],
)
def test_frames_and_windows_are_those_of_the_plain_layout(tmp_path, form, layout, fps, count):
    hold_to_plain(tmp_path, form, layout, fps, count)


@pytest.mark.slow
def test_layouts_combined_change_nothing(tmp_path, figure):
    dice = random.Random(20)
    tried = [(*each, *dice.choice(CONTENTS)) for each in dice.sample(WRITTEN, 160)]
    for each in tried:
        hold_to_plain(tmp_path, *each)
    forms = len({form for form, *_ in tried})
    figure(
        f"{len(tried)} of {len(WRITTEN)} layouts in {forms} containers: every frame, time and vector equal to the plain one"
    )


@pytest.mark.parametrize("form", ["mkv", pytest.param("ts", marks=pytest.mark.slow)])
@pytest.mark.parametrize("letter", ["s", "d", "a", "p"])
def test_streams_that_begin_sooner_do_not_move_the_time_line(tmp_path, form, letter):
    """Subtitles, data, and further tracks count for FFmpeg's start of a file, but nobody sees or hears them."""
    if (form, letter) == ("mkv", "d"):
        pytest.skip("Matroska has no streams of data")

    def make(name: str, early: bool) -> Found:
        film = Film(tmp_path / f"{name}.{form}")
        codec = CODECS[form]
        film.pictures(range(20), [2 + k / 10 for k in range(20)], codec=codec[0])
        film.sound([(2.0, beeps(2, [0.5, 1.5]))], codec=codec[1])
        start = 1.2 if early else 2.2
        packets = [(start, 0.5, b"hi"), (3.0, 0.5, b"hi")]
        if letter == "a":
            film.sound([(start, beeps(1, [0.2]))], codec=codec[1], default=False)
        elif letter == "p":
            film.pictures(range(30, 40), [start + k / 10 for k in range(10)], codec=codec[0], default=False)
        elif letter == "d":
            film.data(packets)
        else:
            film.raw("subrip", packets)
        return found(film.save())

    assert make("a", early=True) == make("b", early=False)


@pytest.mark.parametrize("codec", ["mpeg4", pytest.param("libx264", marks=pytest.mark.slow)])
def test_packets_without_times_follow_each_other(tmp_path, codec):
    """AVI has no times of presentation, and a stream outside any container has none at all."""
    film = Film(tmp_path / "a.avi")
    film.pictures(range(20), [k / 10 for k in range(20)], codec=codec, base=Fraction(1, 10), rate=10)
    film.sound([(0.0, beeps(2, [0.5, 1.5]))])
    got = seen(film.save())
    assert got.numbers == list(range(20))
    assert np.diff(got.times) == pytest.approx(0.1, abs=1e-3)
