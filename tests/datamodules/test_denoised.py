"""Denoised face images, against the denoiser itself."""

import numpy as np
import pytest
import torch

from vidfer.datamodules.denoised import Denoise
from vidfer.datamodules.features import FeatureOptions
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.paired import PairedDataModule
from vidfer.datasets.fer2013 import read_images, read_train_val
from vidfer.inference.denoiser import Denoiser
from vidfer.models.generator import Generator
from vidfer.types import VidferError
from vidfer.weights.files import save_weights, weights_digest

SHARES = {"val_share": 0.25}


@pytest.fixture
def noisy_root(write_image, tmp_path):
    """Faces of smooth light, every other one with noise of sigma 25."""
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(60, 160, 48), np.linspace(0, 40, 48))
    for split, count in (("train", 4), ("public_test", 2)):
        for at, label in enumerate(("happy", "sad")):
            for number in range(count):
                face = across + down + 3 * number + at + (30 if split == "train" else 0)
                noise = rng.normal(0, 25, face.shape) if number % 2 else 0
                write_image(split, label, f"{number}.png", (face + noise).round().clip(0, 255))
    return tmp_path / "fer"


@pytest.fixture
def other_denoiser(tmp_path):
    torch.manual_seed(0)
    network = Generator(preset="tiny", norm="none")
    path = tmp_path / "denoiser.safetensors"
    card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny", "norm": "none"}}
    save_weights(path, network.state_dict(), {**card, "preprocessing": {"range": [-1, 1]}})
    return str(path)


def by_hand(image, model="small"):
    """Denoise gray images one by one as three equal channels, weighed by the luminance of ITU-R BT.601."""
    colour = Denoiser(model)(np.stack([image] * 3, -1)).astype(float)
    return (colour @ np.array([0.299, 0.587, 0.114])).round()


def test_what_is_noisier_than_the_threshold_is_denoised(noisy_root, tmp_path):
    images = read_images(noisy_root, "train")
    (auto,) = Denoise("small").clean([images], tmp_path / "s")
    noisy = np.array([int(name[-5]) % 2 == 1 for name in images.name])
    assert (auto.image[~noisy] == images.image[~noisy]).all()
    assert np.abs(auto.image[noisy] - by_hand(images.image[noisy])).max() <= 1
    assert np.abs(auto.image[noisy].astype(int) - images.image[noisy]).mean() > 3
    assert (auto.name, auto.digest, auto.target.tolist()) == (images.name, images.digest, images.target.tolist())
    (every,) = Denoise("small", "on").clean([images], tmp_path / "s")
    assert np.abs(every.image - by_hand(images.image)).max() <= 1
    for nothing in (Denoise(None), Denoise("small", "off"), Denoise("small", threshold=200)):
        assert (nothing.clean([images], tmp_path / "s")[0].image == images.image).all()


def test_a_set_is_denoised_once_however_it_is_divided_and_again_by_other_weights(
    noisy_root, tmp_path, monkeypatch, other_denoiser
):
    train, val = Denoise("small").clean(read_train_val(noisy_root, 0.25), tmp_path / "s")
    monkeypatch.setattr(Denoise, "_clean", lambda *_: pytest.fail("denoised again"))
    less, more = Denoise("small").clean(read_train_val(noisy_root, 0.5), tmp_path / "s")
    assert (len(val.image), len(more.image)) == (2, 4)
    found = dict(zip((*less.digest, *more.digest), (*less.image, *more.image), strict=True))
    assert all((found[digest] == image).all() for digest, image in zip(train.digest, train.image, strict=True))
    for changed in (Denoise("small", "on"), Denoise("small", threshold=20), Denoise(other_denoiser)):
        with pytest.raises(pytest.fail.Exception, match="denoised again"):
            changed.clean(read_train_val(noisy_root, 0.5), tmp_path / "s")


def test_every_split_is_denoised_and_the_card_names_the_weights(noisy_root, tmp_path):
    data = Fer2013DataModule(str(noisy_root), denoise_model="small", store=str(tmp_path / "s"), batch_size=4, **SHARES)
    plain = Fer2013DataModule(str(noisy_root), batch_size=4, **SHARES)
    for module in (data, plain):
        module.setup("fit")
        module.setup("test")
    for split in ("train", "val", "test"):
        changed = (data.data[split].image != plain.data[split].image).flatten(1).any(1)
        assert changed.any()
        assert not changed.all()
    card = data.card_entries()["data"]
    assert card["denoise_weights"] == weights_digest("denoise", "small")
    assert (card["denoise"], card["denoise_threshold"]) == ("auto", 10.0)
    assert plain.card_entries()["data"]["denoise"] == "off"


def test_the_denoiser_is_part_of_what_a_training_reads(noisy_root, other_denoiser):
    def digest(**options):
        return Fer2013DataModule(str(noisy_root), **options).content_digest()

    found = [digest(), digest(denoise_model="small"), digest(denoise_model=other_denoiser)]
    assert len(set(found)) == 3
    assert digest(denoise_model="small", denoise="off") == found[0]


def test_the_chain_of_clips_denoises_as_is_asked_for(other_denoiser):
    def stage(**options):
        return next(each for each in FeatureOptions(**options).chain() if each.name == "denoise")

    assert stage().denoise.weights == weights_digest("denoise", "small")
    assert (stage().denoise.threshold, stage(denoise="on").denoise.threshold) == (10.0, None)
    assert stage(denoise_model=other_denoiser).denoise.weights == weights_digest("denoise", other_denoiser)
    assert stage(denoise="off").denoise is None
    assert stage(denoise_model=None).denoise is None


def test_paired_faces_are_denoised_on_request(noisy_root, sounds_root, tmp_path):
    def faces(**options):
        data = PairedDataModule(str(sounds_root), str(noisy_root), store=str(tmp_path / "s"), **SHARES, **options)
        image = [data._pool(split).image for split in ("train", "val", "test")]
        return [each.copy() for each in image]

    plain, clean = faces(), faces(denoise_model="small")
    assert all((one != other).any() for one, other in zip(plain, clean, strict=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"mode": "maybe"}, "one of auto, on, off, not maybe"), ({"threshold": 0}, "above 0, not 0")],
)
def test_what_cannot_be_denoised_is_refused(options, said):
    with pytest.raises(VidferError, match=said):
        Denoise("small", **options)
