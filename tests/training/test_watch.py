"""A pipeline at Weights & Biases, with the real client and without a server: what is sent, and what is not."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from tests import wandb_files
from vidfer.datasets.synthetic import write_faces
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome
from vidfer.pipeline.store import Draft, Store
from vidfer.tasks.tracking import log_weights, without_paths
from vidfer.training.config import read_configuration
from vidfer.training.run import run_steps
from vidfer.training.steps import Step, plan_steps, weights_of
from vidfer.training.watch import show_evaluation, watch_options
from vidfer.types import UsageError
from vidfer.weights.files import find_weights

COUNTS = [
    [2, *[0] * 8],
    *[[0] * 9] * 3,
    [*[0] * 8, 2],
    *[[0] * 9] * 2,
]  # two angry ones, and two sad ones without an answer


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No run leaves this machine."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name, value in {"MODE": "offline", "SILENT": "true", "DATA_DIR": str(tmp_path / "data")}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline's file: a denoiser, and an image network on faces that it denoised, as short as can be."""
    trainer = {"max_epochs": 1, "accelerator": "cpu", "devices": 1}
    content = {
        "name": "two",
        "denoise": {
            "model": {"preset": "tiny", "norm": "none", "objective": "mse"},
            "data": {"crops_per_epoch": 8, "batch_size": 4, "crop": 16},
            "trainer": trainer,
        },
        "finetune": {
            "model": {"backbone": "compact", "lr": 0.01},
            "data": {
                "root": str(write_faces(tmp_path / "faces", train=4, test=2)), "image_size": 48, "in_chans": 1,
                "batch_size": 8, "val_share": 0.25,
            },
            "trainer": trainer,
        },
        "wandb": {"project": "mine", "save_dir": str(tmp_path), "faces": "none"},
    }  # fmt: skip
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "pipeline.yaml"


def run(pipeline: Path, *overrides: str, until: str = "finetune") -> dict[str, Step]:
    """Run the pipeline to a training."""
    configuration = read_configuration(pipeline, overrides)
    store = Store(pipeline.parent / "store")
    steps = plan_steps(configuration, store, until)
    return {step.name: step for step in run_steps(configuration, steps, store, 1, lambda *_, **__: None)}


def runs(folder: Path) -> dict[str, Path]:
    """Return the client's runs by the names that they are shown under."""
    found = {}
    for path in folder.glob("wandb/offline-run-*"):
        found[next(each.run.display_name for each in wandb_files.records(path) if each.run.run_id)] = path
    return found


@pytest.mark.slow
def test_a_run_is_a_group_with_a_run_for_each_training(pipeline: Path, tmp_path: Path) -> None:
    """Curves, settings of the key, weights by digest: and no faces, no sound, no path of this machine."""
    steps = run(pipeline)
    found = runs(tmp_path)
    assert set(found) == {"denoise", "finetune"}
    (group,) = {each.run.run_group for path in found.values() for each in wandb_files.records(path) if each.run.run_id}
    assert group.startswith("two-")
    for name, path in found.items():
        artifact = steps[name].artifact
        assert artifact is not None
        with (artifact.path / "metrics.csv").open() as file:
            rows = [{key: float(text) for key, text in row.items() if text} for row in csv.DictReader(file)]
        logged = {key: value for row in rows for key, value in row.items() if key != "step"}
        sent = wandb_files.history(path)
        assert {key: sent[key] for key in logged} == pytest.approx(logged)
        settings = wandb_files.config(path)
        assert settings["key"] == steps[name].key
        assert settings["model.init_args.lr"] == {"denoise": 0.002, "finetune": 0.01}[name]
        artifacts = [
            each.artifact for each in wandb_files.records(path) if each.WhichOneof("record_type") == "artifact"
        ]
        (weights,) = [each for each in artifacts if each.type == "weights"]
        assert {each.type for each in artifacts} <= {"weights", "run_table"}
        card = json.loads((artifact.path / "weights.json").read_text())
        assert set(weights.aliases) == {"latest", card["blake3"][:12], steps[name].key[:12]}
        assert json.loads(weights.metadata)["blake3"] == card["blake3"]
        assert sorted(each.path for each in weights.manifest.contents) == [
            f"weights.{suffix}" for suffix in ("json", "onnx", "safetensors")
        ]
        drawn = {"val_confusion_table", "val_precision_recall_table"} if name == "finetune" else set()
        assert {key.partition(".")[0] for key, value in sent.items() if not isinstance(value, int | float)} == drawn
        files = {each for each in wandb_files.files(path) if not each.startswith("media/table/")}
        assert files <= {"requirements.txt", "wandb-summary.json", "config.yaml"}
        assert str(tmp_path) not in wandb_files.sent_text(path)
    denoiser = find_weights("denoise", weights_of(steps["denoise"]))
    settings = wandb_files.config(found["finetune"])
    assert settings["inputs.denoise"] == settings["data.init_args.denoise_model.blake3"] == denoiser.card["blake3"]
    run(pipeline)
    assert len(runs(tmp_path)) == 2  # what is stored already is not shown again


def test_what_is_shown_changes_no_key(pipeline: Path, tmp_path: Path) -> None:
    """Weights & Biases or none, other names: the same artifacts."""
    store = Store(tmp_path / "store")
    choices: list[list[str]] = [[], ["wandb=null"], ["wandb.project=other", "wandb.weights=false"]]
    plans = [plan_steps(read_configuration(pipeline, each), store) for each in choices]
    assert len({tuple(step.key for step in plan) for plan in plans}) == 1


