"""The grid in time: how many intervals, whose, and the means, by hand."""

import numpy as np
import pandas as pd
import pytest

from tests.results.made import faces_of, report_of, times_of, windows_of
from vidfer.results.frames import build_frames
from vidfer.results.schema import typed
from vidfer.results.seconds import build_seconds, count_intervals
from vidfer.types import EMOTIONS


def frames_of(seconds, fps=5, change=None, **people):
    times = times_of(seconds, fps)
    faces = faces_of(times, **people)
    frames = build_frames(times, faces if change is None else change(faces), None)
    return frames.assign(person_id=("p" + frames["person"].astype("string")))


def seconds_of(frames, windows=None, grid=1.0, until=None, abstain=None):
    given = typed("windows", windows_of() if windows is None else windows)
    return build_seconds(frames, given, grid, until if until is not None else frames["time_s"].max() + 0.2, abstain)


@pytest.mark.parametrize(
    ("until", "last", "grid", "count"),
    [
        *[(10.0, 9.8, 1.0, 10), (10.02, 9.8, 1.0, 10), (10.0 + 2048 / 44100, 9.8, 1.0, 10)],  # an AAC sound's padding
        *[(9.98, 9.8, 1.0, 10), (10.2, 9.8, 1.0, 11), (10.01, 10.0, 1.0, 11), (0.0, 0.0, 1.0, 1)],
        *[(10.0, 9.8, 0.5, 20), (10.02, 9.8, 0.1, 100), (1.05, 0.8, 0.1, 10), (10.0, 9.8, 3.0, 4)],
        *[(0.3, 0.2, 0.1, 3), (10.0, 9.8, 3.3, 3), (10.0, 9.8, 60.0, 1)],
    ],
)
def test_the_number_of_intervals(until, last, grid, count):
    assert count_intervals(until, last, grid) == count


@pytest.mark.parametrize("people", [{}, {"p1": [3]}, {"p1": range(50)}, {"p2": [0, 49]}])
def test_at_most_one_person_has_each_second_once(people):
    found = seconds_of(frames_of(10, **people))
    assert found["start_s"].tolist() == list(range(10))
    assert (found["end_s"] - found["start_s"]).tolist() == [1.0] * 10
    assert found["n_frames"].tolist() == [5] * 10
    assert found["person_id"].isna().all() == (not people)


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_the_spans_of_persons_and_the_intervals_of_nobody(seed):
    rng = np.random.default_rng(seed)
    fps, grid = rng.choice([2, 5, 10]), rng.choice([0.5, 1.0, 2.0])
    count = int(rng.integers(1, 20)) * fps
    people = {
        f"p{n + 1}": np.sort(rng.choice(count, min(count, rng.integers(1, 9)), False)) for n in range(rng.integers(5))
    }
    frames = frames_of(count / fps, fps, **people)
    found = seconds_of(frames, grid=grid, until=count / fps)
    of = {name: (np.array(places) / fps / grid + 1e-9).astype(int) for name, places in people.items()}
    length = int(np.ceil(count / fps / grid))
    free = set(range(length)).difference(*(range(each.min(), each.max() + 1) for each in of.values()))
    expected = length if len(of) == 1 else len(free) + sum(each.max() - each.min() + 1 for each in of.values())
    assert len(found) == expected
    assert set(found["start_s"]) == set(np.arange(length) * grid)
    assert not found.duplicated(["start_s", "person_id"]).any()
    for name, places in of.items():
        rows = found[found["person_id"] == name]
        usable = (rows["usable_share"] * rows["n_frames"]).round().astype(int)
        assert usable.sum() == len(places)
        assert usable.tolist() == [(places == round(start / grid)).sum() for start in rows["start_s"]]


def test_faces_count_by_their_weight_and_unusable_ones_do_not():
    def change(faces):
        faces[list(EMOTIONS)] = np.eye(7)[[3, 4, 0, 3]]
        return faces.assign(weight=[1.0, 0.5, 0.2, 1.0])

    row = seconds_of(frames_of(2, change=change, p1=[0, 1, 2, 5])).iloc[0]
    assert row["usable_share"] == 2 / 5
    assert row[["angry", "happy", "sad"]].tolist() == pytest.approx([0, 1 / 1.5, 0.5 / 1.5])
    assert row["expression"] == "happy"


def test_an_interval_without_a_usable_face_has_no_expression():
    row = seconds_of(frames_of(2, change=lambda faces: faces.assign(weight=0.1), p1=[0])).iloc[0]
    assert row["usable_share"] == 0
    assert row[["expression", *EMOTIONS]].isna().all()


def test_a_slow_sampling_leaves_intervals_without_a_frame():
    found = seconds_of(frames_of(6, fps=0.5, p1=[0, 1, 2]), until=6)
    assert found["n_frames"].tolist() == [1, 0, 1, 0, 1, 0]
    assert found["usable_share"].isna().tolist() == [False, True] * 3


def test_sound_counts_by_its_overlap():
    """Windows 0-2 and 1.5-3.5 s: interval 1-2 s has 1 s of the first and 0.5 s of the second."""
    shares = {name: [1.0, 0.0] if name == "sad" else [0.0, 1.0] if name == "happy" else 0.0 for name in EMOTIONS}
    found = seconds_of(frames_of(5, p1=[0]), windows_of((0, 2), (1.5, 3.5), **shares))
    assert found["sound_sad"].tolist()[:4] == pytest.approx([1, 2 / 3, 0, 0])
    assert found["sound_happy"].tolist()[:4] == pytest.approx([0, 1 / 3, 1, 1])
    assert found["sound_expression"].tolist()[:4] == ["sad", "sad", "happy", "happy"]
    assert found["sound_status"].tolist()[:4] == ["ok"] * 4
    assert pd.isna(found["sound_status"].tolist()[4])
    assert (
        seconds_of(frames_of(5), windows_of((0, 2), (1.5, 3.5), **shares), abstain=0.7)["sound_expression"][1]
        == "uncertain"
    )


def test_what_is_heard_is_ok_if_anything_is_else_what_lasts_longest():
    windows = windows_of((0, 0.9), (0.9, 1.0), (1.0, 1.6), (1.6, 2.0), status=["silent", "ok", "silent", "no_voice"])
    windows.loc[windows["status"] != "ok", list(EMOTIONS)] = np.nan
    found = seconds_of(frames_of(2), windows)
    assert found["sound_status"].tolist() == ["ok", "silent"]
    assert found["sound_happy"].isna().tolist() == [False, True]


def test_sound_stands_beside_each_person():
    found = seconds_of(frames_of(2, p1=[0], p2=[1]), windows_of((0, 2)))
    assert found["person_id"].tolist()[:2] == ["p1", "p2"]
    assert found["sound_happy"].tolist() == [1 / 7] * 3


def test_neither_frames_nor_sound_have_no_rows():
    assert len(seconds_of(frames_of(0), until=10)) == 0
    assert len(seconds_of(report_of(frames_of(0)).frames.assign(person_id=pd.NA), windows_of((0, 2)), until=2)) == 2
