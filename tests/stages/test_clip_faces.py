"""What classifiers read of faces, on artifacts made by hand."""

import numpy as np

from vidfer.media.align import TEMPLATE
from vidfer.stages.clip_faces import EDGE, gray_faces, landmarks, read_faces, seen_most, spread
from vidfer.stages.denoise import DenoiseStage
from vidfer.stages.faces import LANDMARKS, Denoising


def test_gray_faces_are_the_centre_of_the_crop_in_fer2013s_size():
    crops = np.zeros((1, 160, 160, 3), np.uint8)
    crops[:, 16:144, 16:144] = (10, 200, 50)
    gray = gray_faces(crops)
    assert gray.shape == (1, EDGE, EDGE)
    assert (gray == round(0.299 * 10 + 0.587 * 200 + 0.114 * 50)).all()


def test_the_person_who_is_seen_most_evenly_over_time():
    track = np.array([0, 1, 1, 1, 0, 1, 1, 1, 1, 0])
    assert spread(track, 1, 4).tolist() == [1, 3, 6, 8]
    assert spread(track, 1, None).tolist() == [1, 2, 3, 5, 6, 7, 8]


def test_landmarks_of_a_face_of_any_size_and_place_fall_on_the_template():
    points = np.array(TEMPLATE) * 300 + (40, 70)
    table = {
        f"{name}_{axis}": points[[at], place] for at, name in enumerate(LANDMARKS) for place, axis in enumerate("xy")
    }
    np.testing.assert_allclose(landmarks(table, np.array([0]))[0], TEMPLATE, atol=1e-6)


def test_whoever_is_seen_most_and_of_equals_the_first():
    assert (seen_most(np.array([3, 1, 3])), seen_most(np.array([2, 1, 1, 2]))) == (3, 1)


def test_faces_of_several_files_are_read_as_they_were_denoised(faces, ran, save_denoiser):
    """The denoiser adds 40 to every pixel of the noisy faces 3, in the first file of 256, and 257, in the second."""
    sigmas = np.ones(260)
    sigmas[[3, 257]] = 50.0
    given, crops = faces(sigmas)
    weights, digest = save_denoiser("brighter", 40.0)
    denoise = ran(DenoiseStage(Denoising(digest, 10.0), "face", denoise_model=weights), {"faces": given})
    rows = np.array([0, 3, 255, 257, 259])
    image, points = read_faces(given, denoise, rows)
    expected = crops[rows].astype(int)
    expected[[1, 3]] = np.clip(expected[[1, 3]] + 40, 0, 255)
    np.testing.assert_array_equal(image, gray_faces(expected.astype(np.uint8)))
    assert (image[1] > gray_faces(crops[[3]])[0]).mean() > 0.9
    np.testing.assert_allclose(points, np.broadcast_to(TEMPLATE, (5, 5, 2)), atol=1e-5)
    assert [len(part) for part in read_faces(given, denoise, np.array([], int))] == [0, 0]
