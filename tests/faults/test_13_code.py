"""Files that hold code where data is expected: none of it runs, and a sentence says that the file is not taken."""

import io
import json
import pickle
import stat
import tarfile

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from blake3 import blake3
from onnx import TensorProto, helper

from tests.faults.payloads import PAYLOADS, Payload, objects, pickled, torch_file, with_digest, zipped
from vidfer.api.manifest_file import open_manifest
from vidfer.cli.main import main
from vidfer.datasets.div2k import unpack
from vidfer.inference.network import open_network
from vidfer.inference.onnx_networks import OnnxNetwork
from vidfer.media.decode import probe
from vidfer.models.preprocess import Preprocessing
from vidfer.pipeline.engines.slurm_shard import Statuses
from vidfer.results.study import read_study
from vidfer.tasks.checkpoints import AtomicCheckpointIO
from vidfer.training.config import read_configuration
from vidfer.training.sweep import read_sweep
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.bundles import read_bundle
from vidfer.weights.files import find_weights
from vidfer.weights.hub import fetch, read_registry
from vidfer.weights.published import read_torch


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it-ran"


def weights(tmp_path, data, **card):
    """Weights of any bytes, with a card that their digest fits."""
    path = tmp_path / "mine.safetensors"
    path.write_bytes(data)
    facts = {"kind": "image", "arch": "compact", "arguments": {"in_chans": 1}, "classes": list(EMOTIONS)}
    facts |= {"preprocessing": Preprocessing().as_card(), "blake3": blake3(data).hexdigest(), **card}
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def test_the_payloads_would_run(marker):
    for make in (pickled, torch_file, objects):
        data = make(marker)
        if make is objects:
            np.load(io.BytesIO(data), allow_pickle=True)
        elif make is pickled:
            pickle.loads(data)
        else:
            torch.load(io.BytesIO(data), weights_only=False)
        assert marker.exists()
        marker.unlink()


def as_checkpoint(path):
    AtomicCheckpointIO().load_checkpoint(path)


def as_checkpoint_with_its_digest(path):
    path.write_bytes(with_digest(path.read_bytes()))
    AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


def as_archive(path):
    unpack(path, path.with_name("part"), ["1.png"])


def as_archived_weights(path):
    inside = path.read_bytes()
    zipped(
        path, [("mine/version", b"3\n", 0o644), ("mine/data.pkl", inside, 0o644), ("mine/byteorder", b"little", 0o644)]
    )
    as_torch_weights(path)


def as_torch_weights(path):
    read_torch(path)


def as_weights(path):
    found = find_weights("image", weights(path.parent, path.read_bytes()))
    open_network(found)


def as_tensors(path):
    find_weights("image", weights(path.parent, path.read_bytes())).tensors()


def as_model_of_that_name(path):
    find_weights("image", path.rename(path.with_suffix(".pt")))


def as_card(path):
    place = weights(path.parent, b"x")
    place.with_suffix(".json").write_bytes(path.read_bytes())
    find_weights("image", place)


def as_bundle(path):
    path.rename(path.with_name("bundle.json"))
    read_bundle(path.parent)


def as_registry(path):
    read_registry(str(path))


def as_clip(path):
    probe(path)


def as_participants(path):
    read_study([(path, {})])


def as_manifest(path):
    open_manifest(path)


def as_parquet(path):
    open_manifest(path.rename(path.with_suffix(".parquet")))


def as_status_of_slurm(path):
    place = path.rename(path.with_name("statuses.1"))
    place.write_bytes(place.read_bytes().replace(b"\n", b" ") + b"\n")
    list(Statuses(place.with_name("statuses")).read())


def as_pipeline(path):
    read_configuration(path, [])


def as_sweep(path):
    read_sweep(path)


