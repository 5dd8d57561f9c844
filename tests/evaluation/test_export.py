import json

import cv2
import numpy as np
import pytest
import torch

from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.datamodules.soft_faces import SoftFacesDataModule
from vidfer.datasets.fer2013 import read_images
from vidfer.evaluation.export import _measure, _measure_denoiser, require_own_card, write_card
from vidfer.inference.models import ImageModel
from vidfer.tasks.denoise import DenoiseTask
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import find_weights, weights_digest


@pytest.fixture
def photos(tmp_path):
    """Folders of photographs by name."""

    def make(name, count=3):
        (tmp_path / name).mkdir()
        for at in range(count):
            pixels = np.random.default_rng(at).integers(0, 256, (40, 40, 3), np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{at}.png"), pixels)
        return str(tmp_path / name)

    return make


@pytest.mark.parametrize(
    ("test", "split", "name"),
    [
        (None, "val", "seen, validation photographs"),
        ("seen", "train", "seen, photographs of the training"),
        ("other", "test", "other"),
    ],
)
def test_a_denoisers_card_calls_a_test_only_what_it_was_not_trained_or_validated_on(photos, test, split, name):
    folders = {each: photos(each) for each in ("seen", "other")}
    data = DenoiseDataModule(folders["seen"], crop=32, sigmas=[25.0], test_root=test and folders[test])
    torch.manual_seed(0)
    found = _measure_denoiser(DenoiseTask(preset="tiny", norm="none"), data)
    assert found["split"] == split
    assert found["on"].startswith(f"{name}, {found['n']} crops")


def test_a_card_has_the_accuracy_of_the_head_for_clips_and_of_that_of_the_labels(soft_root, headed_weights):
    data = SoftFacesDataModule(str(soft_root / "fer2013"), str(soft_root / "wild"), wild_size=32)
    data.notify = lambda _: None
    found = _measure(None, data, headed_weights, "cpu")
    assert [each["on"] for each in found] == [
        f"fer2013/public_test, FER+ labels, head {head}{views}"
        for head in ("video", "ferplus")
        for views in ("", ", averaged with the mirrored face")
    ]
    images = read_images(soft_root / "fer2013", "public_test", labels="ferplus")
    for each, head in zip(found, ("video", "video", "ferplus", "ferplus"), strict=True):
        tta = "flip" if "mirrored" in each["on"] else "none"
        preds = ImageModel(headed_weights, head=head).of_gray(images.image, tta=tta)[1].argmax(1)
        assert each["accuracy"] == (preds == images.target).mean()


def test_weights_that_change_while_they_are_measured_keep_their_card(image_weights):
    with pytest.raises(VidferError, match="changed while they were measured"):
        write_card("image", str(image_weights), "0" * 64, {"metrics": []})


def test_an_entry_replaces_the_one_on_the_same_data_only(image_weights):
    digest = weights_digest("image", image_weights)
    for accuracy in (0.1, 0.2):
        write_card("image", str(image_weights), digest, {"metrics": [{"on": "a", "accuracy": accuracy}]})
    line = write_card("image", str(image_weights), digest, {"metrics": [{"on": "b", "accuracy": 0.3}]})
    assert str(image_weights.with_suffix(".json")) in line
    card = json.loads(image_weights.with_suffix(".json").read_text())
    assert card["metrics"] == [{"on": "a", "accuracy": 0.2}, {"on": "b", "accuracy": 0.3}]
    assert weights_digest("image", image_weights) == digest
    assert find_weights("image", image_weights).card == card


def test_pulled_weights_are_not_written_to(image_weights, monkeypatch):
    monkeypatch.setenv("VIDFER_WEIGHTS", str(image_weights.parent))
    with pytest.raises(UsageError, match="copy it and its card"):
        require_own_card("image", str(image_weights))
