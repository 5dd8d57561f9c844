"""ONNX Runtime and torch compute the same networks."""

import json

import numpy as np
import pytest
import torch
from blake3 import blake3

from vidfer.inference.classifiers import AudioModel, FacesModel
from vidfer.inference.graphs import export_graph, make_graph, write_graph
from vidfer.inference.models import ImageModel
from vidfer.inference.network import Compute, load_model, open_network
from vidfer.inference.onnx_networks import OnnxNetwork
from vidfer.inference.torch_networks import MODULES
from vidfer.models.backbone import build_backbone
from vidfer.models.classifiers import build_classifier
from vidfer.models.preprocess import Preprocessing
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import SHIPPED, find_weights, save_weights, weights_digest

TORCH, ONNX = Compute(backend="torch"), Compute(backend="onnx")
SHIPPED_NETWORKS = [(kind, name) for kind, names in SHIPPED.items() for name in names if kind in MODULES]


def given(shapes, lengths):
    random = np.random.default_rng(0)
    sizes = {name: [lengths.get(each, each) for each in shape] for name, shape in shapes.items()}
    return {name: random.normal(size=size).astype(np.float32) for name, size in sizes.items()}


IMAGES = {"images": 2, "height": 19, "width": 15}


def require_same(
    weights,
    lengths=(
        {"faces": 1, "windows": 1, **IMAGES},
        {"faces": 2, "windows": 7, **IMAGES},
        {"faces": 33, "windows": 1, **IMAGES},
    ),
):
    by_torch, by_onnx = open_network(weights, TORCH), open_network(weights, ONNX)
    assert (by_onnx.inputs, by_onnx.outputs) == (by_torch.inputs, by_torch.outputs)
    for each in lengths:
        sizes = {"images": each["faces"], "height": 11 + each["faces"], "width": 50} | each
        arrays = given(by_torch.module.inputs, sizes)
        expected, found = by_torch(**arrays), by_onnx(**arrays)
        for output in by_torch.outputs:
            assert found[output].dtype == np.float32
            np.testing.assert_allclose(found[output], expected[output], atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("kind", "name"), SHIPPED_NETWORKS)
def test_each_shipped_network_gives_the_same_by_both(kind, name):
    require_same(find_weights(kind, name))


@pytest.mark.parametrize("name", SHIPPED["image"])
def test_convolutions_without_a_bias_are_exported_without_one(name):
    import onnx

    nodes = onnx.load_from_string(find_weights("image", name).graph()).graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert len(convolutions) > 10
    assert all(
        len(node.input) == 2 for node in convolutions
    )  # zeros would keep batch norms from being folded into them


def test_tensors_ship_once():
    for kind, name in SHIPPED_NETWORKS:
        weights = find_weights(kind, name)
        assert weights.graph_path.stat().st_size < max(0.06 * weights.path.stat().st_size, 8000)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), SHIPPED_NETWORKS)
def test_shipped_graphs_are_what_is_exported_now(kind, name):
    weights = find_weights(kind, name)
    assert export_graph(weights.card, tuple(weights.arrays())) == weights.graph()


CLASSIFIERS = [
    ("audio", "linear", {"modality": "sound", "num_sound_features": 6}, True),
    ("audio", "dbn", {"modality": "sound", "num_sound_features": 6, "hidden": 4, "layers": 2}, True),
    ("audio", "rnn", {"modality": "sound", "num_sound_features": 6, "hidden": 4}, False),
    ("faces", "lstm", {"modality": "frames", "num_frame_features": 5, "hidden": 4}, False),
    ("faces", "cnn", {"width": 4}, True),
    ("faces", "rcnn", {"width": 4}, False),
    ("fusion", "mlp", {"modality": "both", "num_frame_features": 5, "num_sound_features": 6, "hidden": 4}, True),
]


def saved(path, kind, name, arguments):
    torch.manual_seed(0)
    network = build_classifier(name, arguments).eval()
    card = {"kind": kind, "arch": name, "arguments": arguments, "preprocessing": {"image_weights": "a digest"}}
    save_weights(path, network.state_dict(), card)
    return network, find_weights(kind, path)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "arguments", "exported"), CLASSIFIERS)
def test_a_classifier_is_exported_right_or_not_at_all(tmp_path, kind, name, arguments, exported):
    weights = saved(tmp_path / "c.safetensors", kind, name, arguments)[1]
    if not exported:
        with pytest.raises(VidferError, match=r"ONNX Runtime cannot compute|cannot be exported"):
            write_graph(weights)
        assert not find_weights(kind, weights.path).has_graph
        return
    require_same(write_graph(weights))


