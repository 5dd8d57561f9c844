from dataclasses import replace

import numpy as np
import pytest
import torch

from vidfer.datamodules.paired import PairedDataModule, build_clip_data
from vidfer.datasets.fer2013 import read_images
from vidfer.inference.models import ImageModel
from vidfer.weights.files import weights_digest


@pytest.fixture
def module(sounds_root, faces_root, vectors_store, tmp_path):
    def make(**options):
        chosen = {
            "train_people": "1-2",
            "test_people": "3",
            "voice": False,
            "reads": ["frames", "image", "sound"],
            "val_share": 0.2,
        }
        return PairedDataModule(
            root=str(sounds_root), faces_root=str(faces_root), store=vectors_store, **{**chosen, **options}
        )

    return make


def test_faces_show_the_class_of_the_voice_and_come_from_the_splits_own_images(module, faces_root):
    data = module()
    data.setup("fit")
    data.setup("test")
    assert {split: len(samples) for split, samples in data.samples.items()} == {"train": 32, "test": 16}
    pool = read_images(faces_root, "public_test")
    for sample in data.samples["test"]:
        assert sample.features["image"].shape == (4, 48, 48)
        nearest = [
            np.abs(pool.image.astype(float) - view.numpy()).mean((1, 2)).argmin() for view in sample.features["image"]
        ]
        votes = np.bincount(pool.target[nearest], minlength=7)
        assert votes[sample.target] >= 2  # moved and mirrored, but mostly still nearest to its own class


def test_the_embeddings_are_the_image_models(module):
    data = module()
    data.setup("test")
    features = data.samples["test"][0].features
    expected, _ = ImageModel("compact").of_gray(features["image"].numpy(), tta="flip")
    torch.testing.assert_close(features["frames"], torch.from_numpy(expected), atol=1e-4, rtol=1e-4)


def test_every_recording_gets_several_faces_if_told_so_in_training_alone(module):
    data = module(pairings=3, reads=["frames", "sound"])
    data.setup("fit")
    data.setup("test")
    assert (len(data.samples["train"]), len(data.samples["test"])) == (96, 16)
    first = [sample.features for sample in data.samples["train"] if sample.name == data.samples["train"][0].name]
    assert torch.equal(first[0]["sound"], first[1]["sound"])
    assert not torch.equal(first[0]["frames"], first[1]["frames"])


def test_pairs_are_found_again_in_the_store(module, monkeypatch):
    module().setup("test")
    monkeypatch.setattr("vidfer.datamodules.paired.pair_faces", None)
    data = module()
    data.setup("test")
    assert len(data.samples["test"]) == 16


def test_figures_name_what_they_were_measured_on(module, tmp_path):
    assert module().source.startswith("paired (semi-synthetic)")
    sample = build_clip_data("sample", str(tmp_path), store=str(tmp_path / "store"))
    assert sample.source.startswith("sample (synthesised voices, drawn faces")
    assert "paired (semi-synthetic)" in sample.source


def test_other_labels_of_the_same_images_make_other_pairs(module, monkeypatch):
    plain = module()
    plain.setup("test")
    rotated = module()
    pool = rotated._pool("test")
    monkeypatch.setattr(rotated, "_pool", lambda _split: replace(pool, target=(pool.target + 3) % 7))
    rotated.setup("test")
    one, other = (data.samples["test"][0].features["image"] for data in (plain, rotated))
    assert not torch.equal(one, other)


def test_other_image_weights_give_other_embeddings(module, image_weights):
    plain, other = module(), module(image_model=str(image_weights))
    for data in (plain, other):
        data.setup("test")
    one, two = (data.samples["test"][0].features for data in (plain, other))
    assert torch.equal(one["image"], two["image"])
    assert not torch.allclose(one["frames"], two["frames"], atol=0.1)
    other.setup("fit")
    trained = other.card_entries()["preprocessing"]
    assert trained["max_frames"] is None  # of real clips every face is read
    assert trained["image_weights"] == weights_digest("image", str(image_weights))


def test_speakers_of_paired_clips_are_standardised_by_themselves(module):
    data = module(standardise="speaker")
    data.setup("test")
    sound = torch.cat([sample.features["sound"] for sample in data.samples["test"]])
    assert sound.mean(0).abs().max() < 1e-4


def test_each_data_set_has_its_people(sounds_root):
    data = build_clip_data(str(sounds_root))
    assert (data.selection.train_people, data.selection.test_people) == ("2-16", "17-20")
    assert build_clip_data(str(sounds_root), train_people="1", val_people="2").selection.train_people == "1"
