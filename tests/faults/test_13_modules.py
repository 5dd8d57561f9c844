"""Modules beside the clips: neither the command nor any process that it starts imports one."""

import subprocess
import sys

import pytest

from tests.faults.command import ROOT, environment

NAMES = (
    *(name for name in sorted(sys.stdlib_module_names) if not name.startswith("_")),
    *(
        "av",
        "blake3",
        "cv2",
        "decord",
        "joblib",
        "lightning",
        "numpy",
        "onnxruntime",
        "pandas",
        "PIL",
        "pyarrow",
        "ray",
    ),
    *(
        "rich",
        "safetensors",
        "scipy",
        "sitecustomize",
        "sklearn",
        "submitit",
        "torch",
        "usercustomize",
        "vidfer",
        "yaml",
    ),
)
MODULE = "open({marker!r}, 'w').close()\nraise ImportError('this is not the one')\n"
CONTROL = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import json'], stderr=subprocess.DEVNULL)"
BEGIN = """
import os, subprocess, sys
from pathlib import Path

def work(item, progress):
    import colorsys, numpy
    return {"name": item}

def nothing(*_):
    pass

if __name__ == "__main__":
"""
ENGINE = """
    from vidfer.pipeline.engines.{module} import {name}
    assert len(dict({name}({options}).run(work, ["a.mp4", "b.mp4"], nothing))) == 2
    assert "PYTHONSAFEPATH" not in os.environ
"""
COMMAND = """
    from vidfer.cli.main import main
    sys.argv[1:] = {words}
    assert main() == {status}
"""
STARTED = {
    "workers": ENGINE.format(module="local", name="LocalEngine", options="2"),
    "decoding": """
    from vidfer.media.decode import probe
    from vidfer.types import ClipError
    try:
        probe("a.mp4")
    except ClipError as error:
        assert error.status in ("corrupt", "unsupported"), error
""",
    "of a command": COMMAND.format(words=["--version"], status=0)
    + """
    subprocess.run([sys.executable, "-c", "import json"], check=True)
    subprocess.run([sys.executable, "-m", "vidfer", "--version"], check=True)
""",
    "analysis": COMMAND.format(
        words=["analyze", ".", "--out", "../out", "--store", "../store", "--jobs", "2"], status=1
    ),
    "ray": ENGINE.format(module="ray_engine", name="RayEngine", options=""),
    "slurm": ENGINE.format(
        module="slurm_engine", name="SlurmEngine", options="Path('jobs').absolute(), shard=1, cluster='local'"
    ),
}
QUICK = ("workers", "decoding", "of a command")


@pytest.fixture
def run_beside(tmp_path):
    """Run Python on some words beside clips and modules of all names; return its exit status, and which of them ran."""
    clips, marks = tmp_path / "clips", tmp_path / "marks"
    clips.mkdir()
    marks.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (clips / name).write_bytes(b"no video")
    for name in NAMES:
        (clips / f"{name}.py").write_text(MODULE.format(marker=str(marks / name)))

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=clips, env=environment(PYTHONPATH=str(ROOT), PYTHONSAFEPATH=None), check=False
        )
        return done.returncode, sorted(mark.name for mark in marks.iterdir())

    return run


def test_a_module_that_is_imported_is_seen(run_beside):
    assert run_beside("-P", "-c", CONTROL) == (0, ["json"])


@pytest.mark.parametrize(
    "what", [what if what in QUICK else pytest.param(what, marks=pytest.mark.slow) for what in STARTED]
)
def test_no_module_beside_the_clips_is_imported(what, run_beside, tmp_path):
    if what in ("ray", "slurm"):
        pytest.importorskip("ray" if what == "ray" else "submitit")
    script = tmp_path / "vidfer-script.py"
    script.write_text(BEGIN + STARTED[what])
    assert run_beside(script) == (0, [])
