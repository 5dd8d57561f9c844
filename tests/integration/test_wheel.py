"""The wheel in an environment of its own, without extras: `make wheel-test`."""

import csv
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from vidfer.weights.files import SHIPPED

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
LIMIT = 900e6
"""Bytes that `pip install vidfer` may take, with compiled modules as pip makes them."""

pytestmark = pytest.mark.slow


def run(*words, cwd, **variables):
    """Run a command as somebody who has only installed the wheel."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env={**own, **variables}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, listed):  # a copy, since setuptools leaves its build folder in the source
        if name.split("/")[0] in ("vidfer", "pyproject.toml", "README.md", "LICENSE"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    python = ["--python", sys.executable, "--no-build-isolation", "--offline"]
    built = run(UV, "build", "--wheel", *python, "--out-dir", out, source, cwd=source)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install it with the versions of requirements.lock, and return the folder of the environment's commands."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    versions = re.findall(r"^[\w.-]+==[^ \\]+(?: ;[^\\]*)?", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (place / "versions.txt").write_text("\n".join(versions))
    python = place / "bin" / "python"
    done = run(
        UV, "pip", "install", "--compile-bytecode", "--link-mode=copy", "--python", python,
        "--constraint", place / "versions.txt", wheel, cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return python.parent


def test_the_wheel_has_all_that_is_no_code(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [(kind, name) for kind, found in SHIPPED.items() for name in found]
    expected = {f"vidfer/weights/{name}.{suffix}" for _, name in shipped for suffix in ("json", "safetensors", "onnx")}
    tracked = run("git", "ls-files", "vidfer", cwd=ROOT).stdout.split()
    assert names >= expected | {name for name in tracked if "__" not in name}


def test_analysis_works_without_extras_and_the_size_is_what_the_documentation_says(installed, tmp_path):
    files = [path for path in installed.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    print(f"\npip install vidfer: {size / 1e6:.0f} MB")
    assert size < LIMIT
    page = (ROOT / "docs/how-to/install.md").read_text()
    said = float(re.search(r"about (\d+) MB", page)[1]) * 1e6
    assert abs(size - said) < 0.05 * said
    assert not list(installed.parent.glob("lib/python*/site-packages/torch"))

    assert "analyze" in run(installed / "vidfer", "--help", cwd=tmp_path).stdout
    doctor = run(installed / "vidfer", "doctor", "--store", tmp_path / "store", cwd=tmp_path)
    assert (doctor.returncode, doctor.stderr) == (0, ""), doctor.stdout
    assert "train (training, evaluation, --backend torch, --device cuda) lacks" in doctor.stdout

    demo = run(installed / "vidfer", "demo", cwd=tmp_path)  # a clip with sound
    assert demo.returncode == 0, demo.stderr
    with (tmp_path / "demo/results/clips.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["status"], row["predominant"], row["sound_status"]) == ("ok", "happy", "ok")
    assert (tmp_path / "demo/results/astronaut.mp4/report.html").stat().st_size > 10_000

    plot = run(installed / "vidfer", "plot", "demo/results", "--kind", "timeline", cwd=tmp_path)
    assert plot.returncode == 2
    needed = " ".join(plot.stderr.split())
    assert needed == "vidfer: vidfer plot needs matplotlib, which is not installed: pip install 'vidfer[study]'"
