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


@pytest.mark.parametrize(("gap", "expected"), [(0.9, [0]), (1.2, [0]), (1.3, [1])])
def test_a_missing_face_is_followed_for_a_limited_time_from_the_first_frame_that_lacks_it(gap, expected):
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    assert not tracker.lost
    tracker.update(0.2, faces(), [])
    assert tracker.lost
    assert tracker.update(gap, faces((170, 100)), [LOOKS[0]]) == expected


@pytest.mark.parametrize("period", [0.04, 0.2, 1.0, 2.0, 30.0])
def test_a_face_in_its_place_is_one_person_at_any_sampling(period):
    """It trembles, and looks another way each time: likeness to the frame before of 0.45 to 0.6 only."""
    tracker, rng = Tracker(1.0, 0.95), np.random.default_rng(1)
    for step in range(20):
        place = 100 + rng.uniform(-6, 6, 2)
        look = LOOKS[0] + 0.055 * rng.normal(size=300)
        assert tracker.update(step * period, faces(tuple(place)), [look / np.linalg.norm(look)]) == [0]


def test_an_absent_face_is_known_again_by_place_and_looks_in_the_same_scene():
    def back(place, look, cut=False):
        tracker = Tracker(1.0, 0.95)
        for pts in (0.0, 0.2):
            tracker.update(pts, faces((100, 100)), [LOOKS[0]])
        for pts in (0.4, 0.6, 1.8):
            tracker.update(pts, faces(), [])
        assert not tracker.lost  # nobody looks for it any longer
        assert len(tracker.boxes) == 0
        if cut:
            tracker.cut()
        return tracker.update(5.0, faces(place), [look])

    assert back((130, 100), LOOKS[0]) == [0]
    assert back((190, 100), LOOKS[0]) == [1]
    assert back((100, 100), LOOKS[1]) == [1]
    half = (LOOKS[0] + 1.6 * LOOKS[1]) / np.linalg.norm(LOOKS[0] + 1.6 * LOOKS[1])
    assert back((100, 100), half) == [1]  # likeness 0.53: in its place, but after an absence that is too little
    assert back((100, 100), LOOKS[0], cut=True) == [1]


def test_a_face_that_turns_up_beside_a_hidden_one_is_somebody_else():
    tracker = Tracker(1.0, 0.95)
    tracker.update(0.0, faces((100, 100)), [LOOKS[0]])
    neighbour = (LOOKS[0] + 1.3 * LOOKS[1]) / np.linalg.norm(LOOKS[0] + 1.3 * LOOKS[1])  # likeness 0.6
    assert tracker.update(0.2, faces((130, 100)), [neighbour]) == [1]
    assert tracker.update(0.4, faces((101, 100), (131, 100)), [LOOKS[0], neighbour]) == [0, 1]


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
    moved = np.ascontiguousarray(portrait[44:204, 149:309])
    cat = np.ascontiguousarray(data.chelsea()[60:220, 150:310])
    assert describe(face) @ describe(moved) > 0.85
    assert describe(face) @ describe(cat) < 0.6  # too little for a face that moved or was away
    assert np.isfinite(describe(np.zeros((160, 160, 3), np.uint8))).all()


@pytest.mark.parametrize(
    ("light", "least"), [("dim", 0.9), ("bright", 0.85), ("from one side", 0.6), ("warm", 0.4), ("without colour", 0.4)]
)
def test_a_change_of_light_makes_nobody_else_of_a_face_in_its_place(portrait, light, least):
    face = portrait[40:200, 145:305].astype(float)
    changed = {
        "dim": face * 0.4,
        "bright": face * 1.4,
        "from one side": face * np.linspace(0.5, 1.5, 160)[None, :, None],
        "warm": face * [1.2, 1.0, 0.8],
        "without colour": face.mean(axis=2, keepdims=True).repeat(3, axis=2),
    }[light]
    one, other = (describe(np.clip(each, 0, 255).astype(np.uint8)) for each in (face, changed))
    assert one @ other > least
    tracker = Tracker(1.0, 0.95)
    assert [tracker.update(t, faces((100, 100)), [look]) for t, look in enumerate((one, other))] == [[0], [0]]
