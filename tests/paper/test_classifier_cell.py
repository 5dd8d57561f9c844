import numpy as np
import pytest
import torch
from sklearn.metrics import precision_score, recall_score, root_mean_squared_error

from vidfer.datamodules.features import Sample
from vidfer.metrics.classification import score
from vidfer.models.classifiers.build import build_classifier
from vidfer.paper.classifier_cell import (
    INPUTS,
    inference_seconds,
    macro_precision_recall,
    probability_rmse,
    run_classifier_cell,
)
from vidfer.types import VidferError


def test_precision_and_recall_are_scikit_learns():
    dice = np.random.default_rng(0)
    target, preds = dice.integers(0, 6, 200), dice.integers(0, 5, 200)
    found = macro_precision_recall(score(target, preds).confusion)
    labels = np.unique(target)
    expected = [
        measure(target, preds, labels=labels, average="macro", zero_division=0)
        for measure in (precision_score, recall_score)
    ]
    assert found == pytest.approx(expected)


def test_rmse_is_scikit_learns_and_that_of_equal_shares_is_known():
    dice = np.random.default_rng(0)
    p, target = dice.dirichlet(np.ones(7), 50), dice.integers(0, 7, 50)
    expected = np.sqrt((root_mean_squared_error(np.eye(7)[target], p, multioutput="raw_values") ** 2).mean())
    assert probability_rmse(p, target) == pytest.approx(expected)
    assert probability_rmse(np.full((1, 7), 1 / 7), np.array([2])) == pytest.approx(np.sqrt(6) / 7)


def test_more_clips_take_longer():
    network = build_classifier("lstm").eval()
    samples = [Sample("x", None, 0, {"frames": torch.randn(8, 128)})] * 3
    assert 0 < inference_seconds(network, samples, 10) < inference_seconds(network, samples, 2000)


@pytest.fixture
def cell(sounds_root, faces_root, vectors_store, tmp_path_factory, monkeypatch):
    """Run a cell on the sample data of three speakers."""
    root = tmp_path_factory.mktemp("sample")
    (root / "sounds").symlink_to(sounds_root)
    (root / "faces").symlink_to(faces_root)
    from vidfer.datamodules import paired

    monkeypatch.setattr(
        paired.SamplePairedDataModule.__init__, "__defaults__",
        tuple({"1-4": "1-2", "5-6": "3"}.get(each, each) for each in paired.SamplePairedDataModule.__init__.__defaults__),
    )  # fmt: skip

    def run(model, size, seed=0):
        return run_classifier_cell(model, size, seed, data="sample", root=str(root), store=vectors_store)

    return run


@pytest.mark.parametrize("model", INPUTS)
def test_every_model_of_the_tables(cell, model):
    found = cell(model, 14)
    assert found["n_test"] == 16
    assert all(0 <= found[name] <= 1 for name in ("precision", "recall", "accuracy", "rmse"))
    assert found["seconds"] > 0
    assert "sample (synthesised" in found["data"]
    assert "ravdess-3" in found["data"]


def test_a_cell_repeats_itself(cell):
    one, other = cell("rnn", 14), cell("rnn", 14)
    assert one["rmse"] == other["rmse"]
    assert one["rmse"] != cell("rnn", 14, seed=1)["rmse"]


def test_more_clips_than_there_are(cell):
    with pytest.raises(VidferError, match="99 training clips are asked for, and there are 32"):
        cell("rnn", 99)
