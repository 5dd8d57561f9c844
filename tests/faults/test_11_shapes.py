"""Cut, turned, resized clips and those of varying rate, held against the numbers that were drawn, and against ffprobe."""

import json
import re
import shutil
import subprocess
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.faults.clips.times import SHAPES, cut, sizes, turned
from tests.faults.film import FAST, Film
from tests.faults.look import heard, seen
from vidfer.media.decode import probe

ANNOUNCING = ("mp4", "mov", "mkv", "avi", "webm", "flv", "asf")
"""Formats that say how long they are before the end."""

WAYS = [way for way in product((0, 90, 180, 270), (False, True), (False, True)) if any(way)]
IRREGULAR = (0.0, 0.033, 0.05, 0.4, 0.41, 1.0, 1.001, 1.7, 4.2, 4.24)


def ffprobe(path: Path) -> list[float]:
    """Return the times of all frames as ffprobe has them, from the first one on."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed")
    asked = ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "json"]
    done = subprocess.run([program, "-v", "quiet", *asked, str(path)], capture_output=True, text=True, check=True)
    times = [float(frame["best_effort_timestamp_time"]) for frame in json.loads(done.stdout)["frames"]]
    return [time - times[0] for time in times]


def missing(said: str) -> float:
    """Return how many seconds a message says are missing."""
    found = re.search(r"breaks off ([\d.]+) s before", said)
    assert found is not None, said
    return float(found[1])


def irregular(folder: Path, form: str, bf: int = 2) -> Path:
    film = Film(folder / f"a.{form}")
    film.pictures(range(len(IRREGULAR)), IRREGULAR, options={**FAST, "bf": str(bf), "g": "4"})
    return film.save()


@pytest.mark.parametrize("way", [(0, True, False), (0, False, True), (90, True, False), (270, False, False)])
def test_pictures_are_upright(tmp_path, way):
    found = seen(turned(tmp_path, "mp4", *way))
    assert (found.numbers, found.said) == ([7, 8], "")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp4", "mov", "mkv"])
def test_pictures_are_upright_in_all_fifteen_ways(tmp_path, form, figure):
    for way in WAYS:
        path = turned(tmp_path, form, *way)
        assert seen(path).numbers == [7, 8], way
        degrees, hflip, vflip = way
        about = probe(path).video
        assert ("mirrored" in about.choice) == (hflip != vflip)
        assert (about.rotation - degrees - 180 * vflip) % 360 == 0
    if form == "mp4":
        figure(f"{len(WAYS)} display matrices in 3 containers upright")


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_times_are_the_files_own(tmp_path, form):
    found = seen(irregular(tmp_path, form))
    assert found.numbers == list(range(len(IRREGULAR)))
    assert found.times == pytest.approx(IRREGULAR, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("bf", [0, 1, 2, 3])
@pytest.mark.parametrize("form", ["mp4", "mov", "mkv", "ts", "flv", "nut"])
def test_times_are_those_of_ffprobe_whatever_the_order_of_frames(tmp_path, form, bf):
    path = irregular(tmp_path, form, bf)
    found = seen(path)
    assert found.numbers == list(range(len(IRREGULAR)))
    assert np.subtract(found.times, found.times[0]) == pytest.approx(ffprobe(path), abs=1e-3)
    for how in ({"fps": 4.0}, {"every": 3}):
        assert set(seen(path, **how).frames) <= set(found.frames)


def edited(folder: Path, start: int) -> Path:
    """Write 20 frames of which an edit list hides the first `start`: their stamps lie before 0."""
    film = Film(folder / "a.mp4")
    film.pictures(range(20), [(k - start) / 10 for k in range(20)], options={**FAST, "g": "5", "bf": "0"})
    return film.save()


@pytest.mark.parametrize("start", [0, 3, 7])
def test_what_an_edit_list_hides_is_not_shown(tmp_path, start):
    path = edited(tmp_path, start)
    found = seen(path)
    assert found.numbers == list(range(start, 20))
    assert found.times == pytest.approx(np.arange(20 - start) / 10, abs=1e-3)
    assert ffprobe(path) == pytest.approx(found.times, abs=1e-3)


@pytest.mark.parametrize("bf", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_sizes_and_shapes_that_change_come_as_they_are(tmp_path, bf):
    found = seen(sizes(tmp_path, (*SHAPES, (64, 48, Fraction(1))), bf))
    assert found.numbers == [100 * part + k for part in range(4) for k in range(10)]
    assert np.diff(found.times).min() > 0
    assert found.said == ""


@pytest.mark.parametrize("form", ["mkv", "avi", pytest.param("asf", marks=pytest.mark.slow)])
def test_a_clip_that_breaks_off_says_how_much_is_missing(tmp_path, form):
    _hold_to_what_is_missing(cut(tmp_path, form, 0.6), 4.0)


@pytest.mark.slow
def test_clips_that_break_off_anywhere_say_how_much_is_missing(tmp_path, figure):
    tried, off = 0, []
    for form, share in product(ANNOUNCING, (0.3, 0.45, 0.6, 0.75)):
        off.append(_hold_to_what_is_missing(cut(tmp_path, form, share), 4.0))
        tried += 1
    figure(f"{tried} clips cut in {len(ANNOUNCING)} formats: seconds missing told within {max(off):.2f} s")


def _hold_to_what_is_missing(path: Path, whole: float) -> float:
    """Assert that the frames are the first ones and that what is missing is told; return by how much that is wrong, in s."""
    found = seen(path)
    assert found.numbers == list(range(len(found.numbers)))
    assert found.said.startswith("partial")
    wrong = abs(missing(found.said) - (whole - len(found.numbers) / 25))
    assert wrong <= 0.15, (path, found.said, len(found.numbers))
    assert abs(missing(heard(path).damage) - (whole - heard(path).span[1])) <= 0.3
    return wrong


@pytest.mark.parametrize("form", ANNOUNCING)
@pytest.mark.slow
def test_a_whole_clip_is_whole(tmp_path, form):
    path = cut(tmp_path, form, 1.0)
    assert (seen(path).said, heard(path).damage) == ("", "")
