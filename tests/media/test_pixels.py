"""Fewer pixels of an image, against OpenCV and NumPy themselves."""

import cv2
import numpy as np
import pytest

from vidfer.media.align import align, crop_matrix
from vidfer.media.pixels import shrunk, thinned


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (401, 603, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("part", "size"),
    [
        ((slice(20, 310), slice(40, 330)), (172, 172)),
        ((slice(0, 320), slice(0, 320)), (160, 160)),  # halves: OpenCV rounds otherwise
        ((slice(0, 300), slice(0, 600)), (50, 100)),
        ((slice(0, 150), slice(0, 201)), (64, 36)),
        ((slice(0, 30), slice(0, 200)), (64, 36)),  # grows in height
        ((slice(0, 401), slice(0, 2)), (1, 17)),
    ],
)
def test_an_image_shrinks_to_the_bytes_of_opencv(image, part, size):
    expected = cv2.resize(image[part], size, interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(shrunk(image[part], *size), expected)


@pytest.mark.parametrize("shape", [(401, 603), (149, 603), (300, 301), (401, 150)])
def test_every_so_many_pixels_are_those_that_slicing_gives(image, shape):
    part, step = image[: shape[0], : shape[1]], max(1, min(shape) // 150)
    np.testing.assert_array_equal(thinned(part), part[::step, ::step])


def test_each_channel_of_a_large_face_is_cut_out_as_if_it_were_alone(image):
    points = np.array([[200.0, 120], [330, 131], [262, 200], [215, 270], [318, 280]])
    assert np.hypot(*crop_matrix(points)[:, 0]) < 0.75
    crop = align(image, points)
    for channel in range(3):
        alone = align(image[..., [channel] * 3], points)
        np.testing.assert_array_equal(crop[..., channel], alone[..., 0])
    assert len({crop[..., channel].tobytes() for channel in range(3)}) == 3
