"""A pipeline of two small trainings, run to its bundle, again, changed, and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.store import Store
from vidfer.stages.fit import Fit
from vidfer.training.config import read_configuration
from vidfer.training.run import run_steps, write_bundle
from vidfer.training.steps import Step, plan_steps
from vidfer.types import VidferError
from vidfer.weights.bundles import read_bundle

Run = Callable[..., tuple[list[str], dict[str, Step]]]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline's file: the denoiser and the classifier of sound, on samples, as short as can be."""
    folder = tmp_path_factory.mktemp("pipeline")
    checkpoint = {
        "class_path": "vidfer.tasks.callbacks.IntervalCheckpoint", "init_args": {"interval": "0:00:00"}
    }  # fmt: skip
    content = {
        "name": "two",
        "description": "Samples.",
        "denoise": {
            "model": {"preset": "tiny", "norm": "none", "objective": "mse"},
            "data": {"crops_per_epoch": 24, "batch_size": 4, "crop": 32},
            "trainer": {"max_epochs": 2, "callbacks": [checkpoint], "accelerator": "cpu", "devices": 1},
        },
        "finetune": {"use": "compact"},
        "classify": {
            "model": {"classifier": "linear"},
            "data": {
                "class_path": "vidfer.datamodules.clips.SampleSoundsDataModule",
                "root": str(folder / "sounds"),
                "train_people": "1-2",
                "val_people": "3",
                "test_people": "4",
                "voice": False,
            },
            "trainer": {"max_epochs": 2, "accelerator": "cpu", "devices": 1},
        },
        "settings": {"voice": "off"},
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(content))
    return folder / "pipeline.yaml"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of this module's runs."""
    return tmp_path_factory.mktemp("store")


def run(pipeline: Path, store: Path, *overrides: str) -> tuple[list[str], dict[str, Step]]:
    """Run the pipeline; return the names of the steps that had to be made, and all steps."""
    configuration = read_configuration(pipeline, overrides)
    steps = plan_steps(configuration, Store(store))
    due = [step.name for step in steps if step.due]
    done = list(run_steps(configuration, steps, Store(store), 1, lambda *_, **__: None))
    return due, {step.name: step for step in done}


def digests(step: Step) -> dict[str, str]:
    """Return the digest of every file of a step's artifact."""
    assert step.artifact is not None
    return {entry["name"]: entry["blake3"] for entry in step.artifact.manifest["files"]}


def test_a_pipeline_ends_in_a_bundle_and_is_not_run_again(pipeline: Path, store: Path, tmp_path: Path) -> None:
    """What the bundle holds can be read as such, and says what was made of what."""
    due, first = run(pipeline, store)
    assert due == ["denoise", "classify", "calibrate", "evaluate", "bundle"]
    assert not list((store / "fits").iterdir())  # nothing is left of finished trainings
    again, second = run(pipeline, store)
    assert again == []
    assert digests(first["bundle"]) == digests(second["bundle"])
    assert first["bundle"].artifact is not None
    write_bundle(first["bundle"].artifact, tmp_path / "two")
    bundle = read_bundle(tmp_path / "two")
    assert set(bundle.models) == {"denoise", "image", "audio"}
    assert bundle.settings["voice"] == "off"
    assert dict(bundle.made) == {name: first[name].key for name in ("denoise", "classify", "calibrate", "evaluate")}
    card = json.loads((tmp_path / "two" / "audio.json").read_text())
    assert card["data"]["people"]["test"] == ["ravdess-4"]
    assert str(pipeline.parent) not in (tmp_path / "two" / "audio.json").read_text()
    figures = json.loads((tmp_path / "two" / "evaluation.json").read_text())
    assert figures["bundle"] == "two"


def test_a_change_trains_what_depends_on_it_and_nothing_else(pipeline: Path, store: Path) -> None:
    """The learning rate of one classifier: the denoiser stays."""
    run(pipeline, store)
    due, after = run(pipeline, store, "classify.model.lr=0.001")
    assert due == ["classify", "calibrate", "evaluate", "bundle"]
    assert after["denoise"].artifact is not None


def test_a_failed_training_is_named_with_its_reason_and_not_stored(pipeline: Path, store: Path) -> None:
    """The message is the training's own, and names its log; the next run tries again."""
    with pytest.raises(VidferError, match=r"classify: the training failed: .*takes no option 'lrr'.*log\.txt"):
        run(pipeline, store, "classify.model.lrr=3")
    configuration = read_configuration(pipeline, ["classify.model.lrr=3"])
    assert next(step for step in plan_steps(configuration, Store(store)) if step.name == "classify").due


