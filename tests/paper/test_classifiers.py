from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import root_mean_squared_error

from vidfer.datamodules import paired
from vidfer.datamodules.features import Sample
from vidfer.paper import classifiers
from vidfer.paper.cells import Cell
from vidfer.paper.classifiers import (
    INPUTS,
    LEFT_OUT,
    ClipSource,
    cell_recipe,
    classifier_experiments,
    inference_seconds,
    probability_rmse,
    run_classifier_cell,
)
from vidfer.paper.tables import MODELS
from vidfer.pipeline.digest import recipe_key
from vidfer.tasks.fit import RECIPES, fit
from vidfer.types import VidferError
from vidfer.weights.files import embedding_width, weights_digest


def test_rmse_is_scikit_learns_and_that_of_equal_shares_is_known():
    rng = np.random.default_rng(0)
    p, target = rng.dirichlet(np.ones(7), 50), rng.integers(0, 7, 50)
    expected = np.sqrt((root_mean_squared_error(np.eye(7)[target], p, multioutput="raw_values") ** 2).mean())
    assert probability_rmse(p, target) == pytest.approx(expected)
    assert probability_rmse(np.full((1, 7), 1 / 7), np.array([2])) == pytest.approx(np.sqrt(6) / 7)


def test_the_time_is_that_of_as_many_clips_as_are_asked_for_the_least_of_three(monkeypatch):
    clips = []

    def classifier(batch):
        clips.append(len(batch["target"]))

    ticks = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(classifiers.time, "process_time", lambda: next(ticks))
    samples = [Sample("x", None, 0, {"frames": torch.randn(8, 128)})] * 3
    assert inference_seconds(classifier, samples, 10) == 2.0
    assert clips == [10, 10, 10]


COSTS = {"sound": 2.0, "frames": 0.25, "image": 0.125, "n": 3}  # CPU seconds of a clip's features


@pytest.fixture
def source(sounds_root, faces_root, vectors_store, tmp_path_factory, monkeypatch):
    """The sample data of three speakers."""
    root = tmp_path_factory.mktemp("sample")
    (root / "sounds").symlink_to(sounds_root)
    (root / "faces").symlink_to(faces_root)
    monkeypatch.setattr(
        paired.SamplePairedDataModule.__init__, "__defaults__",
        tuple({"1-4": "1-2", "5-6": "3"}.get(each, each) for each in paired.SamplePairedDataModule.__init__.__defaults__),
    )  # fmt: skip

    return ClipSource("sample", str(root), vectors_store)


@pytest.fixture
def cell(source, monkeypatch):
    """Run a cell of few steps."""
    monkeypatch.setattr(classifiers, "STEPS", 60)

    def run(model, size, seed=0, inputs="paper"):
        return run_classifier_cell(model, size, seed, inputs=inputs, source=source, costs=COSTS)

    return run


@pytest.mark.parametrize(("inputs", "model"), [(inputs, model) for inputs in INPUTS for model in INPUTS[inputs]])
def test_every_model_of_the_tables(cell, model, inputs):
    found = cell(model, 14, inputs=inputs)
    assert found["n_test"] == 16
    assert all(0 <= found[name] <= 1 for name in ("precision", "recall", "accuracy", "rmse"))
    assert found["seconds"] > 0
    assert "sample (synthesised" in found["data"]
    assert "ravdess-3" in found["data"]


def test_the_execution_time_of_a_cell_is_of_as_many_clips_as_it_was_trained_on(cell, monkeypatch):
    counts = []
    monkeypatch.setattr(classifiers, "inference_seconds", lambda _network, _samples, count: counts.append(count) or 4.5)
    assert cell("rnn", 14)["seconds"] == 4.5
    assert counts == [14]


def test_features_are_counted_for_every_clip_and_modality_that_is_read(cell, monkeypatch):
    monkeypatch.setattr(classifiers, "inference_seconds", lambda *_: 4.5)
    found = {inputs: cell("gan", 14, inputs=inputs) for inputs in ("faces", "sound", "both")}
    assert {inputs: each["feature_seconds"] for inputs, each in found.items()} == {
        "faces": 0.25,
        "sound": 2.0,
        "both": 2.25,
    }
    assert found["both"]["seconds_from_files"] == 4.5 + 14 * 2.25
    assert cell("cnn", 14)["seconds_from_files"] == 4.5 + 14 * 0.125


