import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vidfer.cli.main import VERBS
from vidfer.pipeline.extras import EXTRAS, explained_imports, require
from vidfer.types import UsageError

ROOT = Path(__file__).parents[2]
IMPORTED = {"markdown-it-py": "markdown_it", "scikit-learn": "sklearn", "scikit-image": "skimage"}

WITHOUT = f"""
import sys

ABSENT = {sorted(name for names in EXTRAS.values() for name in names if name != "markdown_it")}

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
"""Has Python find no package that only an extra brings, as if `pip install vidfer` had been all."""

CALLS = """
import contextlib, io, json
from vidfer.cli.main import main

for words in json.loads(sys.argv[1]):
    said, status = io.StringIO(), None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            status = main(words.split())
        except SystemExit as end:
            status = end.code
    print(json.dumps([words, status, said.getvalue()]))
"""

TRAIN, STUDY = "'vidfer[train]'", "'vidfer[study]'"
NEEDS = {
    "train denoise fit": TRAIN, "train classify --help": TRAIN, "pipeline plan configs/pipeline_sample.yaml": TRAIN,
    "sweep configs/sweeps/classify.yaml --local": TRAIN,
    "evaluate image --root . --split test": TRAIN, "evaluate denoise --root sample": TRAIN,
    "tables --out OUT": TRAIN, "optimizers --out OUT": TRAIN, "weights onnx vidfer/weights/compact.safetensors": TRAIN,
    "weights pull identity": TRAIN,
    "analyze README.md --backend torch": TRAIN, "analyze README.md --device cuda": TRAIN,
    "analyze README.md --identify": STUDY,
    "compare nowhere --by condition": STUDY, "plot nowhere --kind timeline": STUDY, "app": "'vidfer[app]'",
}  # fmt: skip
WORKS = (
    "analyze --help", "compare --help", "plot --help", "export --help", "people --help", "app --help", "run --help",
    "cache list", "purge --help", "download --help", "data list", "weights list", "doctor --help", "demo --help",
    "completion bash", "evaluate image --help", "optimizers --help",
)  # fmt: skip


def without(code, *words):
    """Run Python where nothing that only an extra brings is installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_what_is_imported_of_each_extra_is_what_the_project_names():
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, names in EXTRAS.items():
        distributions = [re.match("[A-Za-z0-9-]+", line)[0] for line in optional[extra]]
        assert {IMPORTED.get(name, name.replace("-", "_")) for name in distributions if name != "vidfer"} == set(names)


def test_every_verb_works_or_says_which_extra_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path / "pulled"))
    calls = [words.replace("OUT", str(tmp_path / "out")) for words in (*NEEDS, *WORKS)]
    assert {words.split()[0] for words in calls} == set(VERBS)
    done = without(CALLS, json.dumps(calls))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for (words, status, said), remedy in zip(found, NEEDS.values(), strict=False):
        assert (status, said.count("\n")) == (2, 1), (words, status, said)
        assert f"which is not installed: pip install {remedy}" in said, (words, said)
    assert [line for line in found[len(NEEDS) :] if line[1] or "not installed" in line[2]] == []


def test_analysis_imports_nothing_of_training():
    parts = [
        "inference",
        "stages",
        "media",
        "results",
        "api",
        "app",
        "pages",
        "overlay",
        "exchange",
        "weights",
        "pipeline",
    ]
    by_torch = {f"vidfer.inference.{name}" for name in ("graphs", "torch_networks")}
    code = f"""
import importlib, pkgutil
ABSENT[:] = {sorted(EXTRAS["train"])}
for part in {parts}:
    package = importlib.import_module("vidfer." + part)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in {by_torch}:
            importlib.import_module(module.name)
"""
    done = without(code)
    assert done.returncode == 0, done.stderr


def test_other_modules_that_are_missing_are_no_matter_of_extras():
    with pytest.raises(ModuleNotFoundError), explained_imports("vidfer analyze"):
        import nosuch  # noqa: F401
    require("vidfer analyze", "nosuch", "numpy")
    with (
        pytest.raises(UsageError, match=r"vidfer tables needs scipy, .*\[train\]"),
        explained_imports("vidfer tables", "train"),
    ):
        raise ModuleNotFoundError("No module named 'scipy.stats'", name="scipy.stats")