@pytest.mark.slow
def test_a_training_whose_data_were_changed_meanwhile_is_not_stored(
    pipeline: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key says which data it is of: those of the plan, and hours may lie between."""
    run(pipeline, store)
    train, path = Fit._train, sorted((pipeline.parent / "sounds").rglob("*.wav"))[0]
    sound = path.read_bytes()

    def train_meanwhile(self: Fit, *given: Any) -> None:
        train(self, *given)
        path.write_bytes(sound[:-2000])

    lr = "classify.model.lr=0.005"
    monkeypatch.setattr(Fit, "_train", train_meanwhile)
    with pytest.raises(VidferError, match="classify: the data were changed during the training"):
        run(pipeline, store, lr)
    monkeypatch.undo()
    assert not list((store / "fits").glob("*/weights.safetensors"))
    path.write_bytes(sound)
    monkeypatch.setattr("vidfer.training.run._calibrate", lambda *_: path.write_bytes(sound[:-2000]))
    with pytest.raises(VidferError, match="the data of classify were changed while they were read"):
        run(pipeline, store, lr)
    path.write_bytes(sound)
    configuration = read_configuration(pipeline, [lr])
    due = [step.name for step in plan_steps(configuration, Store(store)) if step.due]
    assert due == [
        "calibrate",
        "evaluate",
        "bundle",
    ]  # what was trained meanwhile, on the data as they are again, counts


def test_a_folder_of_something_else_is_not_filled(pipeline: Path, store: Path, tmp_path: Path) -> None:
    """A bundle is written over an older one only."""
    _, steps = run(pipeline, store)
    (tmp_path / "notes.txt").write_text("mine")
    assert steps["bundle"].artifact is not None
    with pytest.raises(VidferError, match="no bundle's: give another folder by --out"):
        write_bundle(steps["bundle"].artifact, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_folds_are_pooled_so_that_every_person_is_predicted_by_models_that_never_saw_them(
    pipeline: Path, store: Path
) -> None:
    """The evaluation has every clip of the people once, and the fold that tested it trained on others."""
    overrides = ("folds=3", "fold=0", "classify.data.folds=${folds}", "classify.data.fold=${fold}")
    people = ("classify.data.train_people=1-6", "classify.data.val_people=''", "classify.data.test_people=''")
    _, steps = run(pipeline, store, *overrides, *people)
    artifact = steps["bundle"].artifact
    assert artifact is not None
    (pooled,) = artifact.json("evaluation.json")["folds"].values()
    assert pooled["folds"] == 3
    assert pooled["persons"] == [f"ravdess-{number}" for number in range(1, 7)]
    assert pooled["n"] == len({row["clip"] for row in pooled["predictions"]}) == 96
    assert "Cross-validation by persons" in (artifact.path / "evaluation.md").read_text("utf-8")


def test_a_bundle_is_whole_or_says_that_it_is_not(
    pipeline: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted over an older bundle, it would else mix the models of both; the next run writes it anew."""
    _, steps = run(pipeline, store)
    artifact = steps["bundle"].artifact
    assert artifact is not None
    write_bundle(artifact, tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_bundle(artifact, tmp_path)  # the same: nobody who reads it meanwhile is disturbed
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    (tmp_path / "image.json").write_text("{}")

    def interrupted(path: Path, data: bytes | str) -> None:
        if path.name == "denoise.safetensors":
            raise KeyboardInterrupt
        write_atomic(path, data)

    monkeypatch.setattr("vidfer.training.run.write_atomic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(artifact, tmp_path)
    monkeypatch.undo()
    with pytest.raises(VidferError, match="is of format 'unfinished', not 1: make the bundle again"):
        read_bundle(tmp_path)
    write_bundle(artifact, tmp_path)
    assert set(read_bundle(tmp_path).models) == {"denoise", "image", "audio"}


def test_a_training_that_is_killed_says_so(pipeline: Path, store: Path) -> None:
    """Its log cannot say why it ends."""
    stopped: list[int] = []

    def kill(_name: str, _share: float, doing: str = "") -> None:
        for folder in (store / "fits").glob("*/progress.json") if doing == "training" and not stopped else ():
            found = subprocess.run(["pgrep", "-f", folder.parent.name], capture_output=True, text=True, check=False)
            stopped.extend(map(int, found.stdout.split()))
            for number in stopped:
                os.kill(number, signal.SIGKILL)

    configuration = read_configuration(pipeline, ["denoise.model.lr=0.003", "denoise.trainer.max_epochs=20"])
    steps = plan_steps(configuration, Store(store), "denoise")
    with pytest.raises(VidferError, match=r"denoise: the training was ended by signal 9, .* it goes on from the last"):
        list(run_steps(configuration, steps, Store(store), 1, kill))


def command(pipeline: Path, store: Path, out: Path) -> list[str]:
    """Return the command line that runs a pipeline."""
    where = ["--store", str(store), "--out", str(out)]
    return [sys.executable, "-m", "vidfer", "pipeline", "run", str(pipeline), *where]


@pytest.mark.slow
def test_a_pipeline_killed_ten_times_ends_in_the_same_bundle(pipeline: Path, store: Path, tmp_path: Path) -> None:
    """Whatever SIGKILL interrupts, the same command goes on, and the bundle is the undisturbed one, byte for byte."""
    _, undisturbed = run(pipeline, store)
    rng = np.random.default_rng(0)
    words = command(pipeline, tmp_path / "store", tmp_path / "out")
    kills = 0
    for _ in range(10):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(float(rng.uniform(1, 25)))
        if process.poll() is None:
            kills += 1
            target = os.killpg if rng.integers(2) else os.kill  # with its training, or alone
            target(process.pid, signal.SIGKILL)
        process.wait()
    assert kills
    assert subprocess.run(words, check=False).returncode == 0
    _, resumed = run(pipeline, tmp_path / "store")
    assert digests(resumed["bundle"]) == digests(undisturbed["bundle"])
