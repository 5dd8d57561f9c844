"""ONNX Runtime tells its makers nothing, and leaves nothing that tells one machine from another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("given", [None, "0"])
def test_a_network_is_computed_without_an_id_of_the_machine(tmp_path, given):
    """The id lies in the cache folder as soon as the package is imported with its telemetry on."""
    code = "from vidfer.inference.occlusion import occlusion_model; occlusion_model()"
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    env = {**os.environ, **homes}
    env.pop("ORT_DISABLE_TELEMETRY", None)
    if given is not None:
        env["ORT_DISABLE_TELEMETRY"] = given
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert list(tmp_path.rglob("*")) == []
