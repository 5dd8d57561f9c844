"""Weights & Biases beside a run's own files, with the real client and without a server."""

import csv
import json
import os
import subprocess
import sys

import pytest
import wandb
import yaml

from tests import wandb_files
from vidfer.cli.train import VidferCLI, main
from vidfer.types import UsageError, VidferError

BESIDE = "--config=configs/wandb.yaml"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No run leaves this machine, and none is left open."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # whoever runs the tests may be logged in
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    yield
    wandb.finish()


@pytest.fixture
def mode(monkeypatch):
    """Choose another mode; the client reads its environment once."""

    def choose(name):
        wandb.teardown()
        monkeypatch.setenv("WANDB_MODE", name)

    yield choose
    wandb.teardown()


@pytest.fixture
def arguments(tmp_path):
    """A denoiser's training of two steps, which shows photographs after its validation."""

    def build(*extra, version="one", verb="fit"):
        return [
            verb,
            "--config=configs/denoise.yaml",
            "--data.init_args.crop=16",
            "--data.init_args.batch_size=2",
            "--data.init_args.crops_per_epoch=4",
            "--data.init_args.sigmas=[25]",
            "--model.init_args.adversarial_weight=0",
            f"--trainer.logger.init_args.save_dir={tmp_path}",
            f"--trainer.logger.init_args.version={version}",
            "--trainer.enable_progress_bar=false",
            "--trainer.accelerator=cpu",
            "--trainer.log_every_n_steps=1",
            *(["--trainer.max_epochs=1"] if verb == "fit" else []),
            *extra,
        ]

    return build


@pytest.fixture
def fit(arguments, tmp_path):
    """Train for a moment with the client beside; returns the CLI, the run's folder and the folders of the client's runs."""

    def run(*extra, **choice):
        cli = VidferCLI(args=arguments(BESIDE, f"--wandb.init_args.save_dir={tmp_path}", *extra, **choice))
        wandb.finish()
        return cli, tmp_path / "denoise" / choice.get("version", "one"), sorted(tmp_path.glob("wandb/offline-run-*"))

    return run


def test_two_trainings_in_one_place_have_folders_and_runs_of_their_own(fit):
    _, first, _ = fit("--model.init_args.lr=2e-3", version="one")
    _, second, runs = fit("--model.init_args.lr=1e-3", version="two")
    for folder, lr in ((first, 2e-3), (second, 1e-3)):
        assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["lr"] == lr
        assert (folder / "checkpoints" / "last.ckpt").is_file()
        assert (folder / "weights.safetensors").is_file()
        assert (folder / "curves.png").is_file()
    assert len(runs) == 2
    assert sorted(wandb_files.config(run)["model.init_args.lr"] for run in runs) == [1e-3, 2e-3]


def test_the_client_gets_the_rows_of_the_curves_and_the_settings_and_nothing_to_look_at(fit):
    _, folder, (run,) = fit("--model.init_args.optimizer=sgdma", "--model.init_args.momentum=0.8")
    with (folder / "metrics.csv").open() as file:
        rows = [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]
    logged = {name: value for row in rows for name, value in row.items() if name not in ("step", "epoch")}
    assert {"train_loss", "val_loss", "val_psnr", "val_ssim"} <= set(logged)
    sent = wandb_files.history(run)
    assert {name: sent[name] for name in logged} == pytest.approx(logged)
    settings = wandb_files.config(run)
    assert settings["momentum"] == settings["model.init_args.momentum"] == 0.8
    assert settings["data.init_args.crops_per_epoch"] == 4
    assert settings["trainer.max_epochs"] == 1
    assert not [name for name in settings if name.endswith("root")]
    assert list(folder.glob("samples/*.png"))  # they are here
    assert wandb_files.files(run) <= {"requirements.txt", "wandb-metadata.json", "wandb-summary.json", "config.yaml"}
    assert all(isinstance(value, int | float) for value in sent.values())
    kinds = {each.WhichOneof("record_type") for each in wandb_files.records(run)}
    assert not kinds & {"artifact", "use_artifact", "output", "output_raw", "tbrecord"}


