"""No command speaks to another machine by itself, nor do the libraries below it: connections are refused, and noted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.command import environment, kill_session

ROOT = Path(__file__).parents[1]

WATCH = """
import os, socket, sys

def is_here(host):
    text = host.decode() if isinstance(host, bytes) else host
    own = ("localhost", "0.0.0.0", "::", socket.gethostname(), *os.environ["VIDFER_TEST_HERE"].split())
    return not text or text in own or text.startswith("127.")

def watch(event, args):
    if event == "socket.connect" or event == "socket.sendto":
        connection, address = args
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or is_here(address[0]):
            return
        if connection.type & socket.SOCK_DGRAM and event == "socket.connect" and address[0] == "8.8.8.8":
            return  # sends nothing: Ray learns by it which address this machine has
        where = f"{event} {address}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if is_here(args[0]):
            return
        where = f"{event} {args[0]}"
    else:
        return
    note(where)
    raise OSError(f"refused by the test: {where}")

def note(text):
    with open(os.environ["VIDFER_TEST_NETWORK"], "a") as file:
        file.write(text + chr(10))

note("watched")
sys.addaudithook(watch)
"""
"""Runs first in every process of Python that a command starts."""


@pytest.fixture
def watched(tmp_path):
    """Run words in a folder, and return what became of them, and which places were asked for."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "network.txt"
    env = environment(
        PYTHONPATH=f"{tmp_path / 'watch'}{os.pathsep}{ROOT}",
        VIDFER_TEST_NETWORK=str(log),
        VIDFER_TEST_HERE=" ".join(each.address for own in psutil.net_if_addrs().values() for each in own),
        VIDFER_STORE=str(tmp_path / "store"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),  # fonts and the like are looked for anew
        MPLCONFIGDIR=str(tmp_path / "matplotlib"),
        HF_HUB_OFFLINE=None,
        WANDB_MODE=None,
    )

    def run(*words, status=0, **more):
        done = subprocess.run(
            [sys.executable, "-m", "vidfer", *map(str, words)],
            cwd=tmp_path, env={**env, **more}, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == status, (words, done.stderr[-2000:])
        return asked(log)

    run.env, run.log = env, log
    return run


def asked(log):
    """Return the places that were asked for, after a look that the processes were watched at all."""
    lines = log.read_text().splitlines()
    assert "watched" in lines
    return [line for line in lines if line != "watched"]


@pytest.fixture
def picture(tmp_path):
    """A picture of one face."""
    from PIL import Image
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:300, 60:400]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_command_that_fetches_is_noticed(watched):
    assert any("github.com" in line for line in watched("weights", "pull", "identity", status=1, VIDFER_WEIGHTS="own"))


def test_an_analysis_and_the_check_of_an_installation_ask_nobody(watched, picture):
    watched("analyze", picture, "--out", "run", "--jobs", 1)
    assert watched("doctor") == []


@pytest.mark.slow
def test_no_command_on_clips_asks_anybody(watched, picture, tmp_path):
    """One after the other in one folder."""
    from vidfer.datasets.synthetic import write_demo_clip

    write_demo_clip(tmp_path / "b.mp4", seconds=1.2)
    (tmp_path / "study.csv").write_text("clip,participant,condition\na.png,1,one\nb.mp4,2,two\n")
    (tmp_path / "named.csv").write_text(f"path\n{picture}\n")
    commands = (
        (
            "analyze",
            picture,
            "b.mp4",
            "--participants",
            "study.csv",
            "--overlay",
            "--identify",
            "--out",
            "run",
            "--jobs",
            2,
        ),
        ("analyze", "--manifest", "named.csv", "--out", "many"),
        ("compare", "run", "--by", "condition"),
        *(("plot", "run", "--kind", kind) for kind in ("timeline", "distribution", "embedding")),
        *(("export", "run", "--format", program) for program in ("elan", "webvtt", "py-feat")),
        ("people", "list", "run"),
        ("people", "apply", "run"),
        ("run", "faces", picture),
        *(("cache", action) for action in ("list", "verify", "gc")),
        ("demo", "--out", "demo"),
    )
    for words in commands:
        assert watched(*words) == [], words


@pytest.mark.slow
def test_no_command_on_models_asks_anybody(watched, tmp_path):
    """What trains for long is below."""
    from vidfer.datasets.synthetic import write_faces

    write_faces(tmp_path / "faces", train=8, test=2)
    pipeline = ROOT / "configs" / "pipeline_sample.yaml"
    commands = (
        *(("pipeline", action, pipeline) for action in ("plan", "status")),
        ("weights", "list"),
        ("weights", "verify"),
        ("data", "list"),
        ("evaluate", "image", "--root", "faces", "--split", "public_test"),
        ("completion", "bash"),
        ("--version",),
    )
    for words in commands:
        assert watched(*words) == [], words


@pytest.mark.slow
@pytest.mark.parametrize("beside", [(), (f"--config={ROOT / 'configs/wandb.yaml'}", "--wandb.init_args.save_dir=.")])
def test_a_training_asks_nobody(watched, tmp_path, beside):
    """Neither by itself nor at Weights & Biases' client, where that works offline."""
    from vidfer.datasets.synthetic import write_faces

    write_faces(tmp_path / "faces", train=8, test=2)
    words = [
        "fit", f"--config={ROOT / 'configs/finetune_compact.yaml'}", f"--data={ROOT / 'configs/data/sample_faces.yaml'}",
        f"--data.init_args.root={tmp_path / 'faces'}", "--data.init_args.val_share=0.3", "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1",
        "--trainer.accelerator=cpu", f"--trainer.logger.init_args.save_dir={tmp_path}", *beside,
    ]  # fmt: skip
    assert watched("train", "finetune", *words, WANDB_MODE="offline") == []
    assert bool(list(tmp_path.glob("wandb/offline-run-*"))) is bool(beside)


@pytest.mark.slow
def test_the_app_asks_nobody(watched, tmp_path):
    """From its start until a page and an example's job were served."""
    from urllib.request import Request, urlopen

    words = [sys.executable, "-m", "vidfer", "app", "--port", "0"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=watched.env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as app:
        try:
            address = next(word for line in app.stdout for word in line.split() if word.startswith("http://"))
            assert b"vidfer" in urlopen(address).read()
            job = json.load(urlopen(Request(f"{address.rstrip('/')}/example", method="POST")))
            end = time.monotonic() + 300
            while json.load(urlopen(f"{address.rstrip('/')}/jobs/{job['id']}"))["status"] != "done":
                assert time.monotonic() < end
                time.sleep(0.5)
            app.send_signal(signal.SIGINT)
            app.wait(60)
        finally:
            kill_session(app.pid)
    assert asked(watched.log) == []


@pytest.mark.slow
def test_a_cluster_of_ray_asks_nobody_but_for_a_provider(watched, picture):
    """One that is started for the run looks whether it is at a cloud provider, though its usage figures are off."""
    pytest.importorskip("ray", reason="needs Ray")
    found = watched("analyze", picture, "--engine", "ray", "--jobs", 1, "--out", "run")
    assert {each.partition(" ")[2] for each in found} <= {"169.254.169.254", "metadata.google.internal"}


def test_the_client_of_weights_and_biases_is_told_to_tell_nobody_of_faults(watched):
    """By its own variable, which a user may set otherwise."""
    code = "import os, vidfer.tasks.tracking; print(os.environ['WANDB_ERROR_REPORTING'])"
    done = subprocess.run([sys.executable, "-c", code], env=watched.env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "false"
