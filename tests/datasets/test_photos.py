import cv2
import numpy as np
import pytest

from vidfer.datasets.photos import SAMPLE, add_noise, read_photos
from vidfer.types import VidferError


def test_damaged_small_and_gray_files_are_reported(tmp_path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "good.png"), rng.integers(0, 256, (80, 90, 3)))
    cv2.imwrite(str(tmp_path / "small.png"), rng.integers(0, 256, (20, 90, 3)))
    cv2.imwrite(str(tmp_path / "gray.png"), rng.integers(0, 256, (70, 70)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    photos, report = read_photos(str(tmp_path))
    assert sorted(photos) == ["good.png", "gray.png"]
    assert report.dropped == {"not a readable image": ["broken.png"], "smaller than 64 px": ["small.png"]}
    assert report.noted == {"gray": ["gray.png"]}
    assert photos["good.png"].shape == (80, 90, 3)
    with pytest.raises(VidferError, match="or 'sample'"):
        read_photos(str(tmp_path / "none"))


def test_colours_are_not_swapped(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((64, 64, 3), (0, 0, 255)))  # OpenCV writes BGR
    assert read_photos(str(tmp_path))[0]["red.png"][0, 0].tolist() == [255, 0, 0]


def test_the_sample_is_in_colour():
    photos, _ = read_photos("sample")
    assert tuple(photos) == SAMPLE
    assert all(photo.dtype == np.uint8 and photo.shape[2] == 3 for photo in photos.values())


def test_noise_has_its_strength_and_clips():
    gray = np.full((200, 200, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    assert (add_noise(gray, 25, rng, clip=False) - 128).std() == pytest.approx(25, rel=0.02)
    clipped = add_noise(np.zeros((64, 64, 3), np.uint8), 50, rng)
    assert clipped.min() == 0
    assert (clipped == clipped.round()).all()