@pytest.mark.slow
def test_pictures_are_sent_when_they_are_asked_for(fit):
    callbacks = '[{"class_path": "vidfer.tasks.callbacks.SampleImages", "init_args": {"send": true}}]'
    _, _, (run,) = fit(f"--trainer.callbacks={callbacks}")
    assert [name for name in wandb_files.files(run) if name.endswith(".png")]


def test_a_training_that_was_cut_off_goes_on_with_or_without_the_client(fit, arguments, tmp_path):
    _, folder, _ = fit()
    whole = (folder / "metrics.csv").read_text()
    (folder / "weights.safetensors").unlink()
    VidferCLI(args=arguments())  # where it is shown is no other setting
    assert (folder / "metrics.csv").read_text() == whole
    (folder / "weights.safetensors").unlink()
    cli, _, runs = fit()
    assert cli.model.batches == 2
    assert len(runs) == 2
    _, _, runs = fit()  # finished: there is nothing to show
    assert len(runs) == 2
    assert (folder / "weights.safetensors").is_file()


def test_disabled_leaves_the_run_as_it_is_and_nothing_of_the_client(fit, mode, tmp_path):
    mode("disabled")
    _, folder, runs = fit()
    assert (folder / "weights.safetensors").is_file()
    assert not runs
    assert not list(tmp_path.rglob("*.wandb"))


def test_the_curves_keep_the_runs_folder_whatever_the_order_of_loggers(arguments, tmp_path):
    curves = {
        "class_path": "vidfer.tasks.loggers.CurveLogger",
        "init_args": {"save_dir": str(tmp_path), "name": "denoise", "version": "one"},
    }
    client = {"class_path": "WandbLogger", "init_args": {"save_dir": str(tmp_path), "project": "mine", "version": None}}
    args = [each for each in arguments() if "logger" not in each]
    cli = VidferCLI(args=[*args, f"--trainer.logger={json.dumps([client, curves])}"])
    assert cli.trainer.log_dir == str(tmp_path / "denoise" / "one")
    assert sorted(path.name for path in (tmp_path / "denoise" / "one").iterdir() if path.suffix) == [
        "config.yaml", "curves.png", "hparams.yaml", "inputs.json", "metrics.csv",
        *(f"weights.{suffix}" for suffix in ("json", "onnx", "safetensors")),
    ]  # fmt: skip
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


@pytest.mark.parametrize(
    ("loggers", "reason"),
    [
        (["--trainer.logger=WandbLogger"], "keep the CurveLogger"),
        (["--trainer.logger+=WandbLogger", BESIDE], "asked for twice"),
        (["--trainer.logger+=WandbLogger", "--trainer.logger.init_args.version=two"], "'two' would be the id"),
        (["--trainer.logger=false", BESIDE], "keep the CurveLogger"),
    ],
)
def test_loggers_that_would_lose_files_are_refused(arguments, loggers, reason):
    with pytest.raises(UsageError, match=reason):
        VidferCLI(args=arguments(*loggers))


def test_the_project_is_the_environments_or_the_command_lines(arguments, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    for chosen, project in (((), "theirs"), (("--wandb.init_args.project=mine",), "mine")):
        cli = VidferCLI(args=arguments(BESIDE, *chosen)[1:], run=False)
        assert cli.trainer.loggers[1].name == project


def test_without_a_login_one_sentence_says_what_to_do(fit, mode):
    mode("online")
    with pytest.raises(VidferError, match=r"`wandb login`.*WANDB_BASE_URL.*WANDB_MODE=offline"):
        fit()


@pytest.mark.parametrize("chosen", [[BESIDE], ["--trainer.logger+=WandbLogger"]])
def test_without_the_client_one_sentence_names_the_extra(arguments, monkeypatch, capsys, chosen):
    monkeypatch.setattr("vidfer.pipeline.extras.find_spec", lambda name: None)
    assert main("denoise", arguments(*chosen)) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vidfer: Weights & Biases needs wandb, which is not installed: pip install 'vidfer[train]'"
    )


