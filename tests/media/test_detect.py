import numpy as np
import pytest

from vidfer.media.detect import MtcnnDetector, as_rgb


def test_finds_the_face_and_puts_landmarks_in_order(detector, portrait):
    (faces,) = detector.detect([portrait])
    assert len(faces) == 1
    assert faces.boxes[0] == pytest.approx([180, 60, 268, 175], abs=12)
    left, right, nose, mouth_left, mouth_right = faces.landmarks[0]
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_coordinates_are_of_the_full_image(detector, portrait):
    large = np.kron(portrait, np.ones((3, 3, 1), np.uint8))
    small, big = (detector.detect([image])[0] for image in (portrait, large))
    np.testing.assert_allclose(big.boxes / 3, small.boxes, atol=6)


def test_several_faces_and_none(detector, portrait):
    face = portrait[0:256, 96:352]
    both, none = detector.detect([np.hstack([face, face]), np.zeros((200, 200, 3), np.uint8)])
    assert len(both) == 2
    assert len(none) == 0
    assert none.boxes.shape == (0, 4)
    assert none.landmarks.shape == (0, 5, 2)


def test_the_same_input_gives_the_same_bits(detector, portrait):
    one, other = detector.detect([portrait])[0], detector.detect([portrait, portrait])[1]
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_odd_images(detector, portrait):
    gray = portrait.mean(axis=2).astype(np.uint8)
    rgba = np.dstack([portrait, np.full(portrait.shape[:2], 255, np.uint8)])
    counts = [len(faces) for faces in detector.detect([gray, gray[..., None], rgba])]
    assert counts == [1, 1, 1]
    tiny = [np.zeros(shape, np.uint8) for shape in ((10, 10, 3), (1, 1, 3), (4, 400, 3), (400, 15, 3))]
    assert [len(faces) for faces in detector.detect(tiny)] == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="need an image"):
        as_rgb(np.zeros((3, 4, 5), np.uint8))


def test_refining_corrects_a_box_and_scores_an_empty_place(detector, portrait):
    true = detector.detect([portrait])[0]
    off, wall = true.boxes[0] + [10, -8, 10, -8], np.array([380.0, 20, 480, 120])
    again = detector.refine(portrait, np.stack([off, wall]))
    assert again.scores[0] > 0.95
    assert again.scores[1] < 0.3
    np.testing.assert_allclose(again.landmarks[0], true.landmarks[0], atol=5)


def test_refining_takes_any_box(detector, portrait):
    boxes = np.array([[9, 9, 9, 9], [50, 50, 20, 20], [-900, 0, -800, 90], [np.nan, 0, 1, 1], [-40, -40, 60, 60]])
    again = detector.refine(portrait, boxes)
    assert len(again) == 5
    assert (again.scores[:4] == 0).all()
    assert len(detector.refine(portrait, np.zeros((0, 4)))) == 0


def test_a_candidate_outside_the_image_does_not_stop_it(portrait):
    """facenet-pytorch raises IndexError then; the detector frames the image and looks again."""
    detector = MtcnnDetector()
    usual, calls = detector._mtcnn.detect, []

    def stumble(image, landmarks):
        calls.append(image.shape)
        if len(calls) == 1:
            raise IndexError("The shape of the mask does not match")
        return usual(image, landmarks=landmarks)

    expected = detector.detect([portrait])[0]
    detector._mtcnn.detect = stumble
    found = detector.detect([portrait])[0]
    assert len(calls) == 2
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=8)
