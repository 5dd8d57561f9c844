"""The panel: how many rows, whose they are, and why a face is missing."""

import numpy as np
import pandas as pd
import pytest

from tests.results.made import faces_of, times_of
from vidfer.results.frames import build_frames, lay_out
from vidfer.types import EMOTIONS


def statuses(frames):
    return frames["status"].tolist()


@pytest.mark.parametrize("seed", range(30))
def test_rows_are_the_spans_of_persons_and_the_times_of_nobody(seed):
    rng = np.random.default_rng(seed)
    times = times_of(float(rng.integers(1, 9)), fps=rng.choice([1, 5, 12]))
    people = {
        f"p{number + 1}": np.sort(rng.choice(len(times), rng.integers(1, len(times) + 1), replace=False))
        for number in range(rng.integers(0, 5))
    }
    found = build_frames(times, faces_of(times, **people), None)
    spans = [set(range(min(places), max(places) + 1)) for places in people.values()]
    free = set(range(len(times))).difference(*spans)
    expected = len(times) if len(people) == 1 else sum(map(len, spans)) + len(free)
    assert len(found) == expected
    assert set(found["time_s"]) == set(times["time_s"])
    assert found["time_s"].is_monotonic_increasing
    assert not found.duplicated(["time_s", "person"]).any()
    assert found["person"].isna().sum() == (0 if len(people) == 1 else len(free))
    seen = {(int(name[1:]), times["time_s"][place]) for name, places in people.items() for place in places}
    with_face = found.dropna(subset="x0")
    assert set(zip(with_face["person"], with_face["time_s"], strict=True)) == seen
    assert set(statuses(with_face)) <= {"face"}
    assert set(statuses(found[found["x0"].isna()])) <= {"no_face"}


@pytest.mark.parametrize("people", [{}, {"p1": [7]}, {"p1": range(50)}, {"p1": [0, 49]}, {"p3": [20, 30]}])
def test_ten_seconds_of_at_most_one_person_have_fifty_rows(people):
    times = times_of(10)
    found = build_frames(times, faces_of(times, **people), None)
    assert found["time_s"].tolist() == times["time_s"].tolist()
    assert found["person"].isna().all() == (not people)


def test_a_row_has_its_own_face_and_no_other():
    times = times_of(2)
    faces = faces_of(times, p1=[1, 4], p2=[3]).assign(score=[0.1, 0.4, 0.3])
    found = build_frames(times, faces, None)
    rows = found[["time_s", "person", "score"]].astype(float).fillna(-1).to_numpy().tolist()
    some = [[0.2, 1, 0.1], [0.4, 1, -1], [0.6, 1, -1], [0.6, 2, 0.3], [0.8, 1, 0.4]]
    assert rows == [[0, -1, -1], *some, *([time, -1, -1] for time in (1, 1.2, 1.4, 1.6, 1.8))]


def test_a_face_that_is_usable_is_a_face_whatever_its_flaws():
    times = times_of(1)
    faces = faces_of(times, p1=range(5)).assign(
        weight=[0.3, 0.1, 0.1, 0.1, 0.25], flaws=["dark", "dark, cut", "cut", "blurred, cut", "cut"]
    )
    found = build_frames(times, faces, None)
    assert statuses(found) == ["face", "too_dark", "cut_by_edge", "face", "face"]
    assert found[list(EMOTIONS)].notna().all(axis=None)


def test_unusable_faces_have_no_part_in_smoothed_probabilities():
    times = times_of(4)
    faces = faces_of(times, p1=[0, 1, 10])
    faces[list(EMOTIONS)] = np.eye(7)[[3, 4, 4]]
    found = build_frames(times, faces.assign(weight=[1.0, 0.2, 0.2]), None)
    assert found["expression"].tolist()[:2] == ["happy", "sad"]
    assert found["smooth_expression"].tolist()[:2] == ["happy", "happy"]
    assert found["smooth_happy"].tolist()[:2] == [1.0, 1.0]
    assert found["smooth_expression"].isna().tolist()[2:] == [True] * 18  # also of the face that has no usable one near


@pytest.mark.parametrize(
    "box", [{"x0": 0}, {"y0": -3}, {"x1": 640}, {"y1": 360}, {"x0": 300}], ids=["left", "top", "right", "bottom", "not"]
)
def test_a_face_that_leaves_the_frame_is_missed_for_a_second(box):
    times = times_of(4)
    found = build_frames(times, faces_of(times, p1=[3, 4, 18]).assign(**box), None)
    left = 0 if box == {"x0": 300} else 5
    assert statuses(found) == ["no_face"] * 3 + ["face"] * 2 + ["cut_by_edge"] * left + ["no_face"] * (13 - left) + [
        "face"
    ] + (["cut_by_edge"] if left else ["no_face"])


def test_a_new_scene_ends_the_wait_for_a_face_that_left():
    times = times_of(2)
    times.loc[4, "cut"] = True
    found = build_frames(times, faces_of(times, p1=[0, 1]).assign(x0=0), None)
    assert statuses(found) == ["face", "face", "cut_by_edge", "cut_by_edge", *["no_face"] * 6]


def test_nobody_is_left_for_somebody_who_left_and_not_for_another_person():
    times = times_of(2)
    faces = faces_of(times, p1=[0, 1], p2=[0, 5])
    faces.loc[faces["person"] == 1, "x0"] = 0.0
    found = build_frames(times, faces, None)
    assert set(statuses(found[found["person"] == 2])) == {"face", "no_face"}
    assert statuses(found[found["person"].isna()]) == ["cut_by_edge"] + ["no_face"] * 3  # 1.2 s, then over a second


def test_a_dark_frame_without_a_face_is_too_dark():
    times = times_of(1, brightness=[0.0, 0, 90, 90, 0])
    found = build_frames(times, faces_of(times, p1=[1]), None)
    assert statuses(found) == ["too_dark", "face", "no_face", "no_face", "too_dark"]


def test_uncertain_is_what_no_class_reaches():
    times = times_of(1)
    found = build_frames(times, faces_of(times, p1=[0, 1, 2]), 0.41)
    assert found["uncertain"].tolist()[:3] == [True] * 3
    assert found["expression"].tolist()[:3] == ["uncertain"] * 3
    assert found["expression"].isna().tolist()[3:] == found["uncertain"].isna().tolist()[3:] == [True] * 2
    assert build_frames(times, faces_of(times, p1=[0]), 0.4)["expression"].tolist()[0] == "happy"


def test_types_are_those_of_the_table_with_and_without_faces():
    times = times_of(1)
    kinds = [
        build_frames(rows, faces_of(rows, p1=list(range(n))[:1]), None).dtypes
        for rows, n in ((times, 1), (times, 0), (times[:0], 0))
    ]
    assert all(kind.equals(kinds[0]) for kind in kinds)
    assert kinds[0]["person"] == pd.Int64Dtype()


def test_only_the_only_person_has_all_places():
    assert [part.tolist() for part in lay_out(np.array([2]), np.array([2]), 4)] == [[0] * 4, [0, 1, 2, 3]]
    both = lay_out(np.array([1, 2]), np.array([2, 2]), 4)
    assert [part.tolist() for part in both] == [[-1, 0, 0, 1, -1], [0, 1, 2, 2, 3]]