@pytest.mark.slow
def test_a_test_is_a_run_of_its_own(fit, tmp_path):
    _, folder, _ = fit()
    before = (folder / "metrics.csv").read_bytes()
    _, _, runs = fit(f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}", verb="test")
    assert (folder / "metrics.csv").read_bytes() == before
    assert len(runs) == 2
    assert any("test_psnr" in wandb_files.history(run) for run in runs)


@pytest.mark.slow
def test_a_training_that_fails_is_shown_as_failed(arguments, tmp_path):
    args = arguments(BESIDE, f"--wandb.init_args.save_dir={tmp_path}", "--trainer.max_epochs=2")
    VidferCLI(args=arguments("--trainer.max_epochs=1"))
    (tmp_path / "denoise" / "one" / "weights.safetensors").unlink()
    (tmp_path / "denoise" / "one" / "config.yaml").unlink()
    args.append(f"--ckpt_path={tmp_path / 'denoise' / 'one' / 'checkpoints' / 'last.ckpt'}")
    done = subprocess.run([sys.executable, "-m", "stages.denoise", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (run,) = tmp_path.glob("wandb/offline-run-*")
    assert [each.exit.exit_code for each in wandb_files.records(run)][-1] == 1


@pytest.mark.slow
def test_two_trainings_at_once_have_runs_of_their_own(arguments, tmp_path):
    """Which start at the same moment, in the same place."""
    command = [sys.executable, "-m", "stages.denoise"]
    beside = (BESIDE, f"--wandb.init_args.save_dir={tmp_path}")
    started = [subprocess.Popen([*command, *arguments(*beside, version=name)]) for name in ("one", "two")]
    assert [process.wait(timeout=240) for process in started] == [0, 0]
    runs = sorted(tmp_path.glob("wandb/offline-run-*"))
    assert len({run.name.rpartition("-")[2] for run in runs}) == 2
    assert [[each.exit.exit_code for each in wandb_files.records(run)][-1] for run in runs] == [0, 0]
    for name in ("one", "two"):
        assert (tmp_path / "denoise" / name / "config.yaml").is_file()
        assert (tmp_path / "denoise" / name / "weights.safetensors").is_file()


@pytest.mark.slow
def test_an_image_network_sends_counts_curves_and_what_faces_are_chosen(tmp_path):
    """By its own command, and the weights under their digest where they are asked for."""
    sent = {}
    for faces, more in (("blurred", ["weights=true"]), ("none", ["plots=false"])):
        args = [
            "fit", "--config=configs/finetune_compact.yaml", "--data=configs/data/sample_faces.yaml", BESIDE,
            f"--data.init_args.root={tmp_path / 'faces'}", "--data.init_args.val_share=0.3", "--trainer.max_epochs=1",
            "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
            f"--trainer.logger.init_args.save_dir={tmp_path}", f"--trainer.logger.init_args.version={faces}",
            f"--wandb.init_args.save_dir={tmp_path}", f"--wandb.init_args.faces={faces}",
            *(f"--wandb.init_args.{each}" for each in more),
        ]  # fmt: skip
        VidferCLI("finetune", args=args)
        wandb.finish()
        (sent[faces],) = set(tmp_path.glob("wandb/offline-run-*")) - set(sent.values())
    media = {run: sorted((sent[run] / "files").glob("media/*/*")) for run in sent}
    assert [path.name.rpartition("_")[0].rpartition("_")[0] for path in media["blurred"]] == [
        "val_faces", "val_confusion_table", "val_precision_recall_table",
    ]  # fmt: skip
    assert media["none"] == []
    counts = json.loads(media["blurred"][1].read_text())["data"]
    share = sum(row[2] for row in counts if row[0] == row[1]) / sum(row[2] for row in counts)
    assert share == pytest.approx(wandb_files.history(sent["blurred"])["val_acc"])
    artifacts = [each.artifact for each in wandb_files.records(sent["blurred"]) if each.artifact.type == "weights"]
    card = json.loads((tmp_path / "finetune" / "blurred" / "weights.json").read_text())
    assert [(each.name, set(each.aliases)) for each in artifacts] == [("image", {"latest", card["blake3"][:12]})]