@pytest.mark.parametrize(("kind", "name", "arguments", "_"), CLASSIFIERS)
def test_what_a_graph_is_made_of_predicts_a_clip_as_training_does(tmp_path, kind, name, arguments, _):
    network, weights = saved(tmp_path / "c.safetensors", kind, name, arguments)
    module = open_network(weights, TORCH)
    arrays = given(module.module.inputs, {"faces": 4, "windows": 3})
    batch = {key: torch.from_numpy(values)[None] for key, values in arrays.items()} | {"target": torch.tensor([-1])}
    batch |= {"frame_mask": torch.ones(1, 4).bool(), "sound_mask": torch.ones(1, 3).bool()}
    with torch.no_grad():
        np.testing.assert_allclose(module(**arrays)["log_probs"], network(batch)[0].numpy(), atol=1e-5)


def test_an_image_network_of_this_computer_is_exported_with_its_weights(tmp_path):
    torch.manual_seed(0)
    network = build_backbone("compact", heads=["fer2013", "ferplus"])
    card = {"kind": "image", "arch": "compact", "arguments": {"in_chans": 1, "heads": ["fer2013", "ferplus"]}}
    card["preprocessing"] = Preprocessing(image_size=64).as_card()
    state = network.state_dict()
    path = tmp_path / "net.safetensors"
    save_weights(path, state, card, make_graph(card, tuple(state)))  # that of the shipped network, which is the same
    require_same(find_weights("image", path), [{"faces": 3}])
    crops = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), np.uint8)
    for tta in ("none", "flip", "ten-crop"):
        by_onnx, by_torch = (ImageModel(path, compute=each)(crops, tta=tta) for each in (ONNX, TORCH))
        np.testing.assert_allclose(by_onnx[1], by_torch[1], atol=1e-4)


def test_models_give_the_same_probabilities_by_both(tmp_path):
    random = np.random.default_rng(0)
    sound, frames = random.normal(size=(6, 1582)).astype(np.float32), random.normal(size=(9, 128)).astype(np.float32)
    for model, name, given in ((AudioModel, "voice", sound), (FacesModel, "gan_faces", {"frames": frames})):
        by_onnx, by_torch = (np.exp(model(name, compute=each)(given)) for each in (ONNX, TORCH))
        np.testing.assert_allclose(by_onnx, by_torch, atol=1e-5)
        np.testing.assert_allclose(by_onnx.sum(-1), 1, atol=1e-5)


def copy(name, kind, folder):
    weights = find_weights(kind, name)
    for path in weights.files:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / weights.path.name


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    path = copy("occlusion", "occlusion", tmp_path)
    graph, card = path.with_suffix(".onnx"), path.with_suffix(".json")
    right = graph.read_bytes()
    graph.write_bytes(right[:-1] + b"x")
    with pytest.raises(VidferError, match=r"occlusion\.onnx is not the file that its card"):
        open_network(find_weights("occlusion", path), ONNX)
    for other in (find_weights("audio", "voice").graph(), b"no graph", b""):
        graph.write_bytes(other)
        card.write_text(json.dumps({**json.loads(card.read_text()), "graph": blake3(other).hexdigest()}))
        with pytest.raises(VidferError, match=r"occlusion\.onnx does not fit occlusion.*vidfer weights onnx"):
            open_network(find_weights("occlusion", path), ONNX)
    graph.unlink()
    with pytest.raises(VidferError, match=r"has no graph occlusion\.onnx beside it.*--backend torch"):
        open_network(find_weights("occlusion", path), ONNX)
    assert type(open_network(find_weights("occlusion", path))).__name__ == "TorchNetwork"


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("place", ["secret", "../secret", "{}/secret", "*/_ORT_MEM_ADDR_/*"])
def test_a_graph_reads_no_file_of_its_own(tmp_path, monkeypatch, place, constant):
    from onnx import TensorProto, helper

    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path.parent):
        (folder / "secret").write_bytes(np.ones(4, np.float32).tobytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place.format(tmp_path)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [] if constant else [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(VidferError, match="cannot use the graph") as refused:
        OnnxNetwork(model.SerializeToString(), {})
    assert "model_path must not be empty" not in str(refused.value)  # as where the file was found


def test_the_backend_is_chosen_by_what_there_is(monkeypatch):
    weights = find_weights("occlusion", "occlusion")
    assert Compute().computes_by(weights) == "onnx"
    assert TORCH.computes_by(weights) == "torch"
    with pytest.raises(UsageError, match="--device cuda needs --backend torch"):
        Compute("cuda", "onnx").require()
    with pytest.raises(UsageError, match="torch finds no CUDA device"):
        Compute("cuda").require()
    monkeypatch.setattr("vidfer.pipeline.extras.find_spec", lambda _: None)
    Compute().require()
    for compute in (TORCH, Compute("cuda")):
        with pytest.raises(VidferError, match=r"needs torch, which is not installed: pip install 'vidfer\[train\]'"):
            compute.require()


def test_a_model_is_loaded_once_for_each_backend():
    digest = weights_digest("audio", "voice")
    by_onnx = load_model(AudioModel, "voice", digest)
    assert load_model(AudioModel, "voice", digest) is by_onnx
    assert load_model(AudioModel, "voice", digest, TORCH) is not by_onnx
