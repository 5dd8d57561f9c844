import numpy as np
import pytest
from skimage import data

from vidfer.media.face_stream import CutDetector, FaceSettings


def cuts(images) -> list[int]:
    settings = FaceSettings()
    detector = CutDetector(settings.cut_colour, settings.cut_layout)
    return [number for number, image in enumerate(images) if detector.cut(image)]


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    return [
        np.ascontiguousarray(image[:300, :400])
        for image in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    ]


def test_every_cut_is_found_once(scenes):
    images = [scene for scene in scenes for _ in range(3)]
    assert cuts(images) == [3, 6, 9]


def test_dark_scenes_are_told_apart(scenes):
    images = [(scene * 0.25).astype(np.uint8) for scene in scenes[:2] for _ in range(3)]
    assert cuts(images) == [3]


def test_size_may_change_at_a_cut_or_without(scenes):
    import cv2

    small = cv2.resize(scenes[0], (200, 150), interpolation=cv2.INTER_AREA)
    assert cuts([scenes[0], small, scenes[1]]) == [2]


def test_motion_noise_light_and_zoom_are_no_cuts():
    import cv2

    rng = np.random.default_rng(0)
    wide = data.astronaut()
    pan = [np.ascontiguousarray(wide[100:400, x : x + 300]) for x in range(0, 212, 30)]
    noise = [np.clip(wide + rng.normal(0, 50, wide.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    light = [np.clip(wide * gain, 0, 255).astype(np.uint8) for gain in (1, 0.5, 1.3, 0.4, 1)]
    zoom = [cv2.resize(wide[k : 512 - k, k : 512 - k], (300, 300)) for k in range(0, 120, 30)]
    assert [cuts(images) for images in (pan, noise, light, zoom)] == [[], [], [], []]


def test_one_colour_frames():
    flat = np.full((100, 100, 3), 40, np.uint8)
    assert cuts([flat, flat, flat + 1]) == []
