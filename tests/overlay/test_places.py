"""Labels leave faces free, stay in the picture, and do not jump."""

import numpy as np
import pytest

from vidfer.overlay.places import Placer


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def rectangle(place, sizes):
    width, height = sizes[place.size]
    return place.x, place.y, place.x + width, place.y + height


@pytest.mark.parametrize("seed", range(60))
def test_labels_cover_neither_faces_nor_each_other_and_stay_in_the_picture(seed):
    rng = np.random.default_rng(seed)
    width, height = rng.integers(120, 900, 2)
    small = (int(rng.integers(40, 90)), int(rng.integers(20, 40)))
    sizes = [(small[0] + 40, small[1] * 4), small]
    faces = {}
    for person in range(int(rng.integers(1, 8))):
        size = rng.uniform(8, 0.9 * min(width, height))
        x, y = rng.uniform(0, width - size), rng.uniform(0, height - size)
        faces[person] = (x, y, x + size, y + size)
    places = Placer(int(width), int(height), 4).place(0.0, faces, sizes)
    shown = [rectangle(place, sizes) for place in places.values()]
    for at, one in enumerate(shown):
        assert min(one) >= 0
        assert one[2] <= width
        assert one[3] <= height
        assert not any(overlap(one, face) for face in faces.values())
        assert not any(overlap(one, other) for other in shown[at + 1 :])


def test_a_lonely_face_has_its_whole_label_beside_it():
    for x in (0.0, 150.0, 520.0):
        (place,) = Placer(640, 480, 6).place(0.0, {3: (x, 180.0, x + 120, 300.0)}, [(110, 140), (80, 40)]).values()
        assert place.size == 0
        assert place.x + 110 == pytest.approx(x - 6, abs=1) or place.x == pytest.approx(x + 126, abs=1)


def test_a_face_that_fills_the_picture_has_no_label():
    assert Placer(200, 200, 4).place(0.0, {0: (5.0, 5.0, 195.0, 195.0)}, [(100, 120), (60, 30)]) == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_face_that_trembles_does_not_make_its_label_jump(seed):
    rng = np.random.default_rng(seed)
    placer, sizes = Placer(400, 300, 4), [(120, 130), (70, 36)]
    seen = []
    for frame in range(100):
        x, y = 140 + rng.normal(0, 1.5, 2)
        faces = {0: (x, y, x + 80, y + 80), 1: (300 + rng.normal(0, 1.5), 150.0, 360.0, 210.0)}
        seen.append(placer.place(frame / 25, faces, sizes))
    for person in (0, 1):
        corners = np.array([(places[person].x, places[person].y) for places in seen])
        assert np.abs(np.diff(corners, axis=0)).max() < 15
        assert len({places[person].size for places in seen}) == 1
