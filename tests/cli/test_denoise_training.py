"""The denoise stage's command line, on a few small crops of scikit-image's photographs."""

import csv
import json

import cv2
import numpy as np
import pytest
import yaml

from vidfer.cli.train import VidferCLI, main
from vidfer.inference.denoiser import Denoiser
from vidfer.tasks.denoise import DenoiseTask
from vidfer.types import VidferError


@pytest.fixture
def stage(tmp_path):
    """Run a verb of the stage; returns the CLI and the run's folder."""

    def run(*extra, verb="fit"):
        cli = VidferCLI(
            args=[
                verb, "--config=configs/denoise.yaml", "--data.init_args.crop=16", "--data.init_args.batch_size=4",
                "--data.init_args.crops_per_epoch=40", f"--trainer.logger.init_args.save_dir={tmp_path}",
                f"--trainer.default_root_dir={tmp_path}", "--trainer.enable_progress_bar=false",
                "--trainer.max_epochs=2", "--model.init_args.critic_width=2", "--model.init_args.warmup_share=0.5",
                "--trainer.log_every_n_steps=1", "--trainer.limit_val_batches=1",
                *extra,
            ]
        )  # fmt: skip
        return cli, tmp_path / "denoise/sample"

    return run


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def cut(monkeypatch, batches):
    """Break the training off after some batches."""

    def step(self, batch, batch_idx):
        if self.batches == batches:
            raise ConnectionAbortedError("cut")
        return whole_step(self, batch, batch_idx)

    whole_step = DenoiseTask.training_step
    monkeypatch.setattr(DenoiseTask, "training_step", step)


def test_a_run_leaves_curves_samples_weights_and_a_card(stage):
    _, folder = stage()
    found = rows(folder)
    assert {"train_loss", "val_psnr", "val_ssim", "wasserstein", "gradient_penalty", "generator_steps"} <= set(found[0])
    assert [row["generator_steps"] for row in found if row["train_loss"]][-1] == "12.0"
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["0000010.png", "0000020.png"]
    picture = cv2.imread(str(folder / "samples/0000020.png"))
    assert picture.shape == (3 * 18 + 2, 4 * 18 + 2, 3)  # three rows of a batch of four, two pixels between them
    card = json.loads((folder / "weights.json").read_text())
    assert card["recipe"]["steps"] == {"batches": 20, "generator": 12, "critic": 10}
    (metrics,) = card["metrics"]
    assert metrics["n"] == 27  # nine crops of one photograph at three levels
    assert metrics["on"].startswith("sample (scikit-image), validation photographs")
    assert metrics["split"] == "val"
    assert metrics["psnr_noisy"] < 60
    assert Denoiser(folder / "weights.safetensors")(np.zeros((1, 20, 20, 3), np.uint8)).shape == (1, 20, 20, 3)


def test_cut_and_started_again_it_goes_on_with_steps_and_curves(stage, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        cut(patch, 13)
        with pytest.raises(ConnectionAbortedError):
            stage("--trainer.callbacks.init_args.interval=0:00:00")
    cli, folder = stage("--trainer.callbacks.init_args.interval=0:00:00")
    assert (cli.model.batches, cli.model.generator_steps, cli.model.critic_steps) == (20, 12, 10)
    trained = [row for row in rows(folder) if row["generator_steps"]]
    assert [int(row["step"]) for row in trained] == list(range(20))
    steps = [float(row["generator_steps"]) for row in trained]
    assert steps == sorted(steps)
    assert len([row for row in rows(folder) if row["val_psnr"]]) == 2


def test_a_finished_run_is_left_alone(stage, caplog):
    _, folder = stage("--trainer.max_epochs=1")
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    stage("--trainer.max_epochs=1")
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_are_refused(stage):
    stage("--trainer.max_epochs=1")
    with pytest.raises(VidferError, match=r"other settings \(model\.init_args\.lr\)"):
        stage("--trainer.max_epochs=1", "--model.init_args.lr=0.1")


def test_the_printed_config_is_the_run(stage, capsys):
    with pytest.raises(SystemExit):
        stage("--print_config")
    printed = yaml.safe_load(capsys.readouterr().out)
    _, folder = stage()
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    for part in ("seed_everything", "model", "data", "trainer"):
        assert stored[part] == printed[part]


def test_validate_test_and_predict(stage, tmp_path):
    _, folder = stage("--trainer.max_epochs=1")
    weights = f"--model.init_args.weights={folder / 'weights.safetensors'}"
    kept = {name: (folder / name).read_bytes() for name in ("config.yaml", "metrics.csv", "curves.png")}
    for verb in ("validate", "test"):
        cli, _ = stage(weights, verb=verb)
        assert cli.trainer.callback_metrics[f"{'val' if verb == 'validate' else 'test'}_psnr"] > 10
    assert {name: (folder / name).read_bytes() for name in kept} == kept  # a look at a run is no part of it
    photo = np.random.default_rng(0).integers(0, 256, (21, 35, 3), np.uint8)
    (tmp_path / "photos/deep").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "photos/deep/a.png"), photo[..., ::-1])
    _, folder = stage(weights, f"--data.init_args.test_root={tmp_path / 'photos'}", verb="predict")
    made = cv2.imread(str(folder / "denoised/deep/a.png"))[..., ::-1]
    np.testing.assert_array_equal(made, Denoiser(folder / "weights.safetensors")(photo[None])[0])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--model.init_args.objective=lsgan", "unknown objective 'lsgan': use one of wgan-gp, wgan, gan, mse"),
        ("--data.init_args.crop=8", "a crop of 8 px is too small"),
        ("--model.init_args.weights=none.safetensors", "no weights file none.safetensors"),
        ("--data.init_args.root=none", "there is no folder none"),
        ("--ckpt_path=none.ckpt", "no checkpoint none.ckpt"),
        ("--ckpt_path=README.md", "the checkpoint README.md is damaged"),
        ("--trainer.max_steps=5", "budgeted by trainer.max_epochs"),
    ],
)
def test_faults_end_with_one_sentence(argument, message, tmp_path, capsys):
    places = [f"--trainer.logger.init_args.save_dir={tmp_path}", f"--trainer.default_root_dir={tmp_path}"]
    assert main("denoise", ["fit", "--config=configs/denoise.yaml", *places, argument]) == 1
    said = capsys.readouterr().err.splitlines()
    assert any(message in line for line in said if line.startswith("vidfer: "))
