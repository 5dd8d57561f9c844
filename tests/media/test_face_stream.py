from contextlib import closing

import numpy as np
import pytest
from skimage import data

from vidfer.media.decode import Frame, read_frames
from vidfer.media.face_stream import FaceSettings, brightness, iter_faces

SETTINGS = FaceSettings()


def paste(portrait, *places, size=(240, 440)):
    """Put her head, 140 px a side, at the given upper left corners on a table with coffee."""
    image = np.array(data.coffee()[80 : 80 + size[0], 80 : 80 + size[1]])
    for x, y in places:
        image[y : y + 140, x : x + 140] = portrait[45:185, 155:295]
    return image


def run(images, detector, rate=10.0, settings=SETTINGS):
    return list(iter_faces([Frame(k, k / rate, image) for k, image in enumerate(images)], detector, settings))


class Counting:
    """Count the calls to a detector."""

    def __init__(self, detector):
        self.detector, self.full, self.again = detector, 0, 0

    def detect(self, images, **how):
        self.full += 1
        return self.detector.detect(images, **how)

    def refine(self, image, boxes):
        self.again += 1
        return self.detector.refine(image, boxes)


def test_a_moving_face_is_one_track_detected_at_a_cadence(detector, portrait):
    counting = Counting(detector)
    result = run([paste(portrait, (10 + 6 * k, 40)) for k in range(25)], counting, rate=25.0)
    assert [[face.track for face in frame.faces] for frame in result] == [[0]] * 25
    assert counting.full == 2  # at 0 and 0.52 s: the first frame at or after each half second
    assert counting.again == 23
    assert [frame.faces[0].detected for frame in result] == [k in {0, 13} for k in range(25)]
    steps = np.diff([frame.faces[0].landmarks.mean(axis=0)[0] for frame in result])
    np.testing.assert_allclose(steps, 6, atol=2.5)
    crops = np.stack([frame.faces[0].crop for frame in result]).astype(float)
    assert crops.shape == (25, 160, 160, 3)
    assert np.abs(crops - crops.mean(axis=0)).mean() < 8


def test_a_hidden_face_is_absent_and_comes_back_under_its_number(detector, portrait):
    shown = [True] * 5 + [False] * 5 + [True] * 5
    result = run([paste(portrait, *[(100, 40)] * visible) for visible in shown], detector)
    assert [len(frame.faces) for frame in result[:10]] == [1] * 5 + [0] * 5
    assert [[face.track for face in frame.faces] for frame in result[-3:]] == [[0]] * 3


def test_a_cut_ends_tracks_and_detects_at_once(detector, portrait):
    other = np.array(data.chelsea()[:240, :440])
    other[40:180, 100:240] = portrait[45:185, 155:295]
    images = [paste(portrait, (100, 40))] * 3 + [other] * 3
    result = run(images, detector, rate=25.0)
    assert [[face.track for face in frame.faces] for frame in result] == [[0]] * 3 + [[1]] * 3
    assert result[3].faces[0].detected


def test_two_people_keep_apart(detector, portrait):
    mirrored = portrait[:, ::-1]
    images = []
    for k in range(8):
        image = paste(portrait, (10 + 5 * k, 40))
        image[60:200, 290 - 5 * k : 430 - 5 * k] = mirrored[45:185, 512 - 295 : 512 - 155]
        images.append(image)
    result = run(images, detector)
    assert [[face.track for face in frame.faces] for frame in result] == [[0, 1]] * 8
    sides = [[face.box[0] < 200 for face in frame.faces] for frame in result]
    assert sides == [sides[0]] * 8


def test_frames_of_any_kind_and_none(detector, portrait):
    assert run([], detector) == []
    tiny = np.zeros((8, 8, 3), np.uint8)
    result = run([tiny, paste(portrait, (100, 40)), tiny], detector, rate=1.0)
    assert [len(frame.faces) for frame in result] == [0, 1, 0]
    assert [frame.index for frame in result] == [0, 1, 2]


def test_quality_and_boxes_are_plain_numbers(detector, portrait):
    face = run([paste(portrait, (100, 40))], detector)[0].faces[0]
    assert 60 < face.quality.size < 130
    assert abs(face.quality.yaw) < 15
    assert 0 < face.quality.brightness < 255
    assert face.quality.outside == pytest.approx(0, abs=1e-6)
    assert face.box.shape == (4,)
    assert face.landmarks.shape == (5, 2)
    assert all(isinstance(value, float) for value in vars(face.quality).values())


def test_the_stream_holds_one_frame_at_a_time(detector, portrait):
    alive = []

    def frames():
        import weakref

        for k in range(6):
            frame = Frame(k, k / 5, paste(portrait, (100, 40)))
            alive.append(weakref.ref(frame))
            yield frame
            assert sum(reference() is not None for reference in alive[:-1]) == 0

    assert sum(1 for _ in iter_faces(frames(), detector, SETTINGS)) == 6


@pytest.mark.parametrize("rate", [25.0, 2.0, 0.5])
def test_a_face_that_sways_and_is_lit_differently_is_one_track_at_any_sampling(detector, portrait, rate):
    rng = np.random.default_rng(0)
    gain = {k: rng.uniform(0.6, 1.3) for k in range(8)}
    images = [paste(portrait, (100 + rng.integers(-15, 15), 40 + rng.integers(-15, 15))) * gain[k] for k in range(8)]
    result = run([np.clip(image, 0, 255).astype(np.uint8) for image in images], detector, rate)
    assert [[face.track for face in frame.faces] for frame in result] == [[0]] * 8


@pytest.mark.parametrize(
    ("clip", "fps", "people"),
    [
        ("clips/petercunha_dinner/dinner.mp4", 2.0, 6),
        ("clips/petercunha_dinner/dinner.mp4", 0.5, 6),
        ("clips/face_recognition_samples/short_hamilton_clip.mp4", 5.0, 8),
        ("clips/edtalk_samples/pose_source2.mp4", 0.5, 1),
        ("clips/eamm_samples/happy.mp4", 2.0, 1),
        ("ravdess_av/clips_from_frames/01-01-03-02-01-01-01.mp4", 5.0, 1),
        ("clips/pyfeat_testdata/no_face.mp4", 2.0, 0),
    ],
)
def test_real_clips(data_dir, detector, clip, fps, people):
    with closing(read_frames(data_dir / clip, fps=fps)) as frames:
        tracks = {face.track for frame in iter_faces(frames, detector, SETTINGS) for face in frame.faces}
    assert tracks == set(range(people))


def test_each_frame_says_its_size_brightness_and_whether_a_scene_begins(detector):
    coffee, rocket = data.coffee()[:200, :300], data.rocket()[:200, :300]
    black = np.zeros((120, 160, 3), np.uint8)
    result = run([coffee, coffee, rocket, black], detector)
    assert [frame.size for frame in result] == [(300, 200)] * 3 + [(160, 120)]
    assert [frame.cut for frame in result][:3] == [False, False, True]
    assert result[0].brightness == pytest.approx(np.percentile(coffee @ [0.299, 0.587, 0.114], 95), abs=3)
    assert result[3].brightness == 0


def test_a_lit_spot_keeps_a_dark_frame_from_being_dark():
    image = np.zeros((300, 400, 3), np.uint8)
    image[100:200, 150:230] = 180  # 7 % of the frame
    assert (brightness(image), brightness(np.full((300, 400, 3), 12, np.uint8))) == (180, 12)
