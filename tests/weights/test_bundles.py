"""Bundles on disk: the shipped one, those made here, and what is wrong with others."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from vidfer.stages.choice import Settings
from vidfer.types import VidferError
from vidfer.weights.bundles import KINDS, MANIFEST, SHIPPED_BUNDLE, read_bundle
from vidfer.weights.files import SHIPPED, find_weights


@pytest.fixture
def write(tmp_path, image_weights):
    """Write a bundle with an image model and these entries of its `bundle.json`."""

    def make(**entries):
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        for suffix in (".safetensors", ".json"):
            shutil.copy(image_weights.with_suffix(suffix), folder / f"image{suffix}")
        content = {"format": 1, "name": "mine", "models": {"image": "image.safetensors"}} | entries
        (folder / MANIFEST).write_text(json.dumps(content))
        return folder

    return make


def test_the_shipped_bundle_has_shipped_weights_and_every_setting():
    bundle = read_bundle(SHIPPED_BUNDLE)
    assert all(name in SHIPPED[kind] for kind, name in bundle.names.items())
    assert set(bundle.settings) == {each.name for each in fields(Settings)}
    assert {*KINDS, "occlusion", "identity", "detector"} == set(SHIPPED)  # which stages have by themselves


def test_a_bundle_may_lie_anywhere_and_what_it_does_not_set_is_as_in_the_shipped_one(write, tmp_path):
    folder = write(settings={"voice": "off"}, description="Mine.", made={"by": ["hand"]}).rename(tmp_path / "moved")
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.description, bundle.made) == ("mine", "Mine.", {"by": ["hand"]})
    assert bundle.settings == {**read_bundle(SHIPPED_BUNDLE).settings, "voice": "off"}
    assert bundle.models == {"image": folder / "image.safetensors"}
    assert find_weights("image", bundle.names["image"]).path == folder / "image.safetensors"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format": 2}, "bundle.json is of format 2, not 1"),
        ({"models": {"image": "none.safetensors"}}, "lacks the file none.safetensors of its image model"),
        ({"models": {"image": "../mine.safetensors"}}, "not the name of a file beside it"),
        ({"models": {"image": 1}}, "has 1 for its image model"),
        ({"models": {"voice": "image.safetensors"}}, r"models that this vidfer does not know \(voice\)"),
        ({"models": {"audio": "image.safetensors"}}, "holds weights of kind 'image', not 'audio'"),
        ({"settings": {"zoom": 2}}, r"settings that this vidfer does not know \(zoom\): it knows denoise"),
        ({"settings": []}, r"bundle.json has \[\] for settings"),
        ({"name": None}, "bundle.json has None for name"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(write, entries, message):
    with pytest.raises(VidferError, match=message):
        read_bundle(write(**entries))


def test_a_folder_that_is_no_bundle(write, tmp_path):
    for folder in (tmp_path, tmp_path / "none", Path(__file__)):
        with pytest.raises(VidferError, match=r"is no bundle, since it has no bundle\.json"):
            read_bundle(folder)
    (write() / MANIFEST).write_text("[")
    with pytest.raises(VidferError, match="is no JSON"):
        read_bundle(tmp_path / "bundle")


def test_a_model_without_its_card(write):
    folder = write()
    (folder / "image.json").unlink()
    with pytest.raises(VidferError, match="has no card"):
        read_bundle(folder)
