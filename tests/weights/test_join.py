import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vidfer.cli.main import main
from vidfer.models.backbone import build_backbone
from vidfer.models.expression import ImageModel
from vidfer.models.preprocess import Preprocessing
from vidfer.types import VidferError
from vidfer.weights.join import join_weights
from vidfer.weights.registry import find_weights, save_weights


@pytest.fixture
def members(tmp_path):
    def write(name, arch="compact", **changes):
        torch.manual_seed(len(name))
        card = {"kind": "image", "arch": arch, "arguments": {"in_chans": 1}, "recipe": {"epochs": len(name)}}
        card["preprocessing"] = Preprocessing(**changes).as_card()
        card |= {"licence": "Apache-2.0", "metrics": [{"on": "x"}], "calibration": {"temperature": 2}}
        save_weights(tmp_path / f"{name}.safetensors", build_backbone(arch, in_chans=1).state_dict(), card)
        return tmp_path / f"{name}.safetensors"

    return write


def test_joined_weights_answer_by_the_mean(members, tmp_path, capsys):
    files = [members("a"), members("bb")]
    assert main(["weights", "join", *map(str, files), "--out", str(tmp_path / "both.safetensors")]) == 0
    assert "2 networks" in capsys.readouterr().out
    crops = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), np.uint8)
    embeddings, logits = zip(*(ImageModel(file)(crops, tta="flip") for file in files), strict=True)
    embedding, found = ImageModel(tmp_path / "both.safetensors")(crops, tta="flip")
    np.testing.assert_allclose(found, np.mean(logits, axis=0), atol=1e-5)
    np.testing.assert_allclose(embedding, np.concatenate(embeddings, axis=1), atol=1e-5)
    card = find_weights("image", tmp_path / "both.safetensors").card
    assert card["recipe"]["members"] == [{"epochs": 1}, {"epochs": 2}]
    assert card["licence"] == "Apache-2.0"
    assert not {"metrics", "calibration"} & set(card)


def test_what_does_not_belong_together_is_refused(members, tmp_path):
    one, target = members("a"), tmp_path / "out.safetensors"
    with pytest.raises(VidferError, match="differ in preprocessing"):
        join_weights([one, members("bb", crop_share=0.7)], target)
    other = members("eee")
    card = json.loads(other.with_suffix(".json").read_text())
    other.with_suffix(".json").write_text(json.dumps({**card, "data": {"source": "elsewhere"}}))
    with pytest.raises(VidferError, match=r"differ in data\.source"):
        join_weights([one, other], target)
    with pytest.raises(VidferError, match="cannot be written"):
        join_weights([one, one], Path("/proc/none/x.safetensors"))
    with pytest.raises(VidferError, match="two or more"):
        join_weights([one], target)
    with pytest.raises(VidferError, match="plain 'compact'"):
        join_weights([members("c", arch="test_resnet"), members("dd", arch="test_resnet")], target)
    join_weights([one, members("bb")], target)
    with pytest.raises(VidferError, match="plain 'compact'"):
        join_weights([target, target], tmp_path / "again.safetensors")
    assert not (tmp_path / "again.safetensors").exists()
