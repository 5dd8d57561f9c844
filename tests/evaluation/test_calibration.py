import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from vidfer.cli.main import main
from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import collate_clips
from vidfer.datamodules.paired import PairedDataModule
from vidfer.datasets.fer2013 import read_images
from vidfer.datasets.soft_labels import hash_share
from vidfer.evaluation.calibration import (
    _groups,
    calibrate,
    calibration_lines,
    fit_folds,
    label_smoothing,
    pool_windows,
)
from vidfer.inference import decision
from vidfer.inference.decision import pool, softmax
from vidfer.inference.models import ImageModel
from vidfer.metrics.calibration import fit_temperature
from vidfer.models.classifiers import build_classifier
from vidfer.tasks.soft_faces import SoftLabelTask
from vidfer.weights.files import find_weights, read_calibration, save_weights

FOLDS = ["evaluate", "audio", "--folds", "2", "--classifier", "linear", "--voice", "off", "--actors", "1-2"]


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
    card["data"] = {"people": {"train": ["ravdess-1", "ravdess-2"]}}
    save_weights(tmp_path / "s.safetensors", build_classifier("linear").state_dict(), card)
    return str(tmp_path / "s.safetensors")


def test_pooled_logits_at_a_temperature_give_the_chains_distribution():
    logits = torch.randn(3, 7).log_softmax(1).double().numpy()
    found = pool_windows([logits], 0.1)
    windows = decision.calibrate(logits, (1.7, 0.1))
    np.testing.assert_allclose(softmax(found / 1.7)[0], pool(windows, np.ones(3)), atol=1e-5)


def test_logits_of_twice_the_right_scale_get_temperature_two():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (3, 800, 7))
    target = [[rng.choice(7, p=row) for row in softmax(fold)] for fold in logits]
    found = fit_folds([list(2 * fold[:, None]) for fold in logits], target, 0.1)
    assert found["temperature"] == pytest.approx(2, rel=0.1)
    assert found["smoothing"] == 0
    assert found["ece_after"] < 0.03 < found["ece_before"]
    assert found["nll_after"] < found["nll_before"]


def test_a_temperature_that_does_not_hold_for_other_folds_is_not_used():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (2, 400, 7))
    target = [[rng.choice(7, p=row) for row in softmax(fold)] for fold in logits]
    found = fit_folds(
        [list(scale * fold[:, None]) for scale, fold in zip((2.0, 0.5), logits, strict=True)], target, 0.0
    )
    assert (found["temperature"], found["smoothing"]) == (1.0, 0.0)
    assert found["nll_after"] == found["nll_before"]


def test_the_temperature_is_fitted_to_the_folds_and_measured_on_other_people(
    sounds_root, vectors_store, weights, capsys
):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command, "--calibrate", "3", "--write-card"]) == 0
    entry = json.loads(capsys.readouterr().out.splitlines()[-1])["calibration"]
    assert (entry["n_fitted"], entry["n_measured"]) == (32, 16)
    assert "people 1-2" in entry["fitted_on"]
    assert entry["measured_on"].endswith("people 3")
    card = find_weights("audio", weights)
    assert card.card["calibration"] == entry
    assert read_calibration(card) == (entry["temperature"], entry["smoothing"])


def test_people_of_the_training_are_not_measured(sounds_root, vectors_store, weights, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command[:-1], weights, "--calibrate", "2-3"]) != 0
    assert "2" in capsys.readouterr().err
    assert main([*command, "--write-card"]) == 2
    assert "--write-card goes with --calibrate" in capsys.readouterr().err


def test_the_label_smoothing_of_a_training_is_in_its_card():
    assert label_smoothing({"recipe": {"task": {"label_smoothing": 0.1}}}) == 0.1
    assert label_smoothing({"recipe": {"task": {}}}) == label_smoothing({}) == label_smoothing({"recipe": "x"}) == 0
    assert label_smoothing({"recipe": {"task": {"label_smoothing": 0.1, "distillation": 0.7}}}) == 0
    soft = {"recipe": {"task": {"name": SoftLabelTask.__name__, "label_smoothing": 0.1}}}
    assert [label_smoothing(soft, head) for head in ("video", "fer2013", "ferplus")] == [0, 0.1, 0]


def sounds(root, store, **people):
    init = {"data": "ravdess", "root": str(root), "voice": False, "store": store, **people}
    return {"class_path": "vidfer.datamodules.clips.ClipDataModule", "init_args": init}


def clip_logits(weights, root, store, actor):
    """Predict each clip of an actor in plain torch: the mean of its windows' log-probabilities."""
    data = ClipDataModule("ravdess", str(root), test_people=str(actor), voice=False, store=store, reads=["sound"])
    data.setup("test")
    network = build_classifier("linear")
    network.load_state_dict(find_weights("audio", weights).tensors())
    logits, target = [], []
    for each in data.samples["test"]:
        vectors = each.features["sound"][:, None]
        mask = torch.ones(len(vectors), 1, dtype=torch.bool)
        batch = {"sound": vectors, "sound_mask": mask, "target": torch.zeros(len(vectors))}
        logits.append(network(batch).detach().double().mean(0).numpy())
        target.append(each.target)
    return np.array(logits), np.array(target)


