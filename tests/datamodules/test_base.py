"""The digest of the data, by which a named run is told from one on other data."""

import shutil

import cv2
import numpy as np
import pytest

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.paired import PairedDataModule, SamplePairedDataModule
from vidfer.types import VidferError


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_STORE", str(tmp_path / "default_store"))


def write_photos(root):
    root.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (150, 150, 3))  # large enough to be remembered
        cv2.imwrite(str(root / f"{number}.png"), noise)
    return root


@pytest.fixture(params=["clips", "faces", "paired", "photos"])
def data(request, tmp_path, sounds_root, faces_root):
    """A copy of some data, how to make their module, and one of their files."""
    sounds = shutil.copytree(sounds_root, tmp_path / "sounds")
    one = sounds / "Actor_01" / "03-01-03-01-01-01-01.wav"
    people = {"train_people": "1-2", "test_people": "3"}
    if request.param == "clips":
        return sounds, lambda root: ClipDataModule(root=str(root), **people), one
    if request.param == "faces":
        one = faces_root / "train/happy/sample_happy_0001.png"
        return faces_root, lambda root: Fer2013DataModule(str(root)), one
    if request.param == "paired":
        return sounds, lambda root: PairedDataModule(str(root), str(faces_root), **people), one
    photos = write_photos(tmp_path / "photos")
    return photos, lambda root: DenoiseDataModule(str(root)), photos / "0.png"


def test_the_digest_is_that_of_the_contents_wherever_they_lie(data, tmp_path):
    root, make, one = data
    before = make(root).content_digest()
    assert len(before) == 64
    assert make(root).content_digest() == before
    assert make(shutil.copytree(root, tmp_path / "elsewhere")).content_digest() == before
    content = one.read_bytes()
    one.write_bytes(content + b"\0")
    assert make(root).content_digest() != before
    one.write_bytes(content)
    assert make(root).content_digest() == before
    one.unlink()
    assert make(root).content_digest() != before


def test_a_label_is_part_of_it(faces_root):
    before = Fer2013DataModule(str(faces_root)).content_digest()
    path = faces_root / "train/happy/sample_happy_0001.png"
    path.rename(faces_root / "train/sad" / path.name)
    assert Fer2013DataModule(str(faces_root)).content_digest() != before


@pytest.mark.parametrize("row", ["{0},sad,ann,train", "{0},happy,ben,train", "{0},happy,ann,val", "{0},happy,,train"])
def test_label_person_and_split_of_a_clip_are_part_of_it(row, sounds_root, tmp_path):
    def digest(row):
        files = sorted(sounds_root.rglob("*.wav"))
        text = "path,label,person,split\n" + row.format(files[0]) + f"\n{files[1]},fear,eve,train\n"
        (tmp_path / "clips.csv").write_text(text)
        return ClipDataModule(data="manifest", root=str(tmp_path / "clips.csv")).content_digest()

    assert digest(row) != digest("{0},happy,ann,train")


def test_what_was_computed_from_is_part_of_it(sounds_root, image_weights, tmp_path):
    def digest(model):
        return ClipDataModule(root=str(sounds_root), train_people="1", image_model=model).content_digest()

    assert digest("compact") != digest(str(image_weights))
    logits = tmp_path / "teacher.safetensors"
    modules = [Fer2013DataModule(str(tmp_path / "faces"), teacher=str(logits)) for _ in range(2)]
    found = []
    for module, content in zip(modules, (b"one", b"two"), strict=True):
        (tmp_path / "faces/train/happy").mkdir(parents=True, exist_ok=True)
        logits.write_bytes(content)
        (tmp_path / "faces/train/happy/a.png").write_bytes(b"image")
        found.append(module.content_digest())
    assert found[0] != found[1]


def test_generated_data_are_made_first(tmp_path):
    module = SamplePairedDataModule(str(tmp_path / "sample"))
    assert module.content_digest() == module.content_digest()


@pytest.mark.parametrize("kind", [ClipDataModule, Fer2013DataModule, DenoiseDataModule])
def test_data_that_are_not_there_are_named(kind, tmp_path):
    with pytest.raises(VidferError, match="missing"):
        kind(root=str(tmp_path / "missing")).content_digest()
