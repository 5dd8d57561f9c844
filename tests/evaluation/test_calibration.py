import json

import numpy as np
import pytest
import torch

from vidfer.cli.main import main
from vidfer.evaluation.calibration import FoldCalibrator, label_smoothing, pool_windows
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


def test_a_clips_logits_by_a_temperature_are_the_chains_answer():
    logits = torch.randn(3, 7).log_softmax(1).double().numpy()
    found = pool_windows([logits], 0.1)
    windows = calibrate(logits, (1.7, 0.1))
    np.testing.assert_allclose(softmax(found / 1.7)[0], pool(windows, np.ones(3)), atol=1e-5)


def test_answers_that_are_twice_as_sure_as_they_may_be_get_temperature_two():
    dice = np.random.default_rng(0)
    calibrator = FoldCalibrator(0.1)
    for _ in range(3):
        logits = dice.normal(0, 1.5, (800, 7))
        target = [dice.choice(7, p=row) for row in softmax(logits)]
        calibrator.add(list(2 * logits[:, None]), target)
    found = calibrator.fit()
    assert found["temperature"] == pytest.approx(2, rel=0.1)
    assert found["smoothing"] == 0
    assert found["ece_after"] < 0.03 < found["ece_before"]
    assert found["nll_after"] < found["nll_before"]


def test_a_temperature_that_others_do_not_share_is_not_taken():
    dice = np.random.default_rng(0)
    calibrator = FoldCalibrator(0.0)
    for scale in (2.0, 0.5):
        logits = dice.normal(0, 1.5, (400, 7))
        calibrator.add(list(scale * logits[:, None]), [dice.choice(7, p=row) for row in softmax(logits)])
    found = calibrator.fit()
    assert (found["temperature"], found["smoothing"]) == (1.0, 0.0)
    assert found["nll_after"] == found["nll_before"]


def test_the_folds_answers_give_the_temperature_and_others_the_measure(sounds_root, vectors_store, weights, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command, "--calibrate", "3", "--write-card"]) == 0
    entry = json.loads(capsys.readouterr().out.splitlines()[-1])["calibration"]
    assert (entry["n_fitted"], entry["n_measured"]) == (32, 16)
    assert "people 1-2" in entry["fitted_on"]
    assert entry["measured_on"].endswith("people 3")
    card = find_weights("audio", weights)
    assert card.card["calibration"] == entry
    assert read_calibration(card) == (entry["temperature"], entry["smoothing"])


def test_nobody_is_measured_who_was_learnt_from(sounds_root, vectors_store, weights, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command[:-1], weights, "--calibrate", "2-3"]) != 0
    assert "2" in capsys.readouterr().err
    assert main([*command, "--write-card"]) == 2
    assert "--write-card goes with --calibrate" in capsys.readouterr().err


def test_the_label_smoothing_of_a_training_is_in_its_card():
    assert label_smoothing({"recipe": {"task": {"label_smoothing": 0.1}}}) == 0.1
    assert label_smoothing({"recipe": {"task": {}}}) == label_smoothing({}) == label_smoothing({"recipe": "x"}) == 0
    assert label_smoothing({"recipe": {"task": {"label_smoothing": 0.1, "distillation": 0.7}}}) == 0