def test_a_pipeline_without_the_entry_sends_nothing(pipeline: Path, tmp_path: Path) -> None:
    """And the command's switch, which is an empty entry, keeps those of the file."""
    steps = plan_steps(read_configuration(pipeline), Store(tmp_path / "store"))
    assert watch_options(read_configuration(pipeline, ["wandb=null"]), steps[0], {}, None) is None
    switched = watch_options(read_configuration(pipeline, ["wandb={}"]), steps[0], {}, None)
    assert switched is not None
    assert switched["project"] == "mine"


def test_another_configuration_is_another_group(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same one joins its group; the trial of a sweep is named by the server; the project may be a variable."""
    steps = plan_steps(read_configuration(pipeline), Store(tmp_path / "store"))

    def options(*overrides: str, trial: str | None = None) -> dict[str, Any]:
        found = watch_options(read_configuration(pipeline, overrides), steps[0], {}, trial)
        assert found is not None
        return found

    assert options()["group"] == options("wandb.project=other")["group"]
    assert options()["group"] != options("finetune.model.lr=1")["group"]
    assert (options()["name"], options()["trial"]) == ("denoise", False)
    assert (options(trial="denoise")["name"], options(trial="denoise")["trial"]) == (None, True)
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    assert options("wandb.project=null")["project"] == "theirs"
    assert options()["project"] == "mine"


@pytest.mark.parametrize(("entry", "message"), [("projekt: a", "did you mean project?"), ("online", "a section with")])
def test_a_mistyped_entry_is_named(pipeline: Path, entry: str, message: str) -> None:
    """Before anything is trained."""
    override = f"wandb={{{entry}}}" if ":" in entry else f"wandb={entry}"
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        read_configuration(pipeline, [override])


def test_a_bundles_figures_are_sent_with_their_intervals_and_no_names(pipeline: Path, tmp_path: Path) -> None:
    """The evaluation is a run of the group, unless a sweep's agent asked: a trial is not chosen by it."""
    found = {
        "denoise": {"on": "photographs", "n": 3, "psnr_gain": 1.5, "psnr_gain_ci95": [1.0, 2.0], "ssim_gain_ci95": None},
        "clips": [{"persons": ["anna"], "predictions": [{"clip": "anna.mp4"}], "parts": {"fused": {
            "n": 4, "accuracy": 0.5, "persons": {"anna": [2, 4]}, "confusion": COUNTS,
        }}}],
    }  # fmt: skip
    recipe = {"stage": "evaluate", "version": 1, "params": {}, "inputs": {}, "source": None, "tools": {}}

    def make(draft: Draft) -> Outcome:
        draft.write_json("evaluation.json", found)
        return Outcome()

    step = Step("evaluate", recipe, cached(Store(tmp_path / "store"), recipe, make))
    configuration = read_configuration(pipeline)
    assert watch_options(configuration, step, {}, "finetune") is None
    options = watch_options(configuration, step, {}, None)
    assert options is not None
    show_evaluation(step, options)
    (run,) = runs(tmp_path).values()
    sent = wandb_files.history(run)
    assert {name: value for name, value in sent.items() if name[0] != "_" and "_table" not in name} == {
        "denoise.n": 3, "denoise.psnr_gain": 1.5, "denoise.psnr_gain_ci95.low": 1.0, "denoise.psnr_gain_ci95.high": 2.0,
        "clips.0.fused.n": 4, "clips.0.fused.accuracy": 0.5,
    }  # fmt: skip
    (file,) = (run / "files").rglob("*.table.json")
    counts = {tuple(row[:2]): row[2] for row in json.loads(file.read_text())["data"]}
    assert {pair: count for pair, count in counts.items() if count} == {("angry", "angry"): 2, ("sad", "none"): 2}
    assert len(counts) == 7 * 9
    assert "anna" not in wandb_files.sent_text(run)
    assert wandb_files.config(run)["key"] == step.key


def test_the_configuration_of_a_single_training_is_refused(pipeline: Path) -> None:
    """It would send the store's path, in the training's command line."""
    with pytest.raises(UsageError, match="by --wandb"):
        read_configuration(pipeline, [], "--config configs/wandb.yaml", "denoise")


def test_with_a_server_what_was_read_is_named_by_its_digest(image_weights: Path) -> None:
    """The client refuses this without a server, so that a stand-in notes what it is asked for."""
    noted: list[tuple[str, str, list[str], str]] = []

    class Server:
        offline = False

        def use_artifact(self, artifact: wandb.Artifact, aliases: list[str]) -> None:
            noted.append(("use", artifact.name, aliases, artifact.digest))

        def log_artifact(self, artifact: wandb.Artifact, aliases: list[str]) -> None:
            noted.append(("log", artifact.name, aliases, artifact.digest))

    weights, denoiser = find_weights("image", image_weights), find_weights("denoise", "small")
    log_weights(Server(), weights, "f" * 64, {"denoise": denoiser})  # type: ignore[arg-type]
    log_weights(Server(), denoiser, None, {})  # type: ignore[arg-type]
    (use, own, upstream) = noted
    assert use[:3] == ("use", "denoise", [denoiser.card["blake3"][:12]])
    assert own[:3] == ("log", "image", [weights.card["blake3"][:12], "f" * 12])
    assert use[1:] == upstream[1:]  # the same name, digest and so version as where it was made


def test_paths_are_left_out() -> None:
    """By their names, by what they look like; numbers and words stay."""
    given = {
        "root": "a",
        "store": "b",
        "weights": "c.safetensors",
        "d": "/e",
        "f": "g/h",
        "i": None,
        "lr": 0.1,
        "name": "mlp",
    }
    assert without_paths(given) == {"lr": 0.1, "name": "mlp"}
