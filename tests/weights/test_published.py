import hashlib
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from vidfer.cli.main import main
from vidfer.types import VidferError
from vidfer.weights import published
from vidfer.weights.files import find_weights
from vidfer.weights.published import IDENTITY, PUBLISHED, identity_digest, pull_published

STATE = {"last.weight": torch.arange(6.0).reshape(2, 3), "logits.weight": torch.ones(2), "logits.bias": torch.ones(1)}


@pytest.fixture
def offered(lab, tmp_path, monkeypatch):
    """Publish a torch file in the place of the real one; what is given is saved, or bytes as they are."""

    def offer(content):
        path = tmp_path / "made.pt"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        data = lab.files["/it.pt"] = path.read_bytes()
        sha256 = {published.TORCH: hashlib.sha256(data).hexdigest()}
        entry = replace(PUBLISHED[IDENTITY], url=f"{lab.base}/it.pt", size=len(data), sha256=sha256)
        monkeypatch.setitem(PUBLISHED, IDENTITY, entry)
        return entry

    return offer


def pull(entry):
    return pull_published(entry, lambda name: nullcontext(lambda done, total: None))


def test_a_published_torch_file_becomes_weights_with_a_card(offered, tmp_path, capsys):
    entry = offered(STATE)
    assert identity_digest() is None
    assert main(["weights", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["identity", "identity", f"{entry.size / 1000:.1f}", "kB", "to", "be", "pulled", "MIT"] in [
        row[:8] for row in rows
    ]
    assert main(["weights", "pull", "identity"]) == 0
    assert "use them by --identify" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == [
        "identity.json",
        "identity.onnx",
        "identity.safetensors",
    ]
    weights = find_weights(IDENTITY, IDENTITY)
    assert weights.card["origin"] == {"url": entry.url, "sha256": entry.sha256[".pt"]}
    assert {name: tensor.tolist() for name, tensor in weights.tensors().items()} == {
        "last.weight": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]  # without the names of the training set's people
    }
    assert len(identity_digest()) == 64
    assert main(["weights", "verify", "identity"]) == 0
    weights.path.write_bytes(weights.path.read_bytes()[:-1] + b"!")
    assert main(["weights", "verify", "identity"]) == 1
    said = capsys.readouterr().out
    assert "delete what is wrong and fetch it again: vidfer weights pull identity\n" in said


def test_weights_that_are_here_are_not_fetched_again(offered, lab):
    first = pull(offered(STATE)).read()
    asked = len(lab.requests)
    assert pull(PUBLISHED[IDENTITY]).read() == first
    assert len(lab.requests) == asked


class Evil:
    def __reduce__(self):
        return (print, ("code of the file was run",))


@pytest.mark.parametrize("content", [{"a": Evil()}, [1, 2], {"a": "text"}, b"no torch file"])
def test_a_file_that_holds_anything_else_than_tensors_is_refused(content, offered, tmp_path, capsys):
    with pytest.raises(VidferError, match=r"identity.pt holds no .*delete it and fetch it again|broke off"):
        pull(offered(content))
    assert "code of the file was run" not in capsys.readouterr().out
    assert identity_digest() is None


def test_another_file_than_the_published_one_is_refused(offered, tmp_path):
    entry = offered(STATE)
    with pytest.raises(VidferError, match="another sha256"):
        pull(replace(entry, sha256={".pt": "0" * 64}))
    assert list((tmp_path / "pulled").iterdir()) == []


def test_the_published_file_is_the_one_that_facenet_pytorch_names():
    from pathlib import Path

    import facenet_pytorch

    source = Path(facenet_pytorch.__file__).parent / "models/inception_resnet_v1.py"
    assert f"path = '{PUBLISHED[IDENTITY].url}'" in source.read_text()
