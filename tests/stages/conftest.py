"""A store, artifacts made by hand, and denoisers whose result is known by hand."""

import numpy as np
import pytest
import torch

from tests.stages.made import times_file
from vidfer.inference import network
from vidfer.media.align import CENTRAL, CROP, TEMPLATE
from vidfer.models.generator import Generator
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.store import Store
from vidfer.stages.faces import LANDMARKS
from vidfer.types import Status
from vidfer.weights.files import save_weights, weights_digest

MEASURES = ("x0", "y0", "x1", "y1", "score", "blur", "size", "yaw", "pitch", "roll", "noise_sigma")
MEASURES += ("brightness", "contrast", "overexposed", "eyes_covered", "mouth_covered", "outside")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def artifact(store):
    def make(stage, files=None, status=Status.OK, message="", meta=None):
        recipe = {
            "stage": stage,
            "version": 1,
            "params": {},
            "tools": {},
            "inputs": {},
            "source": "s",
            "at": str(status),
        }
        with store.draft(stage, recipe_key(recipe)) as draft:
            for name, data in (files or {}).items():
                draft.write(name, data) if isinstance(data, bytes) else draft.write_arrays(name, data)
            return store.publish(draft.seal(recipe, status=status, message=message, meta=meta))

    return make


@pytest.fixture
def loaded(monkeypatch):
    """Let stages load these models, by kind, instead of real ones."""
    given = {}
    real = network.load_model
    monkeypatch.setattr(
        network, "load_model", lambda model, *rest: given[model.kind] if model.kind in given else real(model, *rest)
    )
    return given


@pytest.fixture
def ran(store):
    """Run a stage over inputs and return its artifact."""

    def run(stage, inputs):
        recipe = stage.recipe("s", {name: inputs[name].key for name in stage.inputs})
        with store.draft(stage.name, recipe_key(recipe)) as draft:
            outcome = stage.run(None, inputs, draft, lambda _share: None)
            return store.publish(draft.seal(recipe, status=outcome.status, message=outcome.message, meta=outcome.meta))

    return run


@pytest.fixture
def faces(artifact):
    """Make an artifact of stage `faces`: a row for each sigma, with crops of noise, magnified by a given factor."""

    def make(sigmas, *, magnified=1.0, shard=256, denoised=None, **columns):
        count = len(sigmas)
        crops = np.random.default_rng(0).integers(0, 256, (count, CROP, CROP, 3), dtype=np.uint8)
        points = np.array(TEMPLATE) * CENTRAL / np.broadcast_to(magnified, (count,))[:, None, None]
        table = {"frame": np.arange(count), "time_s": np.arange(count) / 5, "track": np.zeros(count, int)}
        table.update({name: np.ones(count) for name in (*MEASURES, "weight")}, noise_sigma=np.array(sigmas, float))
        table["flaws"] = np.full(count, "", object)
        for index, name in enumerate(LANDMARKS):
            table[f"{name}_x"], table[f"{name}_y"] = points[:, index, 0], points[:, index, 1]
        files = {"faces.parquet": to_parquet({**table, **columns})}
        files["times.parquet"] = times_file(table["frame"], table["time_s"])
        for number, start in enumerate(range(0, count, shard)):
            files[f"crops-{number:05}.safetensors"] = {"crops": crops[start : start + shard]}
        if denoised is not None:
            files["denoised-00000.safetensors"] = denoised(crops)
        return artifact("faces", files, meta={"frames": count, "faces": count}), crops

    return make


@pytest.fixture
def save_denoiser(tmp_path):
    """Save a tiny generator that adds the same to every pixel, on the scale 0-255; return its file and digest."""

    def save(name="identity", added=0.0):
        torch.manual_seed(0)
        network = Generator("tiny", norm="none")
        for weight in network.tail.parameters():
            weight.data.zero_()
        network.tail.bias.data.fill_(added / 127.5)
        path = tmp_path / f"{name}.safetensors"
        card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny", "norm": "none"}}
        save_weights(path, network.state_dict(), {**card, "preprocessing": {"range": [-1, 1]}})
        return str(path), weights_digest("denoise", path)

    return save
