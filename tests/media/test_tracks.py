import numpy as np
import pytest

from vidfer.media.detect import Detections
from vidfer.media.tracks import Tracker, describe, distinct

RNG = np.random.default_rng(0)
LOOKS = [look / np.linalg.norm(look) for look in RNG.normal(size=(4, 300))]


def faces(*centres, scores=None, side=40.0):
    boxes = np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y in centres]).reshape(-1, 4)
    scores = np.ones(len(boxes)) if scores is None else np.array(scores)
    return Detections(boxes, scores, np.zeros((len(boxes), 5, 2)))


def test_numbers_stay_with_moving_faces_in_any_order():
    tracker = Tracker(1.0, 0.95)
    for step in range(10):
        a, b = (100 + 8 * step, 100), (400 - 8 * step, 100)
        if step % 2:
            assert tracker.update(step * 0.1, faces(b, a), [LOOKS[1], LOOKS[0]]) == [1, 0]
        else:
            assert tracker.update(step * 0.1, faces(a, b), [LOOKS[0], LOOKS[1]]) == [0, 1]


def test_faces_that_cross_keep_their_numbers_by_their_looks():
    tracker = Tracker(1.0, 0.95)
    for step in range(21):
        a, b = (100 + 10 * step, 100), (300 - 10 * step, 104)
        assert tracker.update(step * 0.04, faces(a, b), [LOOKS[0], LOOKS[1]]) == [0, 1]


@pytest.mark.parametrize(("gap", "expected"), [(0.9, [0]), (1.1, [1])])
def test_a_track_survives_a_gap_of_limited_length(gap, expected):
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    assert not tracker.lost
    tracker.update(0.2, faces(), [])
    assert tracker.lost
    assert tracker.update(gap, faces((120, 100)), [LOOKS[0]]) == expected


def test_another_face_in_the_same_place_is_another_person():
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    assert tracker.update(0.2, faces((100, 100)), [LOOKS[1]]) == [1]


def test_a_cut_ends_every_track():
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    tracker.cut()
    assert len(tracker.boxes) == 0
    assert tracker.update(0.04, faces((100, 100)), [LOOKS[0]]) == [1]


def test_an_unsure_face_continues_a_track_but_starts_none():
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    unsure = faces((104, 100), (300, 100), scores=[0.8, 0.8])
    assert tracker.update(0.1, unsure, [LOOKS[0], LOOKS[1]]) == [0, None]


def test_overlapping_faces_leave_the_surer_one():
    crowd = faces((100, 100), (104, 102), (130, 100), scores=[0.9, 0.99, 0.95])
    assert distinct(crowd).scores.tolist() == [0.99, 0.95]
    assert len(distinct(faces())) == 0


def test_descriptors_tell_the_same_face_from_another(portrait):
    from skimage import data

    face = np.ascontiguousarray(portrait[40:200, 145:305])
    brighter = np.clip(face * 1.2 + 5, 0, 255).astype(np.uint8)
    moved = np.ascontiguousarray(portrait[44:204, 149:309])
    cat = np.ascontiguousarray(data.chelsea()[60:220, 150:310])
    assert describe(face) @ describe(brighter) > 0.95
    assert describe(face) @ describe(moved) > 0.85
    assert describe(face) @ describe(cat) < 0.4
    assert np.isfinite(describe(np.zeros((160, 160, 3), np.uint8))).all()
