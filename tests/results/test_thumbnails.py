"""Pictures of persons: shown as they are only where that is wanted."""

import cv2
import numpy as np
import pytest

from vidfer.media.align import align
from vidfer.results.thumbnails import blurred, encode, thumbnail_files


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.fixture(scope="module")
def portrait():
    """The aligned face of the portrait that scikit-image has, and the detector that found it."""
    from skimage.data import astronaut

    from vidfer.media.detect import MtcnnDetector

    detector = MtcnnDetector()
    image = astronaut()
    found = detector.detect([image])[0]
    return align(image, found.landmarks[found.scores.argmax()]), detector


def faces_in(detector, image):
    framed = cv2.copyMakeBorder(np.ascontiguousarray(image), 60, 60, 60, 60, cv2.BORDER_REPLICATE)
    return int((detector.detect([framed])[0].scores > 0.6).sum())


def test_no_face_is_left_for_the_detector(portrait):
    face, detector = portrait
    shown = decode(thumbnail_files({1: encode(face)}, show_faces=True)["person-1.jpg"])
    hidden = decode(thumbnail_files({1: encode(face)}, show_faces=False)["person-1.jpg"])
    assert shown.shape == hidden.shape == (160, 160, 3)
    assert faces_in(detector, shown) == 1
    assert faces_in(detector, hidden) == 0


def test_what_makes_a_face_is_gone(portrait):
    face, _ = portrait
    detail = [image.astype(float) - cv2.GaussianBlur(image.astype(float), (0, 0), 6) for image in (face, blurred(face))]
    assert detail[1].std() < 0.1 * detail[0].std()


def test_it_can_not_be_undone(portrait):
    face, _ = portrait
    rng = np.random.default_rng(0)
    image = np.asarray(face[:156, :156] // 2 + 60, np.uint8)  # blocks of 26 px
    blocks = image.reshape(6, 26, 6, 26, 3).transpose(0, 2, 1, 3, 4).reshape(36, 676, 3)
    mixed = np.stack([rng.permutation(block) for block in blocks])
    other = mixed.reshape(6, 6, 26, 26, 3).transpose(0, 2, 1, 3, 4).reshape(156, 156, 3)
    assert np.abs(other.astype(int) - image).mean() > 10
    np.testing.assert_array_equal(blurred(other), blurred(image))


def test_faces_are_shown_as_they_were_stored():
    data = {1: encode(np.full((160, 160, 3), 9, np.uint8)), 12: b"any bytes"}
    assert thumbnail_files(data, show_faces=True) == {"person-1.jpg": data[1], "person-12.jpg": b"any bytes"}
    assert thumbnail_files({}, show_faces=False) == {}
