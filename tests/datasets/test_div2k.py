import os
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from vidfer.datasets.div2k import find_div2k, is_div2k, list_part, read_div2k, unpack
from vidfer.types import VidferError


@pytest.fixture
def root(tmp_path):
    """The whole data set, with one and the same small image for every number."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8))
    image.save(tmp_path / "image.png")
    data = (tmp_path / "image.png").read_bytes()
    root = tmp_path / "DIV2K"
    for folder, first, last in (("DIV2K_train_HR", 1, 800), ("DIV2K_valid_HR", 801, 900)):
        (root / folder).mkdir(parents=True)
        for number in range(first, last + 1):
            (root / folder / f"{number:04}.png").write_bytes(data)
    (root / "DIV2K_train_LR_bicubic" / "X2").mkdir(parents=True)
    (root / "DIV2K_train_LR_bicubic" / "X2" / "0001x2.png").write_bytes(data)
    return root


def test_the_whole_set_is_found_and_its_reduced_images_are_not(root):
    train, valid, report = find_div2k(root)
    assert [path.name for path in train] == [f"{number:04}.png" for number in range(1, 801)]
    assert [path.name for path in valid] == [f"{number:04}.png" for number in range(801, 901)]
    assert report.lines() == ["DIV2K: 900 of 900 kept"]


def test_what_is_missing_foreign_damaged_or_reduced_is_listed(root):
    folder = root / "DIV2K_train_HR"
    (folder / "0003.png").unlink()
    (folder / "0004.png").rename(folder / "0004x2.png")
    (folder / "0801.png").write_bytes((folder / "0001.png").read_bytes())
    (folder / "Thumbs.db").touch()
    (folder / "0005.png").unlink()
    (folder / "0005.png").mkdir()
    whole = (folder / "0006.png").read_bytes()
    (folder / "0006.png").write_bytes(whole[:-5])
    (folder / "0007.png").write_bytes(b"")
    (folder / "0008.png").write_bytes(b"<html>" + whole)
    (folder / "0009.png").write_bytes(whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])  # found when decoded only
    (root / "DIV2K_valid_HR" / "0850.png").unlink()
    train, valid, report = find_div2k(root)
    assert (len(train), len(valid)) == (800 - 6, 99)
    assert report.noted == {"missing": ["0003.png", "0004.png", "0850.png"]}
    assert report.dropped == {
        "reduced in size, by its name": ["0004x2.png"],
        "none of the part's files": ["0005.png", "0801.png", "Thumbs.db"],
        "damaged": ["0006.png", "0007.png", "0008.png"],
    }
    photos, _, read = read_div2k(root, smallest=16)
    assert len(photos) == len(train) - 1
    assert read.dropped == {**report.dropped, "not a readable image": ["0009.png"]}
    assert read.noted == report.noted
    assert (read.found, read.kept) == (report.found, len(photos) + 99)


def test_a_missing_part_is_named_with_the_remedy(root, tmp_path):
    assert is_div2k(root)
    assert not is_div2k(root / "DIV2K_train_HR")
    assert not is_div2k(tmp_path / "none")
    (root / "DIV2K_valid_HR").rename(root / "elsewhere")
    with pytest.raises(VidferError, match=r"DIV2K_valid_HR is missing: .*vidfer download div2k --out \S+ --part valid"):
        find_div2k(root)
    assert len(list_part(root, "train")[0]) == 800


def write_zip(path, files, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return path


def test_an_archive_is_unpacked_whole(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"set/": "", "set/1.png": "one", "set/2.png": "two"}, zipfile.ZIP_DEFLATED)
    (tmp_path / ".set.unpacking").mkdir()  # left by a kill
    (tmp_path / ".set.unpacking" / "old.png").touch()
    unpack(archive, tmp_path / "set", ["1.png", "2.png"])
    assert {path.name: path.read_text() for path in (tmp_path / "set").iterdir()} == {"1.png": "one", "2.png": "two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "set"]


@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/evil", "other/evil", "evil"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    archive = write_zip(tmp_path / "in" / "a.zip", {"set/1": "", name: "x"})
    with pytest.raises(VidferError, match="is not the archive expected"):
        unpack(archive, tmp_path / "in" / "set", ["1", "evil"])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.zip"]


def test_a_link_in_an_archive_never_becomes_one(tmp_path):
    link = zipfile.ZipInfo("set/1")
    link.external_attr = 0o120777 << 16
    archive = write_zip(tmp_path / "a.zip", {link: "/etc/passwd"})
    unpack(archive, tmp_path / "set", ["1"])
    assert not (tmp_path / "set" / "1").is_symlink()
    assert (tmp_path / "set" / "1").read_text() == "/etc/passwd"


def test_an_archive_of_other_files_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"set/1": "", "set/2": ""})
    with pytest.raises(VidferError, match=r"is not the archive expected: it lacks, or has besides, 1 files \(set/3\)"):
        unpack(archive, tmp_path / "set", ["1", "2", "3"])
    with pytest.raises(VidferError, match=r"is not the archive expected: it lacks, or has besides, 1 files \(set/2\)"):
        unpack(archive, tmp_path / "set", ["1"])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_leaves_nothing(tmp_path, method):
    archive = write_zip(tmp_path / "a.zip", {"set/1": b"fine", "set/2": os.urandom(1000)}, method)
    data = bytearray(archive.read_bytes())
    data[500] ^= 255
    archive.write_bytes(data)
    with pytest.raises(VidferError, match=r"is damaged .*: delete it and fetch it again"):
        unpack(archive, tmp_path / "set", ["1", "2"])
    archive.write_bytes(data[:600])
    with pytest.raises(VidferError, match="is damaged"):
        unpack(archive, tmp_path / "set", ["1", "2"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {"set/1": "one"})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(VidferError, match=r"could not be unpacked to .*set: No space left on device"):
        unpack(archive, tmp_path / "set", ["1"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
