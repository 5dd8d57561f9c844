"""A pipeline as jobs of a real SLURM: the same bundle as here, taken up again, and a step that fails."""

import subprocess
import sys
import time

import pytest
import yaml

from tests.cluster.jobs import ended
from tests.conftest import ROOT
from vidfer.pipeline.digest import file_digest

pytestmark = pytest.mark.slow


def vidfer(store, verb, file, *words, check=True):
    """Run `vidfer pipeline VERB` on a store."""
    command = [sys.executable, "-m", "vidfer", "pipeline", verb, str(file), "--store", str(store), *map(str, words)]
    return subprocess.run(command, check=check, cwd=ROOT, text=True, capture_output=True, timeout=550)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A pipeline of the denoiser and a classifier of sound, on samples, as short as can be."""
    folder = tmp_path_factory.mktemp("pipeline")
    cpu = {"max_epochs": 1, "accelerator": "cpu", "devices": 1}
    content = {
        "name": "two",
        "denoise": {
            "model": {"preset": "tiny", "norm": "none", "objective": "mse"},
            "data": {"crops_per_epoch": 8, "batch_size": 4, "crop": 32},
            "trainer": cpu,
        },
        "finetune": {"use": "compact"},
        "classify": {
            "model": {"classifier": "linear"},
            "data": {
                "class_path": "vidfer.datamodules.clips.SampleSoundsDataModule",
                "root": str(folder / "sounds"),
                "train_people": "1-3",
                "val_people": "4",
                "test_people": "5-6",
                "voice": False,
            },
            "trainer": cpu,
        },
        "settings": {"voice": "off"},
        "slurm": {"comment": "a-pipeline", "classify": {"comment": "of-sound"}},
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(content))
    return folder / "pipeline.yaml"


def digests(folder):
    """Return the digest of each file of a bundle."""
    return {each.name: file_digest(each) for each in folder.iterdir()}


def numbers(store):
    """Return the numbers of the jobs by the steps' names."""
    found = [yaml.safe_load(each.read_text()) for each in (store / "jobs").glob("*.json")]
    return {each["step"]: each["job"] for each in found}


def test_the_bundle_is_that_of_a_run_here_and_no_step_is_queued_twice(slurm, file, tmp_path):
    store = tmp_path / "store"
    slurmed = ("--engine=slurm", "--partition=low", f"--out={tmp_path / 'there'}")
    first = vidfer(store, "run", file, *slurmed, "--no-wait")
    queued = numbers(store)
    shown = vidfer(store, "status", file).stdout
    second = vidfer(store, "run", file, *slurmed)  # takes the jobs up, and waits
    vidfer(tmp_path / "here-store", "run", file, f"--out={tmp_path / 'here'}")

    assert sorted(queued) == ["bundle", "calibrate", "classify", "denoise", "evaluate"]
    assert f"job {queued['bundle']} PENDING" in shown
    assert f"classify: job {queued['classify']}" in first.stderr
    assert numbers(store) == queued
    assert f"--models {tmp_path / 'there'}" in second.stdout
    there, here = digests(tmp_path / "there"), digests(tmp_path / "here")
    assert there == here, {name for name in there if there.get(name) != here.get(name)}
    comments = {
        name: subprocess.run(["scontrol", "show", "job", "-o", job], check=True, text=True, capture_output=True).stdout
        for name, job in queued.items()
    }
    assert "Comment=of-sound" in comments["classify"]
    assert "Comment=a-pipeline" in comments["denoise"]
    assert all("Partition=low" in each for each in comments.values())


def test_a_step_that_fails_is_named_with_its_log_and_what_needs_it_is_cancelled(slurm, file, tmp_path):
    words = ("--set", "denoise.data.root=nowhere-at-all", "--engine=slurm", "--partition=high")
    wrong = vidfer(tmp_path, "run", file, *words, check=False)
    assert wrong.returncode == 1  # before anything is queued
    assert not (tmp_path / "jobs").exists()

    broken = ("--set", "denoise.model.preset=unheard-of", "--engine=slurm", "--partition=high")
    failed = vidfer(tmp_path, "run", file, *broken, check=False)

    assert failed.returncode == 1, failed.stderr
    job, said = numbers(tmp_path), " ".join(failed.stderr.split())
    assert f"denoise: job {job['denoise']} FAILED" in said
    assert "unheard-of" in said
    until = time.monotonic() + 30
    while not (ended(job["bundle"]) and ended(job["calibrate"])):
        assert time.monotonic() < until
        time.sleep(0.5)