READERS = (
    *(
        as_checkpoint,
        as_checkpoint_with_its_digest,
        as_archive,
        as_archived_weights,
        as_torch_weights,
        as_weights,
        as_tensors,
        as_model_of_that_name,
        as_card,
        as_bundle,
        as_registry,
    ),
    *(as_clip, as_participants, as_manifest, as_parquet, as_status_of_slurm, as_pipeline, as_sweep),
)


REFUSED: set[tuple[str, object]] = set()
"""The kinds of code and the readers that have refused them in this run."""


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_pickled_code_never_runs(read, kind, tmp_path, marker):
    folder = tmp_path / "given"
    folder.mkdir()
    path = folder / "file"
    path.write_bytes(PAYLOADS[kind](marker))
    with pytest.raises(VidferError) as refused:
        read(path)
    assert str(refused.value)
    assert not marker.exists()
    REFUSED.add((kind, read))


YAML = "!!python/object/apply:os.system [\"touch '{}'\"]"


def as_part_of_a_pipeline(path):
    outer = path.with_name("outer.yaml")
    outer.write_text(f"name: x\nclassify:\n  config: {path.name}\n")
    read_configuration(outer, [])


def as_base_of_a_pipeline(path):
    outer = path.with_name("outer.yaml")
    outer.write_text(f"base: {path.name}\n")
    read_configuration(outer, [])


def as_value_of_a_setting(path):
    inner = path.with_name("inner.yaml")
    inner.write_text("name: x\n")
    read_configuration(inner, [f"classify={path.read_text()}"])


@pytest.mark.parametrize(
    "read",
    [as_pipeline, as_sweep, as_part_of_a_pipeline, as_base_of_a_pipeline, as_value_of_a_setting],
    ids=lambda read: read.__name__,
)
@pytest.mark.parametrize("text", [YAML, f"name: {YAML}", f"name: x\nclassify:\n  config: {YAML}\n"])
def test_tags_of_yaml_never_run(read, text, tmp_path, marker):
    path = tmp_path / "x.yaml"
    path.write_text(text.format(marker))
    with pytest.raises(VidferError, match=r"could not determine a constructor|is no value of YAML"):
        read(path)
    assert not marker.exists()


def test_options_of_a_file_name_no_classes_and_run_nothing(tmp_path, marker, capsys):
    for text in (f"out: {YAML}", "out: {{class_path: os.system, init_args: {{command: touch {}}}}}"):
        path = tmp_path / "x.yaml"
        path.write_text(text.format(marker))
        with pytest.raises(SystemExit) as ended:
            main(["analyze", "clip.mp4", "--config", str(path)])
        assert ended.value.code == 2
        assert not marker.exists()


@pytest.fixture
def evil(tmp_path, monkeypatch, marker):
    """A module whose import writes the marker."""
    (tmp_path / "evil_module.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "evil_module.Net"


@pytest.mark.parametrize("kind", ["image", "audio", "fusion", "faces"])
def test_a_class_that_a_card_names_is_not_imported(kind, tmp_path, evil, marker, monkeypatch):
    monkeypatch.delenv("VIDFER_CLASSIFIERS", raising=False)
    from safetensors.numpy import save

    (tmp_path / "evil.pt").write_bytes(torch_file(marker))
    (tmp_path / "evil.safetensors").write_bytes(pickled(marker))
    timm = [
        {"arch": "test_resnet", "arguments": {"pretrained": str(tmp_path / f"evil.{end}")}}
        for end in ("pt", "safetensors")
    ]
    for entry in ({"arch": evil}, {"arguments": {"class_path": evil}}, *timm):
        path = weights(tmp_path, save({"x": np.zeros(1, np.float32)}), kind=kind, **entry)
        with pytest.raises(VidferError):
            open_network(find_weights(kind, path))
        assert not marker.exists()


def graph(*, domain="", location=None):
    """A graph of one addition, perhaps of an operator of someone's own, or with a tensor in a file beside it."""
    tensor = helper.make_tensor("b", TensorProto.FLOAT, [1], [1.0])
    if location is not None:
        tensor = TensorProto(name="b", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=str(location))
        tensor.external_data.add(key="length", value="4")
    node = helper.make_node("Add" if not domain else "Run", ["a", "b"], ["c"], domain=domain)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ac"]
    made = helper.make_graph([node], "g", ends[:1], ends[1:], [tensor])
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid(domain, 1), helper.make_opsetid("", 17)]
    ).SerializeToString()


