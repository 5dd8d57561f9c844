import json
import subprocess
import sys

import pytest
import torch

from vidfer.models.backbone import build_backbone
from vidfer.types import VidferError
from vidfer.weights import files
from vidfer.weights.files import (
    SHIPPED,
    embedding_width,
    find_weights,
    read_calibration,
    save_weights,
    weights_digest,
    weights_folder,
)


@pytest.fixture
def card():
    return {"kind": "image", "arch": "compact", "arguments": {"in_chans": 1}, "preprocessing": {"image_size": 48}}


@pytest.fixture
def saved(tmp_path, card):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.arange(3.0)}, card)
    return path


def test_what_is_saved_comes_back(saved):
    weights = find_weights("image", str(saved))
    assert torch.equal(weights.tensors()["a"], torch.arange(3.0))
    assert weights.card["arguments"] == {"in_chans": 1}


def test_the_digest_follows_bytes_and_decisive_entries_only(saved, card, tmp_path):
    digest = weights_digest("image", saved)
    other = tmp_path / "elsewhere.safetensors"
    save_weights(other, {"a": torch.arange(3.0)}, {**card, "note": "says something else"})
    assert weights_digest("image", other) == digest
    save_weights(other, {"a": torch.arange(3.0)}, {**card, "preprocessing": {"image_size": 32}})
    assert weights_digest("image", other) != digest
    save_weights(other, {"a": torch.arange(3.0) + 1}, card)
    assert weights_digest("image", other) != digest


def test_the_digest_does_not_import_torch(saved):
    code = (
        "import sys; from vidfer.weights.files import weights_digest; "
        f"weights_digest('image', {str(saved)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["happy", "sad"]}, "needed, in this order"),
        ({"kind": "audio"}, "of kind 'audio'"),
        ({"arch": None}, "has None for arch"),
    ],
)
def test_cards_that_describe_something_else(saved, change, message):
    place = saved.with_suffix(".json")
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    with pytest.raises(VidferError, match=message):
        find_weights("image", saved)


def test_faults_are_named(saved, tmp_path):
    place = saved.with_suffix(".json")
    text = place.read_text()
    place.write_text("{")
    with pytest.raises(VidferError, match="cannot be read"):
        find_weights("image", saved)
    place.write_text("{}")
    with pytest.raises(VidferError, match="lacks kind"):
        find_weights("image", saved)
    place.unlink()
    with pytest.raises(VidferError, match="has no card"):
        find_weights("image", saved)
    place.write_text(text)
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(VidferError, match="is not the file"):
        find_weights("image", saved).tensors()
    with pytest.raises(VidferError, match="no weights file"):
        find_weights("image", tmp_path / "none.safetensors")


def test_names_are_looked_up_in_the_package_first_then_among_pulled_ones(saved, card, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path))
    save_weights(tmp_path / "compact.safetensors", {"a": torch.zeros(1)}, card)
    assert find_weights("image", "compact").path.parent != tmp_path
    assert find_weights("image", "w").path == saved
    assert weights_digest("image", "w") == weights_digest("image", saved)
    saved.with_suffix(".json").unlink()
    with pytest.raises(VidferError, match="has no card"):
        find_weights("image", "w")


def test_pulled_weights_lie_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("VIDFER_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "vidfer-weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert weights_folder() == tmp_path / "home/.cache/vidfer-weights"


def test_a_timm_name_without_weights_gets_the_remedy():
    with pytest.raises(VidferError, match=r"backbone=NAME.*exported .safetensors"):
        find_weights("image", "inception_resnet_v2")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SHIPPED.items() for name in names])
def test_shipped_weights_are_small_measured_and_described(kind, name):
    weights = find_weights(kind, name)
    assert weights.path.stat().st_size <= 8_000_000
    weights.tensors()
    for entry in ("data", "recipe", "licence", "intended_use", "prohibited_use"):
        assert weights.card[entry]
    if kind == "detector":
        return  # not trained here: tests/inference/test_mtcnn.py holds it against facenet-pytorch
    assert weights.card["metrics"]
    for measured in weights.card["metrics"]:
        if kind == "denoise":
            assert measured["n"] > 100
            assert measured["psnr"] > measured["psnr_noisy"] + 5
            continue
        if kind == "occlusion":
            assert measured["n"] > 1000
            assert 0.9 < measured["auc_low"] < measured["auc"] < measured["auc_high"] < 1
            continue
        low, high = measured["accuracy_ci95"]
        assert low < measured["accuracy"] < high
        assert measured["n"] == sum(map(sum, measured["confusion"]))


def test_what_ships_stays_small():
    folder = find_weights("image", "compact").path.parent
    assert sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) < 16_000_000


def test_gan_sgdma_ships_for_sound_and_faces_without_its_generator():
    for kind, name in (("audio", "gan_sound"), ("faces", "gan_faces")):
        weights = find_weights(kind, name)
        assert weights.card["arch"] == "gan"
        assert weights.card["recipe"]["task"]["optimizer"] == "sgdma"
        assert not [each for each in weights.tensors() if each.startswith("generator")]
        assert read_calibration(weights) is not None
    assert weights.card["preprocessing"]["image_weights"] == weights_digest("image", "compact")


def test_weights_that_cannot_be_read_are_named(saved, monkeypatch):
    def fail(path, most):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "read_bounded", fail)
    for read in (weights_digest, lambda kind, path: find_weights(kind, path).read()):
        with pytest.raises(VidferError, match=r"w.safetensors cannot be read: Permission denied"):
            read("image", saved)


@pytest.mark.parametrize(("name", "width"), [("compact", None), ("test_resnet", None), ("inception_resnet_v2", 1536)])
def test_the_embedding_s_width_is_what_the_network_embeds(name, width, tmp_path, card):
    network = build_backbone(name, in_chans=1).eval()
    path = tmp_path / "w.safetensors"
    save_weights(path, network.state_dict(), card | {"arch": name})
    edge = 299 if width else 32
    with torch.inference_mode():
        found = network.embed(torch.zeros(1, 1, edge, edge)).shape[1]
    assert embedding_width(path) == found
    assert found == (width or found)


def test_the_embedding_s_width_needs_a_last_layer_and_no_torch(saved):
    with pytest.raises(VidferError, match="no linear layer"):
        embedding_width(saved)
    saved.write_bytes(b"nonsense")
    with pytest.raises(VidferError, match="no safetensors file"):
        embedding_width(saved)
    code = (
        "import sys; from vidfer.weights.files import embedding_width; "
        "sys.exit(embedding_width('compact') != 128 or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
