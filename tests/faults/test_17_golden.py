"""The output of each stage on a generated clip changes only together with the stage's version."""

import copy
import json

import pytest

from tests.faults import golden
from vidfer.stages.chain import ChainOptions, build_chain


@pytest.fixture(scope="module")
def kept():
    return json.loads(golden.GOLDEN.read_text())


def test_each_stage_gives_what_its_version_gave(kept, figure):
    now = golden.summaries()
    assert now.keys() == kept.keys() == {stage.name for stage in build_chain(ChainOptions())}
    wrong = golden.faults(kept, now)
    assert not wrong, "\n".join(wrong)
    figure(f"{len(now)} stages of a clip: each output is that of its version")


def test_a_change_without_a_new_version_is_told_and_not_renewed(kept):
    now = copy.deepcopy(kept)
    now["faces"]["files"]["faces.parquet"]["x0"]["figures"][0] *= 1.03
    (said,) = golden.faults(kept, now)
    assert "stage faces gives another output at the same version" in said
    assert "raise its `version`" in said
    with pytest.raises(SystemExit, match="same version"):
        golden.renew(kept, now)
    now["faces"]["version"] += 1
    (said,) = golden.faults(kept, now)
    assert "run `python -m tests.faults.golden`" in said
    assert golden.renew(kept, now) == now


def test_what_differs_between_processors_is_no_change(kept):
    now = copy.deepcopy(kept)
    figures = now["finetune"]["files"]["embeddings.safetensors"]["logits"]["figures"]
    figures[:] = [each * 1.005 for each in figures]
    assert golden.faults(kept, now) == []
    assert golden.renew(kept, now) == kept


def test_frames_and_persons_are_exact(kept):
    for part, name in (("frame", "a frame"), ("time_s", "a time"), ("track", "a person")):
        now = copy.deepcopy(kept)
        now["faces"]["files"]["faces.parquet"][part][-1] += 1
        assert len(golden.faults(kept, now)) == 1, name