def test_a_graph_reads_no_other_file_and_has_no_operators_of_its_own(tmp_path, monkeypatch):
    assert onnx.load_from_string(graph()).graph.node[0].op_type == "Add"
    (tmp_path / "canary").write_bytes(np.float32(7).tobytes())
    monkeypatch.chdir(tmp_path)
    for location in (tmp_path / "canary", "canary", "../canary", f"./{tmp_path.name}/../canary"):
        with pytest.raises(VidferError, match="cannot use the graph"):
            OnnxNetwork(graph(location=location), {})
    with pytest.raises(VidferError, match="cannot use the graph"):
        OnnxNetwork(graph(domain="evil"), {})


def test_extension_types_of_parquet_are_not_unpickled(tmp_path, marker):
    extra = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload(marker)),
    }
    schema = pa.schema(
        [pa.field("path", pa.string(), metadata=extra)], metadata={b"pandas": pickle.dumps(Payload(marker))}
    )
    pq.write_table(pa.table({"path": ["a.mp4"]}, schema=schema), tmp_path / "m.parquet")
    assert next(open_manifest(tmp_path / "m.parquet").parts(5))["clip_id"].to_pylist() == ["a.mp4"]
    assert not marker.exists()


@pytest.mark.parametrize(
    "further",
    [
        ("../outside", b"x", 0o644),
        ("/tmp/outside", b"x", 0o644),
        ("part/../../outside", b"x", 0o644),
        ("part/link", b"/etc/passwd", stat.S_IFLNK | 0o777),
    ],
)
def test_an_archive_with_other_members_is_not_unpacked(further, tmp_path):
    zipped(tmp_path / "a.zip", [("part/1.png", b"x", 0o644), further])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(VidferError, match="not the archive expected"):
        unpack(tmp_path / "a.zip", tmp_path / "part", ["1.png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_member_of_an_archive_is_a_plain_file_whatever_its_mode(tmp_path):
    zipped(tmp_path / "a.zip", [("part/1.png", b"/etc/passwd", stat.S_IFLNK | stat.S_ISUID | 0o7777)])
    unpack(tmp_path / "a.zip", tmp_path / "part", ["1.png"])
    found = (tmp_path / "part/1.png").lstat()
    assert stat.S_ISREG(found.st_mode)
    assert not found.st_mode & (stat.S_ISUID | stat.S_IXUSR)


def test_a_bomb_and_another_kind_of_archive_are_refused(tmp_path):
    zipped(tmp_path / "bomb.zip", [("part/1.png", bytes(10_000_000), 0o644)])
    with tarfile.open(tmp_path / "tar.zip", "w") as package:
        package.add(__file__, "part/1.png")
    for name in ("bomb.zip", "tar.zip"):
        with pytest.raises(VidferError):
            unpack(tmp_path / name, tmp_path / "part", ["1.png"])
        assert not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://example.org/x", "/etc/passwd", "data:,x", "github:owner/repo"]
)
def test_addresses_are_http_or_nothing(address, tmp_path):
    with pytest.raises(VidferError, match="no address"):
        fetch(address, tmp_path / "x")
    with pytest.raises(VidferError):
        find_weights("image", f"{address}.pt")
    assert not list(tmp_path.iterdir())


def test_what_was_tried(figure):
    kinds, readers = ({each[part] for each in REFUSED} for part in (0, 1))
    pairs = f"{len(REFUSED)} of {len(PAYLOADS) * len(READERS)} pairs"
    figure(f"{pairs} of {len(kinds)} kinds of pickled code and {len(readers)} readers: refused in a sentence, none ran")
