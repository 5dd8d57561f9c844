import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vidfer.datasets import photos
from vidfer.datasets.photos import SAMPLE, StoredPhoto, add_noise, read_photos
from vidfer.types import VidferError


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)


def test_damaged_small_and_gray_files_are_reported(tmp_path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "good.png"), rng.integers(0, 256, (80, 90, 3)))
    cv2.imwrite(str(tmp_path / "small.png"), rng.integers(0, 256, (20, 90, 3)))
    cv2.imwrite(str(tmp_path / "gray.png"), rng.integers(0, 256, (70, 70)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    found, report = read_photos(str(tmp_path))
    assert sorted(found) == ["good.png", "gray.png"]
    assert report.dropped == {"not a readable image": ["broken.png"], "smaller than 64 px": ["small.png"]}
    assert report.noted == {"gray": ["gray.png"]}
    assert found["good.png"].shape == (80, 90, 3)


def test_what_cannot_be_read_is_named_and_never_ends_the_reading(tmp_path, picture):
    image = Image.fromarray(picture)
    for name in ("good.png", "cut.png", "cut.jpg", "cut.webp", "cut.bmp", "cut.tif"):
        image.save(tmp_path / name)
        if name.startswith("cut"):
            data = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    image.save(tmp_path / "animated.gif", save_all=True, append_images=[image])
    found, report = read_photos(str(tmp_path))
    assert list(found) == ["good.png"]
    assert report.dropped == {
        "not a readable image": ["cut.bmp", "cut.jpg", "cut.png", "cut.tif", "cut.webp", "empty.png", "text.jpg"],
        "cannot be opened": ["gone.png"],
    }
    assert report.lines()[0].endswith("1 of 9 kept")


def test_a_closed_file_is_reported(tmp_path, picture, monkeypatch):
    for name in ("closed.png", "open.png"):
        Image.fromarray(picture).save(tmp_path / name)
    read = Path.read_bytes

    def refuse(path):  # permissions mean nothing to root, who may run the tests
        if path.name == "closed.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    found, report = read_photos(str(tmp_path))
    assert list(found) == ["open.png"]
    assert report.dropped == {"cannot be opened": ["closed.png"]}


def test_every_kind_of_file_becomes_8_bit_rgb(tmp_path, picture):
    image = Image.fromarray(picture)
    image.save(tmp_path / "plain.png")
    cv2.imwrite(str(tmp_path / "deep.png"), picture[..., ::-1].astype(np.uint16) * 257)
    image.convert("RGBA").save(tmp_path / "alpha.png")
    image.convert("P").save(tmp_path / "palette.png")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    image.save(tmp_path / "turned.jpg", quality=100, exif=exif)
    found, report = read_photos(str(tmp_path))
    assert not report.dropped
    assert {name: photo.shape for name, photo in found.items()} == {
        "alpha.png": (70, 90, 3), "cmyk.jpg": (70, 90, 3), "deep.png": (70, 90, 3), "palette.png": (70, 90, 3),
        "plain.png": (70, 90, 3), "turned.jpg": (90, 70, 3),
    }  # fmt: skip
    for name in ("plain.png", "deep.png", "alpha.png"):
        assert np.array_equal(found[name], picture)
    assert np.array_equal(found["palette.png"], np.asarray(image.convert("P").convert("RGB")))
    assert np.abs(found["turned.jpg"].mean((0, 1)) - picture.mean((0, 1))).max() < 2
    assert np.abs(found["cmyk.jpg"].mean((0, 1)) - picture.mean((0, 1))).max() < 2


def test_there_must_be_something_to_read(tmp_path):
    with pytest.raises(VidferError, match=r"there is no folder .*none: give a folder of photographs, or 'sample'"):
        read_photos(str(tmp_path / "none"))
    with pytest.raises(VidferError, match=r"no image of at least 64 px .* or 'sample'"):
        read_photos(str(tmp_path))


def test_div2ks_reduced_images_are_noted(data_dir):
    _, report = read_photos(str(data_dir / "div2k_sample"))
    assert report.noted == {"reduced in size, by its name": ["0001x2.png", "0001x3.png"]}


def test_colours_are_not_swapped(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((64, 64, 3), (0, 0, 255)))  # OpenCV writes BGR
    assert read_photos(str(tmp_path))[0]["red.png"][0, 0].tolist() == [255, 0, 0]


def test_many_photographs_are_decoded_to_disk_once(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(photos, "_MEMORY", 2 * picture.nbytes)
    for number in range(4):
        Image.fromarray(picture + number).save(tmp_path / f"{number}.png")
    first, _ = read_photos(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(photos, "_decode", None)  # a second reading decodes nothing
        second, _ = read_photos(str(tmp_path))
    for found in (first, second):
        assert all(isinstance(photo, StoredPhoto) for photo in found.values())
        for number, photo in enumerate(found.values()):
            assert photo.shape == (70, 90, 3)
            assert np.array_equal(photo[3:60, 5:80], (picture + number)[3:60, 5:80])


def test_a_changed_photograph_or_damaged_copy_is_decoded_again(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(photos, "_MEMORY", 1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).save(tmp_path / "b.png")
    before, _ = read_photos(str(tmp_path))
    Image.fromarray(255 - picture).save(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (1, 1))
    stamp = before["b.png"].path.stat().st_mtime_ns
    before["b.png"].path.write_bytes(before["b.png"].path.read_bytes()[:-100])
    os.utime(before["b.png"].path, ns=(stamp, stamp))
    after, _ = read_photos(str(tmp_path))
    assert np.array_equal(after["a.png"][:, :], 255 - picture)
    assert np.array_equal(after["b.png"][:, :], picture)


def test_copies_go_where_the_user_says(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(photos, "_MEMORY", 1)
    (tmp_path / "data").mkdir()
    Image.fromarray(picture).save(tmp_path / "data" / "a.png")
    monkeypatch.setenv("VIDFER_DECODED", str(tmp_path / "copies"))
    found, _ = read_photos(str(tmp_path / "data"))
    assert found["a.png"].path.is_relative_to(tmp_path / "copies")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["a.png"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDFER_DECODED", str(tmp_path / "file"))
    with pytest.raises(VidferError, match=r"Free some space there, or name another folder by \$VIDFER_DECODED"):
        read_photos(str(tmp_path / "data"))


def test_the_sample_is_in_colour():
    found, _ = read_photos("sample")
    assert tuple(found) == SAMPLE
    assert all(photo.dtype == np.uint8 and photo.shape[2] == 3 for photo in found.values())


def test_noise_has_its_strength_and_clips():
    gray = np.full((200, 200, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    assert (add_noise(gray, 25, rng, clip=False) - 128).std() == pytest.approx(25, rel=0.02)
    clipped = add_noise(np.zeros((64, 64, 3), np.uint8), 50, rng)
    assert clipped.min() == 0
    assert (clipped == clipped.round()).all()