def test_where_inputs_are_equal_every_model_reads_the_same_and_the_others_are_named_with_a_reason():
    wanted = {"faces": {("frames",)}, "sound": {("sound",)}, "both": {("frames", "sound")}}
    for inputs, reads in wanted.items():
        assert {cell_recipe(model, inputs).task().reads for model in INPUTS[inputs]} == reads
        assert sorted([*INPUTS[inputs], *LEFT_OUT[inputs]]) == sorted(MODELS)


def test_the_recipe_is_the_same_whatever_is_read():
    one, other = cell_recipe("gan", "paper"), cell_recipe("gan", "faces")
    assert (one.settings, one.epochs) == (other.settings, other.epochs)
    assert {name: value for name, value in one.arguments.items() if name != "modality"} == {
        name: value for name, value in other.arguments.items() if name != "modality"
    }


def test_cells_of_clips_that_were_trained_on_before_compute_no_feature(cell, vectors_store, sounds_root, faces_root):
    def features():
        return {path for name in ("audio", "faces", "paired") for path in Path(vectors_store).glob(f"{name}/*/*")}

    stored = features()
    module = paired.PairedDataModule(
        root=str(sounds_root), faces_root=str(faces_root), train_people="1-2", test_people="3", voice=False,
        store=vectors_store, reads=["frames", "sound"], batch_size=8,
    )  # fmt: skip
    fit(RECIPES["gan"], module)
    module.setup("test")
    before = features()
    assert {path.parts[-3] for path in before} >= {"audio", "paired"}
    assert {path.parts[-3] for path in before - stored} <= {"audio", "paired"}  # other tests share the store
    for inputs in ("paper", "faces", "sound", "both"):
        cell("gan", 14, inputs=inputs)
    assert features() == before


def test_other_weights_of_embeddings_are_other_cells(source, image_weights, monkeypatch):
    monkeypatch.setattr(classifiers, "feature_seconds", lambda *_: COSTS)
    monkeypatch.setattr(classifiers, "STEPS", 4)
    other = replace(source, options=(("image_model", str(image_weights)),))
    made = [classifier_experiments(each, ["faces"])["classify faces"] for each in (source, source, other)]
    cells = [Cell("classify faces", "lstm", 14, 0)] * 3
    keys = [recipe_key(experiment.recipe(cell)) for experiment, cell in zip(made, cells, strict=True)]
    assert keys[0] == keys[1] != keys[2]
    assert image_weights.name not in str(
        made[2].recipe(cells[0])["settings"]
    )  # no path: the digest of the data has them
    named = f"faces embedded by mine ({weights_digest('image', image_weights)[:8]})"
    assert named in made[2].source
    found, width = made[2].compute("lstm", 14, 0), embedding_width(image_weights)
    assert f"{named}, tested on ravdess-3" in found["data"]
    assert found["params"] == 4 * 64 * (width + 64 + 2) + 7 * 65


@pytest.mark.parametrize("model", ["rnn", "gan"])
def test_metrics_are_those_of_the_predictions(cell, monkeypatch, model):
    target = np.array([0, 0, 0, 3, 3, 6])
    probabilities = np.full((6, 7), 0.1)
    probabilities[np.arange(6), [0, 0, 3, 3, 2, 3]] = 0.4
    monkeypatch.setattr(classifiers, "predict_all", lambda *_: (probabilities, target))
    found = cell(model, 14)
    assert found["precision"] == pytest.approx((1 + 1 / 3 + 0) / 3)  # a class that is never predicted counts 0
    assert found["recall"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["n_test"] == 6


def test_a_cell_repeats_itself(cell):
    one, other = cell("rnn", 14), cell("rnn", 14)
    assert one["rmse"] == other["rmse"]
    assert one["rmse"] != cell("rnn", 14, seed=1)["rmse"]


def test_more_clips_than_there_are(cell):
    with pytest.raises(VidferError, match="99 training clips are asked for, and there are 32"):
        cell("rnn", 99)
