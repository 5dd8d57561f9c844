import json

import numpy as np
import pytest
import torch

from vidfer.answer import pool, softmax
from vidfer.chain.sound import calibrated
from vidfer.cli.calibrate_sound import clip_logits
from vidfer.cli.main import main
from vidfer.datamodules.features import Sample
from vidfer.models.classifiers.build import build_classifier
from vidfer.weights.registry import find_weights, read_calibration, save_weights

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
    found = clip_logits([Sample("a", None, 0, {"sound": torch.zeros(3, 4)})], lambda vectors: logits, 0.1)
    windows = calibrated(logits, (1.7, 0.1))
    np.testing.assert_allclose(softmax(found / 1.7)[0], pool(windows, np.ones(3)), atol=1e-5)


def test_the_folds_answers_give_the_temperature_and_others_the_measure(sounds_root, vectors_store, weights, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command, "--calibrate", "3", "--write-card"]) == 0
    entry = json.loads(capsys.readouterr().out.splitlines()[-1])["calibration"]
    assert (entry["n_fitted"], entry["n_measured"]) == (32, 16)
    assert "people 1-2" in entry["fitted_on"]
    assert entry["measured_on"].endswith("people 3")
    card = find_weights("audio", weights)
    assert card.card["calibration"] == entry
    assert read_calibration(card) == (entry["temperature"], 0.1)


def test_nobody_is_measured_who_was_learnt_from(sounds_root, vectors_store, weights, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--audio-model", weights]
    assert main([*command[:-1], weights, "--calibrate", "2-3"]) != 0
    assert "2" in capsys.readouterr().err
    assert main([*command, "--write-card"]) == 2
    assert "--write-card goes with --calibrate" in capsys.readouterr().err