def test_weights_are_calibrated_on_the_validation_people_and_measured_on_the_test_people(
    sounds_root, vectors_store, weights
):
    data = sounds(sounds_root, vectors_store, train_people="1", val_people="2", test_people="3")
    entry = calibrate("audio", Path(weights), data)["calibration"]
    assert (entry["n_fitted"], entry["n_measured"]) == (16, 16)
    assert "validation" in entry["fitted_on"]
    assert "test" in entry["measured_on"]
    logits, target = clip_logits(weights, sounds_root, vectors_store, 2)
    grid = np.exp(np.linspace(-2, 2, 40001))
    loss = [
        log_loss(target, softmax(logits / t), labels=range(7)) + np.log(t) ** 2 / (2 * 0.25 * 16) for t in grid[::8]
    ]
    assert entry["temperature"] == pytest.approx(grid[::8][np.argmin(loss)], rel=1e-3)
    logits, target = clip_logits(weights, sounds_root, vectors_store, 3)
    assert entry["nll_before"] == pytest.approx(log_loss(target, softmax(logits), labels=range(7)), abs=1e-5)
    after = log_loss(target, softmax(logits / entry["temperature"]), labels=range(7))
    assert entry["nll_after"] == pytest.approx(after, abs=1e-5)


def test_a_card_names_the_labelled_images_of_several_sources(soft_root, headed_weights):
    init = {"root": str(soft_root / "fer2013"), "wild_root": str(soft_root / "wild"), "val_share": 0.5, "wild_size": 32}
    data = {"class_path": "vidfer.datamodules.soft_faces.SoftFacesDataModule", "init_args": init}
    entry = calibrate("image", headed_weights, data)["calibration"]
    labels = read_images(soft_root / "fer2013", "train", labels="ferplus")
    held_out = sum(hash_share(each) < 0.5 for each in labels.image)
    assert entry["fitted_on"].startswith("fer2013/train, FER+ labels: validation images")
    assert entry["n_fitted"] == held_out
    assert entry["measured_on"].startswith("fer2013/public_test, FER+ labels: test images")


def test_what_is_not_calibrated_says_why(sounds_root, vectors_store, weights, monkeypatch):
    data = sounds(sounds_root, vectors_store, train_people="1-2", test_people="3")
    assert calibrate("audio", Path(weights), data) == {
        "not_calibrated": "nobody of ravdess is held out as validation people"
    }
    monkeypatch.setattr("vidfer.evaluation.calibration.FEWEST", 17)
    data = sounds(sounds_root, vectors_store, train_people="1", val_people="2")
    assert calibrate("audio", Path(weights), data) == {
        "not_calibrated": "only 16 clips are held out, and 17 are needed"
    }


def test_without_test_people_only_the_folds_are_measured(sounds_root, vectors_store, weights):
    data = sounds(sounds_root, vectors_store, train_people="1", val_people="2-3")
    entry = calibrate("audio", Path(weights), data)["calibration"]
    assert "n_measured" not in entry
    assert "test" in entry["not_measured"]
    assert entry["folds"]["ece_after"] >= 0
    assert len(calibration_lines(entry)) == 5


def test_an_image_model_is_calibrated_on_the_images_held_out(faces_root, image_weights):
    data = {
        "class_path": "vidfer.datamodules.fer2013.Fer2013DataModule",
        "init_args": {"root": str(faces_root), "val_share": 0.5, "batch_size": 4},
    }
    entry = calibrate("image", image_weights, data)["calibration"]
    assert (entry["n_fitted"], entry["n_measured"], entry["tta"]) == (28, 14, "flip")
    model, images = ImageModel(image_weights), read_images(faces_root, "public_test")
    logits = model.of_gray(images.image, tta="flip")[1]
    expected = log_loss(images.target, softmax(logits / entry["temperature"]), labels=range(7))
    assert entry["nll_after"] == pytest.approx(expected, abs=1e-5)


def test_a_fusion_model_is_calibrated_on_clips_of_the_validation_people(sounds_root, faces_root, vectors_store):
    init = {"root": str(sounds_root), "faces_root": str(faces_root), "store": vectors_store, "voice": False}
    init |= {"train_people": "2", "val_people": "3", "test_people": "1", "val_share": 0.5}
    data = {"class_path": "vidfer.datamodules.paired.PairedDataModule", "init_args": init}
    weights = find_weights("fusion", "fusion")
    entry = calibrate("fusion", weights.path, data)["calibration"]
    assert (entry["n_fitted"], entry["n_measured"]) == (16, 16)
    module = PairedDataModule(**init, reads=["frames", "sound"])
    network = build_classifier("fusion", weights.card["arguments"])
    weights.load_into(network)
    for split, values in (("validate", entry["folds"]), ("test", entry)):
        module.setup(split)
        batch = collate_clips(module.samples[{"validate": "val"}.get(split, split)])  # all clips at once
        logits = network.eval()(batch).detach().double().numpy()
        expected = log_loss(batch["target"].numpy(), softmax(logits), labels=range(7))
        assert values["nll_before"] == pytest.approx(expected, abs=1e-4)


def test_ten_predictions_that_are_all_right_do_not_make_a_model_certain():
    logits = np.full((10, 7), -1.0)
    logits[:, 0] = 1
    target = np.zeros(10, np.int64)
    assert fit_temperature(logits, target) < 0.06
    assert 0.4 < fit_temperature(logits, target, spread=0.5) < 0.9
    many = np.random.default_rng(0).normal(0, 1, (5000, 7))
    drawn = np.array([np.random.default_rng(at).choice(7, p=row) for at, row in enumerate(softmax(many / 2))])
    assert fit_temperature(many, drawn, spread=0.5) == pytest.approx(fit_temperature(many, drawn), rel=0.01)


def test_a_persons_predictions_are_in_one_group():
    people = ["a", "b", "a", "c", "b", "d", "e", "f", "g"]
    groups = _groups(people)
    assert sorted(row for group in groups for row in group) == list(range(9))
    where = [{at for at, group in enumerate(groups) for row in group if people[row] == one} for one in set(people)]
    assert all(len(places) == 1 for places in where)
    assert len(_groups([None] * 12)) == 5
