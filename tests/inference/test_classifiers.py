"""Classifiers as functions of arrays, against their networks on the batches that training makes."""

import numpy as np
import pytest
import torch

from vidfer.datamodules.features import Sample, collate_clips
from vidfer.inference.classifiers import AudioModel, FacesModel, FusionModel
from vidfer.inference.torch_networks import deciding_logits
from vidfer.models.classifiers import build_classifier
from vidfer.types import VidferError
from vidfer.weights.files import save_weights

LENGTHS = {"num_frame_features": 5, "num_sound_features": 6}


@pytest.fixture
def save(tmp_path):
    """Save an untrained classifier as weights; return its file, and the network with random statistics."""

    def make(kind, name, **arguments):
        torch.manual_seed(0)
        network = build_classifier(name, arguments).eval()
        for key, buffer in network.named_buffers():
            if key.endswith(("mean", "std", "running_var")):
                buffer.uniform_(0.5, 1.5)
        card = {"kind": kind, "arch": name, "arguments": arguments, "preprocessing": {"image_weights": "these"}}
        path = tmp_path / f"{name}.safetensors"
        save_weights(path, network.state_dict(), card)
        return path, network

    return make


def predict(network, **features):
    """Predict one clip by the batch that a data module would make."""
    with torch.no_grad():
        return network(collate_clips([Sample("x", None, -1, features)]))[0].numpy()


def test_sound_models_standardise_by_themselves(tmp_path):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(50, 6)) * 10.0 ** np.arange(6) + 5).astype(np.float32)
    arguments = {"num_sound_features": 6, "hidden": 8, "members": 2}
    network = build_classifier("mlp", arguments)
    network.standardise.fit(torch.from_numpy(vectors))
    card = {"kind": "audio", "arch": "mlp", "arguments": arguments}
    save_weights(tmp_path / "s.safetensors", network.state_dict(), {**card, "preprocessing": {}})
    logits = AudioModel(tmp_path / "s.safetensors")(vectors)
    with torch.no_grad():
        scaled = torch.from_numpy(((vectors - vectors.mean(0)) / vectors.std(0)).clip(-5, 5))
        probability = sum(member.eval()(scaled).softmax(1) for member in network.members) / 2
    np.testing.assert_allclose(np.exp(logits), probability, atol=1e-5)


def test_the_fusion_model_predicts_as_its_network_does(tmp_path):
    torch.manual_seed(0)
    network = build_classifier("fusion", {"num_frame_features": 5, "num_sound_features": 6, "hidden": 8}).eval()
    card = {
        "kind": "fusion",
        "arch": "fusion",
        "arguments": {"num_frame_features": 5, "num_sound_features": 6, "hidden": 8},
    }
    save_weights(tmp_path / "f.safetensors", network.state_dict(), {**card, "preprocessing": {}})
    faces, sound = np.random.default_rng(0).normal(size=(4, 5)), np.random.default_rng(1).normal(size=(2, 6))
    logits, gates = FusionModel(tmp_path / "f.safetensors")(faces.astype(np.float32), sound.astype(np.float32))
    batch = {
        "target": torch.tensor([-1]),
        "frames": torch.tensor(faces[None]).float(), "frame_mask": torch.ones(1, 4).bool(),
        "sound": torch.tensor(sound[None]).float(), "sound_mask": torch.ones(1, 2).bool(),
    }  # fmt: skip
    with torch.no_grad():
        np.testing.assert_allclose(logits, network(batch)[0].numpy(), atol=1e-6)
    assert ((gates > 0) & (gates < 2)).all()


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_a_recurrent_network_predicts_each_window_from_all_so_far(save, name):
    path, network = save("audio", name, modality="sound", num_sound_features=6, hidden=4)
    vectors = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    expected = [predict(network, sound=torch.tensor(vectors[: end + 1])) for end in range(7)]
    model = AudioModel(path)
    np.testing.assert_allclose(model(vectors), expected, atol=1e-6)
    assert model.sequential
    np.testing.assert_allclose(deciding_logits(network, vectors), expected[-1:], atol=1e-6)


def test_windows_of_other_networks_do_not_know_of_each_other(save):
    path, network = save("audio", "gan", modality="sound", num_sound_features=6, hidden=4)
    vectors = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    model = AudioModel(path)
    assert not model.sequential
    np.testing.assert_allclose(model(vectors)[2:4], model(vectors[2:4]), atol=1e-6)
    np.testing.assert_array_equal(deciding_logits(network, vectors), model(vectors))


@pytest.mark.parametrize("name", ["linear", "mlp", "gan", "dbn", "lstm", "rnn", "cnn", "rcnn"])
def test_faces_are_predicted_as_in_training(save, name):
    pixels = name in ("cnn", "rcnn")
    path, network = save("faces", name, **({} if pixels else {"modality": "frames", "num_frame_features": 5}))
    rng = np.random.default_rng(0)
    faces = {
        "frames": rng.normal(size=(4, 5)).astype(np.float32),
        "image": rng.integers(0, 256, (4, 48, 48), dtype=np.uint8),
        "landmarks": rng.uniform(0.3, 0.7, (4, 5, 2)).astype(np.float32),
    }
    read = ("image", "landmarks") if pixels else ("frames",)
    model = FacesModel(path)
    expected = predict(network, **{key: torch.from_numpy(faces[key]) for key in read})
    np.testing.assert_allclose(model(faces), expected, atol=1e-6)
    assert np.ptp(expected) > 1e-3
    assert model.reads == read[:1]


@pytest.mark.parametrize("name", ["linear", "mlp", "gan", "dbn"])
def test_a_fusion_model_without_gates_predicts_as_its_network_does(save, name):
    path, network = save("fusion", name, modality="both", **LENGTHS)
    faces, sound = (np.random.default_rng(0).normal(size=size).astype(np.float32) for size in ((4, 5), (2, 6)))
    logits, gates = FusionModel(path)(faces, sound)
    expected = predict(network, frames=torch.from_numpy(faces), sound=torch.from_numpy(sound))
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert gates is None


def test_a_network_that_reads_something_else_is_refused(save):
    path, _ = save("faces", "gan", modality="sound")
    with pytest.raises(VidferError, match="names a network that reads sound: no faces model"):
        FacesModel(path)


def test_embeddings_of_unknown_weights_are_refused(tmp_path):
    network = build_classifier("gan", {"modality": "frames"})
    card = {"kind": "faces", "arch": "gan", "arguments": {"modality": "frames"}, "preprocessing": {}}
    save_weights(tmp_path / "g.safetensors", network.state_dict(), card)
    with pytest.raises(VidferError, match="names no image weights"):
        FacesModel(tmp_path / "g.safetensors")
