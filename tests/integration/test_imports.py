"""What a command and its child processes import: an analysis needs no training, and help needs nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidfer.datasets.synthetic import write_demo_clip

TRAINING = [
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "facenet_pytorch",
    "torchmetrics",
    "sklearn",
    "skimage",
    "statsmodels",
]
NOT_NEEDED = [*TRAINING, "scipy", "matplotlib", "opensmile", "omegaconf"]
HEAVY = [*NOT_NEEDED, "pandas", "pyarrow", "cv2", "av", "onnxruntime", "jinja2"]

ANALYZER = """
from vidfer import Analyzer
with Analyzer(store={store!r}) as analyzer:
    result = analyzer.warm().analyze({clip!r})
    assert result.status == "ok", result
"""
APP = """
from vidfer.app.server import Server
from vidfer.app.settings import AppOptions
Server(AppOptions(port=0))
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "demo.mp4"
    write_demo_clip(path, seconds=1.0)
    return path


@pytest.fixture
def imported(tmp_path):
    """Run Python with some arguments, and return which of the packages any of its processes imports."""
    root = Path(__file__).resolve().parents[2]

    def run(arguments, packages):
        seen = tmp_path / "seen"
        seen.mkdir()
        own = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).with_name("watched")), str(root)])}
        watch = {"WATCHED_PACKAGES": " ".join(packages), "WATCHED_FOLDER": str(seen)}
        place = {"VIDFER_STORE": str(tmp_path / "store")}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own, **watch, **place})
        assert done.returncode == 0, done.stderr
        return sorted(each.name for each in seen.iterdir())

    return run


def test_analysis_imports_what_it_needs_in_all_its_processes(imported, clip, tmp_path):
    analyze = ["-m", "vidfer", "analyze", clip, "--out", tmp_path / "results"]
    assert imported(analyze, [*NOT_NEEDED, "onnxruntime", "av"]) == ["av", "onnxruntime"]  # so the watch sees children


@pytest.mark.parametrize("code", [ANALYZER, APP], ids=["analyzer", "app"])
def test_other_doors_import_nothing_of_training(imported, clip, tmp_path, code):
    program = code.format(store=str(tmp_path / "store"), clip=str(clip))
    assert imported(["-c", program], TRAINING) == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [["doctor"], ["demo"]])
def test_further_commands_import_nothing_of_training(imported, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert imported(["-m", "vidfer", *words], TRAINING) == []


@pytest.mark.parametrize("words", [["--help"], ["analyze", "--help"], ["people", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(imported, words):
    assert imported(["-m", "vidfer", *words], HEAVY) == []
