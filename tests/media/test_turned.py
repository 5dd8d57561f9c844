from contextlib import closing

import numpy as np
import pytest
from skimage import data

from vidfer.media.align import align
from vidfer.media.decode import Frame, read_frames
from vidfer.media.face_stream import FaceSettings, iter_faces
from vidfer.media.turned import TURNS, SecondLook, TurnedDetector, turn_boxes, turn_points

SETTINGS = FaceSettings()


def turned(image, degrees):
    """Turn an image clockwise."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def look_at(images, detector, rate=5.0):
    look = SecondLook(detector, SETTINGS.min_score)
    frames = [Frame(k, k / rate, image) for k, image in enumerate(images)]
    return look, list(iter_faces(frames, look, SETTINGS))


class Counting:
    def __init__(self, detector):
        self.detector, self.full = detector, 0

    def detect(self, images, **how):
        self.full += 1
        return self.detector.detect(images, **how)

    def refine(self, image, boxes):
        return self.detector.refine(image, boxes)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 360])
def test_points_and_boxes_follow_the_pixels(degrees):
    image = np.zeros((30, 50, 3), np.uint8)
    image[4, 7] = 255
    image[20:25, 30:42] = 128
    after = turned(image, degrees)
    x, y = turn_points(np.array([[7.0, 4.0]]), (29, 49), degrees)[0].astype(int)
    assert after[y, x, 0] == 255
    x0, y0, x1, y1 = turn_boxes(np.array([[30.0, 20, 42, 25]]), image.shape, degrees)[0].astype(int)
    assert (after[y0:y1, x0:x1] == 128).all()
    assert (after == 128).sum() == 3 * (y1 - y0) * (x1 - x0)


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_detector_answers_in_px_of_the_image_that_came(detector, portrait, turn):
    upright = detector.detect([portrait])[0]
    lying = turned(portrait, -turn)
    (found,) = TurnedDetector(detector, turn).detect([lying])
    again = TurnedDetector(detector, turn).refine(lying, found.boxes)
    np.testing.assert_allclose(found.scores, upright.scores)
    np.testing.assert_allclose(found.boxes, turn_boxes(upright.boxes, portrait.shape, -turn % 360))
    np.testing.assert_allclose(again.landmarks[0], found.landmarks[0], atol=5)
    crops = align(portrait, upright.landmarks[0]), align(lying, found.landmarks[0])
    assert np.abs(crops[0].astype(float) - crops[1]).mean() < 1.0  # of the same pixels, sampled along other axes


@pytest.mark.parametrize("turn", TURNS)
def test_the_direction_of_a_face_is_found(detector, portrait, turn):
    look, frames = look_at([turned(portrait, -turn)] * 6, detector)
    assert look.turn == turn
    assert look.hint == (0, 0)
    if turn == 0:
        assert len(frames[0].faces) == 1


def test_upright_faces_cost_no_further_detection(detector, portrait):
    counting = Counting(detector)
    look, frames = look_at([portrait] * 20, counting)
    assert look.looks == 0
    assert counting.full == sum(frame.faces[0].detected for frame in frames)


@pytest.mark.parametrize("image", [data.coffee(), data.chelsea(), data.rocket(), data.hubble_deep_field()])
def test_no_face_appears_from_nowhere_at_twice_the_cost(detector, image):
    counting = Counting(detector)
    look, frames = look_at([image] * 80, counting)
    assert look.turn == 0
    assert sum(len(frame.faces) for frame in frames) == 0
    assert counting.full <= 2 * 32 + 3  # 32 detections in 16 s


def test_one_who_lies_beside_one_who_stands_turns_nothing(detector, portrait):
    both = np.hstack([turned(portrait[:256, 96:352], 90), portrait[:256, 96:352]])
    look, frames = look_at([both] * 6, detector)
    assert look.turn == 0
    assert len(frames[0].faces) >= 1


def test_a_single_frame_is_a_hint_only(detector, portrait):
    look, _ = look_at([turned(portrait, 90)], detector)
    assert look.turn == 0
    assert look.hint == (270, 1)


def test_a_turned_face_that_comes_late_and_stays_briefly(detector, portrait):
    look, _ = look_at([data.chelsea()] * 11 + [turned(portrait, 180)] * 11, detector, rate=5.0)
    assert look.turn == 180


def test_half_a_clip_turned_is_not_enough(detector, portrait):
    look, _ = look_at([turned(portrait, 90)] * 10 + [portrait] * 20, detector)
    assert look.turn == 0


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(
    "clip", ["eamm_samples/sad.mp4", "eamm_samples/surprised.mp4", "pyfeat_testdata/single_face.mp4"]
)
def test_real_clips_turned(data_dir, detector, clip, turn):
    images = []
    with closing(read_frames(data_dir / "clips" / clip, fps=2.0)) as frames:
        for frame in frames:
            images.append(turned(frame.image, -turn))
            if len(images) == 6:
                break
    assert look_at(images, detector, rate=2.0)[0].turn == turn
