import socket

import pytest

from vidfer.pipeline.engines import EngineOptions, LocalEngine, RayEngine
from vidfer.types import UsageError, VidferError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"address": "auto"}, "--address goes with --engine ray"),
        ({"engine": "ray", "partition": "gpu"}, "--partition goes with --engine slurm"),
        ({"engine": "slurm", "slurm": ["account"]}, "account"),
        ({"engine": "slurm", "max_jobs": 0}, "--max-jobs"),
        ({"stall": 0.0}, "--stall"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, named):
    with pytest.raises(UsageError, match=named):
        EngineOptions(**options)


def test_an_engine_is_what_its_options_say(tmp_path):
    assert EngineOptions().make(2, "cpu", tmp_path) == LocalEngine(2)
    assert EngineOptions("ray", "auto").make(1, "cuda:0", tmp_path) == RayEngine("auto", gpus=1)
    found = EngineOptions("slurm", slurm=["account=lab", "comment=a=b"], partition="gpu").make(4, "cuda", tmp_path)
    assert (found.jobs, found.gpus, found.partition) == (4, 1, "gpu")
    assert found.parameters == {"account": "lab", "comment": "a=b"}
    with pytest.raises(UsageError, match="--jobs"):
        EngineOptions("ray").make(2, "cpu", tmp_path)


def test_a_cluster_that_is_not_there_is_told_at_once():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(VidferError, match=f"no Ray cluster at {address}"):
        list(RayEngine(address).run(lambda *_: {}, [1], lambda *_: None))
