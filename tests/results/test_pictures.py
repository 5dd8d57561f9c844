"""Pictures of persons: shown as they are only where that is wanted."""

import cv2
import numpy as np
import pytest

from vidfer.media.align import align
from vidfer.results.pictures import Pictures, blurred, decode, encode, encode_poster, encode_strip


@pytest.fixture(scope="module")
def portrait(detector):
    """The aligned face of the portrait that scikit-image has, and the detector that found it."""
    from skimage.data import astronaut

    image = astronaut()
    found = detector.detect([image])[0]
    return align(image, found.landmarks[found.scores.argmax()]), detector


def faces_in(detector, image):
    framed = cv2.copyMakeBorder(np.ascontiguousarray(image), 60, 60, 60, 60, cv2.BORDER_REPLICATE)
    return int((detector.detect([framed])[0].scores > 0.6).sum())


def test_no_face_is_left_for_the_detector(portrait):
    face, detector = portrait
    shown = decode(Pictures({1: encode(face)}).files()["person-1.jpg"])
    hidden = decode(Pictures({1: encode(face)}).hidden().files()["person-1.jpg"])
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
    image = np.asarray(face[:156, :156] // 2 + 60, np.uint8)  # blocks of 39 px
    blocks = image.reshape(4, 39, 4, 39, 3).transpose(0, 2, 1, 3, 4).reshape(16, 1521, 3)
    mixed = np.stack([rng.permutation(block) for block in blocks])
    other = mixed.reshape(4, 4, 39, 39, 3).transpose(0, 2, 1, 3, 4).reshape(156, 156, 3)
    assert np.abs(other.astype(int) - image).mean() > 10
    np.testing.assert_array_equal(blurred(other), blurred(image))


def test_neither_strip_nor_poster_has_a_face_for_the_detector(portrait):
    from skimage.data import astronaut

    face, detector = portrait
    shown = Pictures({}, {1: encode_strip([face, face])}, encode_poster(astronaut()))
    hidden = shown.hidden()
    assert [decode(data).shape for data in (hidden.strips[1], hidden.poster)] == [(64, 128, 3), (512, 512, 3)]
    large = [cv2.resize(decode(one.strips[1])[:, :64], (160, 160)) for one in (shown, hidden)]
    assert [faces_in(detector, image) for image in large] == [1, 0]
    assert [faces_in(detector, decode(one.poster)) for one in (shown, hidden)] == [1, 0]
    assert hidden.hidden() is hidden


def test_tiles_of_a_strip_are_blurred_each_for_itself():
    black, white = np.zeros((160, 160, 3), np.uint8), np.full((160, 160, 3), 255, np.uint8)
    strip = decode(Pictures({}, {1: encode_strip([black, white])}).hidden().strips[1])
    assert strip[:, :56].max() < 20
    assert strip[:, 72:].min() > 235


def test_faces_are_shown_as_they_were_stored():
    pictures = Pictures({1: b"one", 12: b"two"}, {12: b"three"}, b"four")
    assert pictures.files() == {
        "person-1.jpg": b"one",
        "person-12.jpg": b"two",
        "person-12-strip.jpg": b"three",
        "poster.jpg": b"four",
    }
    assert Pictures().hidden().files() == {}
