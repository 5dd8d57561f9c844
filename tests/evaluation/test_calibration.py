import json

import numpy as np
import pytest
import torch

from vidfer.cli.main import main
from vidfer.evaluation.calibration import fit_folds, label_smoothing, pool_windows
from vidfer.inference.decision import calibrate, pool, softmax
from vidfer.models.classifiers import build_classifier
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
    windows = calibrate(logits, (1.7, 0.1))
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
