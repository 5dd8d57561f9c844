import csv
import json
import shutil

import pytest
import torch
import yaml

from vidfer.cli.train import VidferCLI
from vidfer.inference.models import ImageModel
from vidfer.tasks.callbacks import AtomicCheckpointIO
from vidfer.tasks.image import ImageTask


@pytest.fixture
def fit(faces_root, tmp_path):
    """Run the finetune stage's command line for a moment on drawn faces; returns the CLI and the run's folder."""

    def run(*extra, version="one", verb="fit"):
        cli = VidferCLI(
            args=[
                verb,
                "--config=configs/finetune_compact.yaml",
                "--data=configs/data/sample_faces.yaml",
                f"--data.init_args.root={faces_root}",
                "--data.init_args.batch_size=16",
                "--data.init_args.val_share=0.25",
                f"--trainer.logger.init_args.save_dir={tmp_path}",
                f"--trainer.default_root_dir={tmp_path}",
                f"--trainer.logger.init_args.version={version}",
                "--trainer.enable_progress_bar=false",
                *(["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"] if verb == "fit" else []),
                *extra,
            ]
        )
        return cli, tmp_path / "finetune" / version

    return run


def test_a_run_leaves_its_config_checkpoints_and_weights_with_a_measured_card(fit):
    cli, folder = fit()
    assert yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
    assert sorted(p.name for p in (folder / "checkpoints").iterdir())[-2:] == ["epoch=000.ckpt", "last.ckpt"]
    card = json.loads((folder / "weights.json").read_text())
    assert card["data"]["source"].startswith("sample (drawn")
    assert card["recipe"]["task"]["lr"] == 0.1
    assert [entry["n"] for entry in card["metrics"]] == [14, 14]
    assert "root" not in card["recipe"]["data"]
    model = ImageModel(folder / "weights.safetensors")
    exported = model.of_gray(cli.datamodule.data["val"].image.numpy())[1]
    with torch.no_grad():
        batch = cli.datamodule.on_after_batch_transfer(next(iter(cli.datamodule.val_dataloader())), 0)
        trained = cli.model.eval().cpu()(batch["image"])
    torch.testing.assert_close(torch.from_numpy(exported), trained, atol=1e-4, rtol=1e-4)


def test_a_second_run_does_not_meet_the_firsts_config(fit):
    fit(version="one")
    _, folder = fit("--model.init_args.momentum=0.5", version="two")
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["momentum"] == 0.5


def test_resuming_goes_on_where_it_stopped(fit):
    whole, folder = fit("--trainer.max_epochs=3", version="one")
    newest = sorted(p.name for p in (folder / "checkpoints").glob("epoch*"))
    assert newest == ["epoch=001.ckpt", "epoch=002.ckpt"]  # two are kept
    killed = folder / "checkpoints/epoch=001.ckpt"
    cli, folder = fit("--trainer.max_epochs=3", f"--ckpt_path={killed}", version="two")
    assert (cli.trainer.current_epoch, cli.trainer.global_step) == (3, 3)
    with (folder / "metrics.csv").open() as file:
        assert {row["epoch"] for row in csv.DictReader(file)} == {"2"}
    rates = [each.trainer.optimizers[0].param_groups[0]["lr"] for each in (whole, cli)]
    assert rates[0] == pytest.approx(rates[1])  # the schedule went on, too


def test_checkpoints_load_without_pickled_code(fit):
    _, folder = fit()
    task = ImageTask.load_from_checkpoint(folder / "checkpoints/last.ckpt", weights_only=True)
    assert task.hparams["backbone"] == "compact"


@pytest.mark.parametrize(("given", "channels"), [("data", 3), ("model", 1)])
def test_shared_arguments_are_the_datas_to_set(fit, given, channels):
    cli, _ = fit(f"--{given}.init_args.in_chans=3", "--trainer.fast_dev_run=true")
    assert cli.model.backbone.stem[0].in_channels == channels


def test_a_stray_optimizer_is_refused(fit):
    with pytest.raises(SystemExit):
        fit("--optimizer=Adam")


def test_a_seed_is_set_although_none_is_given(fit):
    cli, _ = fit("--trainer.fast_dev_run=true")
    assert cli.config["fit"]["seed_everything"] == 0


def test_without_test_images_the_weights_are_exported_unmeasured(fit, faces_root):
    shutil.rmtree(faces_root / "public_test")
    _, folder = fit()
    card = json.loads((folder / "weights.json").read_text())
    assert card["metrics"] == []
    assert ImageModel(folder / "weights.safetensors").card == card


def test_the_cards_class_shares_are_those_that_the_loss_saw(fit, faces_root):
    for file in sorted((faces_root / "train" / "happy").iterdir())[2:]:
        file.unlink()
    shares = {}
    for weighting in (0.0, 1.0):
        _, folder = fit(f"--model.init_args.class_weighting={weighting}", version=f"weighted{weighting:g}")
        shares[weighting] = json.loads((folder / "weights.json").read_text())["data"]["class_shares"]
    assert shares[0.0][3] < 0.1
    assert shares[1.0] == pytest.approx([1 / 7] * 7, abs=1e-5)


def test_phases_that_were_cut_off_go_on_at_their_rates(fit):
    phases = "--model.init_args.phases=[[2,0.01],[2,0.001]]"
    _, folder = fit(phases, "--trainer.max_epochs=1", version="cut")
    last = folder / "checkpoints" / "last.ckpt"
    cli, _ = fit(phases, "--trainer.max_epochs=-1", f"--ckpt_path={last}", version="resumed")
    assert cli.trainer.global_step == 4
    assert cli.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.001)


def test_the_later_argument_wins(fit):
    cli, _ = fit("--trainer.fast_dev_run=true", "--model.init_args.lr=0.3", "--model.init_args.lr=0.2")
    assert cli.model.hparams["lr"] == 0.2


def test_any_timm_backbone_takes_a_step(fit):
    cli, _ = fit("--model.init_args.backbone=test_resnet", "--trainer.fast_dev_run=true")
    assert cli.trainer.global_step == 1


def test_a_writer_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, path)

    def full(checkpoint, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        writer.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]
