from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from vidfer.inference import torch_networks
from vidfer.inference.identity import IdentityModel
from vidfer.inference.network import Compute
from vidfer.types import VidferError
from vidfer.weights import files as weights_files
from vidfer.weights.files import find_weights, save_weights
from vidfer.weights.published import _CARD, IDENTITY, read_torch


def crops(count):
    noise = np.random.default_rng(0).integers(0, 256, (count, 160, 160, 3), np.uint8)
    return torch.from_numpy(np.stack([cv2.GaussianBlur(image, (0, 0), 3) for image in noise]))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Random weights of the real network, as facenet-pytorch publishes such weights: with the layer of VGGFace2's people."""
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    network = InceptionResnetV1().train()
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    with torch.no_grad():  # statistics of some faces, so that the embeddings of random weights differ at all
        network((crops(4).permute(0, 3, 1, 2).float() - 127.5) / 128)
    network.eval()
    torch.save(
        {**network.state_dict(), "logits.weight": torch.zeros(3, 512), "logits.bias": torch.zeros(3)}, folder / "p.pt"
    )
    save_weights(folder / "identity.safetensors", read_torch(folder / "p.pt"), _CARD)
    return folder / "identity.safetensors", network


def test_embeddings_are_those_of_facenet_pytorch(published):
    path, network = published
    images = crops(2).numpy()
    found = IdentityModel(str(path))(images)
    inner = images[:, 8:152, 8:152].astype(np.float32)
    seen = np.stack([cv2.resize(image, (160, 160), interpolation=cv2.INTER_LINEAR) for image in inner])
    with torch.inference_mode():
        expected = network((torch.from_numpy(seen).permute(0, 3, 1, 2).float() - 127.5) / 128).numpy()
    assert (found.shape, found.dtype) == ((2, 512), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    alike = found @ expected.T
    assert (np.diag(alike) > 1 - 1e-5).all()
    assert (alike[[0, 1], [1, 0]] < 1 - 1e-3).all()  # random weights tell little apart


def save(path, network, **card):
    save_weights(path, network.state_dict(), {**_CARD, "arch": "tiny", **card})
    return str(path)


def test_weights_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(
        torch_networks.IDENTITY_NETWORKS, "tiny", lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    )
    plain = nn.Sequential()
    assert IdentityModel(save(tmp_path / "a.safetensors", plain))(np.zeros((3, 160, 160, 3), np.uint8)).shape == (3, 12)
    with pytest.raises(VidferError, match="describes a network that this version cannot build: 'other'"):
        IdentityModel(save(tmp_path / "b.safetensors", plain, arch="other"))
    with pytest.raises(VidferError, match="cannot build: 'crop'"):
        IdentityModel(save(tmp_path / "c.safetensors", plain, preprocessing={}))
    with pytest.raises(VidferError, match=r"does not fit a network 'tiny'"):
        IdentityModel(save(tmp_path / "d.safetensors", nn.Linear(1, 1)))
    monkeypatch.setitem(
        torch_networks.IDENTITY_NETWORKS, "tiny", lambda: nn.Sequential(nn.Flatten(), nn.Threshold(9, float("nan")))
    )
    with pytest.raises(VidferError, match="not finite"):
        IdentityModel(save(tmp_path / "e.safetensors", plain))(np.zeros((1, 160, 160, 3), np.uint8))
    assert IDENTITY == "identity"


def test_the_graph_of_published_weights_ships(published, tmp_path):
    path, _ = published
    graph = (Path(weights_files.__file__).parent / "identity.onnx").read_bytes()
    save_weights(tmp_path / "identity.safetensors", find_weights(IDENTITY, path).tensors(), _CARD, graph)
    images = crops(2).numpy()
    by_onnx = IdentityModel(str(tmp_path / "identity.safetensors"), compute=Compute(backend="onnx"))(images)
    np.testing.assert_allclose(by_onnx, IdentityModel(str(path))(images), atol=1e-4)
