import csv
import json
import re
import shutil
from typing import Union

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from blake3 import blake3
from lightning.pytorch import Trainer
from torchmetrics import MetricCollection

from vidfer.cli.train import STAGES, VidferCLI, main
from vidfer.inference.models import ImageModel
from vidfer.tasks.checkpoints import AtomicCheckpointIO
from vidfer.tasks.image import ImageTask
from vidfer.types import DISPLAYED, EMOTIONS, UsageError, VidferError
from vidfer.weights.files import find_weights


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


def test_one_batch_is_not_all_batches_in_whatever_order_a_union_was_cached(fit, monkeypatch):
    wanted = "limit_train_batches"
    monkeypatch.setitem(Trainer.__init__.__annotations__, wanted, Union[float, int, None])  # noqa: UP007 - as cached
    cli, _ = fit()
    assert (cli.trainer.limit_train_batches, cli.trainer.global_step) == (1, 1)
    assert isinstance(cli.trainer.limit_train_batches, int)


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


@pytest.mark.parametrize("none", ["--trainer.max_epochs=0", "--trainer.max_steps=0"])
def test_a_training_of_nothing_is_refused_and_exports_nothing(fit, none, tmp_path):
    with pytest.raises(UsageError, match="nothing would be trained"):
        fit(none)
    assert not list(tmp_path.rglob("weights.*"))


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


def test_the_best_weights_are_exported_where_a_validation_chooses(fit, monkeypatch):
    figures = iter([0.1, 0.9, 0.2])
    whole = ImageTask.on_validation_epoch_end

    def fake(self):
        self.log("val_acc", next(figures) if not self.trainer.sanity_checking else 0.0)
        whole(self)

    monkeypatch.setattr(ImageTask, "on_validation_epoch_end", fake)
    monkeypatch.setattr("vidfer.tasks.base.classification_metrics", lambda split: MetricCollection({}))
    _, folder = fit("--trainer.max_epochs=3", "--trainer.num_sanity_val_steps=0")
    (best,) = (folder / "checkpoints").glob("best-*.ckpt")
    kept = torch.load(best, weights_only=True)
    card = json.loads((folder / "weights.json").read_text())
    assert card["recipe"]["exported"] == {
        "checkpoint": "best", "monitor": "val_acc", "value": pytest.approx(0.9), "step": 2, "epoch": 1,
    }  # fmt: skip
    assert card["validation"]["val_acc"] == pytest.approx(0.9)
    exported = find_weights("image", folder / "weights.safetensors").tensors()
    for name, tensor in exported.items():
        torch.testing.assert_close(tensor, kept["state_dict"][f"backbone.{name}"])
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert not torch.equal(exported["head.weight"], last["backbone.head.weight"])


def test_without_a_choice_the_last_weights_are_exported(fit):
    _, folder = fit("--trainer.callbacks=[]")
    assert json.loads((folder / "weights.json").read_text())["recipe"]["exported"] == {"checkpoint": "last"}


def test_a_finished_run_is_refused_when_data_or_weights_have_changed(fit, faces_root, image_weights):
    start = f"--model.init_args.weights={image_weights}"
    _, folder = fit(start)
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    fit(start)  # nothing changed
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before
    raw = image_weights.read_bytes()
    image_weights.write_bytes(raw[:-4] + b"\0\0\0\0")
    card = image_weights.with_suffix(".json")
    known = card.read_text()
    card.write_text(known.replace(json.loads(known)["blake3"], blake3(image_weights.read_bytes()).hexdigest()))
    with pytest.raises(VidferError, match="the content of its weights"):
        fit(start)
    image_weights.write_bytes(raw)
    card.write_text(known)
    picture = next((faces_root / "train" / "happy").iterdir())
    shutil.copy(next((faces_root / "train" / "sad").iterdir()), picture)
    with pytest.raises(VidferError, match="the content of its data"):
        fit(start)


@pytest.mark.parametrize("verb", ["validate", "test"])
@pytest.mark.parametrize(
    ("extra", "said"),
    [([], "untrained network"), (["--ckpt_path=last"], "no checkpoint 'last'"), (["--ckpt_path=best"], "no checkpoint 'best'"),
     (["--ckpt_path=none.ckpt"], "no checkpoint none.ckpt")],
)  # fmt: skip
def test_an_untrained_network_is_not_measured(fit, verb, extra, said):
    with pytest.raises(VidferError, match=said):
        fit(*extra, verb=verb, version="nowhere")


@pytest.mark.parametrize("which", ["last", "best"])
def test_the_last_and_the_best_checkpoint_are_found(fit, which):
    _, folder = fit()
    cli, _ = fit(f"--ckpt_path={which}", verb="test")
    kept = torch.load(next((folder / "checkpoints").glob(f"{which}*.ckpt")), weights_only=True)["state_dict"]
    torch.testing.assert_close(cli.model.backbone.head.weight.detach().cpu(), kept["backbone.head.weight"])


def test_a_checkpoint_of_another_network_is_refused(fit):
    _, folder = fit()
    with pytest.raises(VidferError, match="the checkpoint is of another network"):
        fit(f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}", "--data.init_args.in_chans=3", verb="test")


def run(stage, *words, capsys):
    """Run a stage's command line; returns the exit status and what was said on the error stream."""
    try:
        status = main(stage, words)
    except SystemExit as ended:
        status = ended.code
    return status, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "config", ["denoise", "denoise_bsds", "denoise_bsds_gan", "finetune", "finetune_compact", "classify"]
)
def test_another_stages_configuration_is_refused(stage, config, capsys):
    own = config.partition("_")[0]
    if stage == own:
        pytest.skip("its own")
    status, said = run(stage, "fit", f"--config=configs/{config}.yaml", capsys=capsys)
    assert status == 2
    assert f"is for the stage {own}: python -m stages.{own}" in said[-1]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("data", "own"), [("photos", "denoise"), ("sample_faces", "finetune"), ("ravdess", "classify")]
)
def test_data_of_another_stage_are_refused(stage, data, own, capsys):
    if stage == own:
        pytest.skip("its own")
    status, said = run(
        stage, "fit", f"--config=configs/{stage}.yaml", f"--data=configs/data/{data}.yaml", capsys=capsys
    )
    assert status == 2
    assert f"is for the stage {own}: python -m stages.{own}" in said[-1]


def test_a_run_that_cannot_be_written_is_one_sentence(fit, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VidferError, match=r"results cannot be written to .*by --trainer.logger.init_args.save_dir"):
        fit(f"--trainer.logger.init_args.save_dir={tmp_path / 'file'}")


@pytest.mark.parametrize(("stage", "config"), [("finetune", "finetune_compact"), ("classify", "classify")])
def test_predict_without_weights_is_one_sentence(stage, config, capsys):
    status, said = run(stage, "predict", f"--config=configs/{config}.yaml", capsys=capsys)
    assert (status, len([line for line in said if line.startswith("vidfer: predict would use an untrained")])) == (1, 1)


@pytest.mark.parametrize("split", ["test", "val"])
def test_predict_writes_what_evaluate_image_computes(fit, faces_root, split):
    _, folder = fit()
    weights = f"--model.init_args.weights={folder / 'weights.safetensors'}"
    cli, folder = fit(weights, f"--split={split}", verb="predict", version="told")
    table = pd.read_parquet(folder / "predictions.parquet")
    assert [path.name for path in folder.glob("predictions*")] == ["predictions.parquet"]
    assert DISPLAYED.encode() == pq.read_schema(folder / "predictions.parquet").metadata[b"about"]
    images = cli.datamodule.data[split]
    assert list(table.columns) == ["image", "digest", "person", "label", "split", *EMOTIONS]
    assert (len(table), set(table["split"])) == (len(images), {split})
    assert table["digest"].tolist() == images.digest
    assert table["label"].tolist() == [EMOTIONS[at] for at in images.target.tolist()]
    logits = ImageModel(str(faces_root.parent / "finetune/one/weights.safetensors")).of_gray(images.image.numpy())[1]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(table[list(EMOTIONS)], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config=configs/denoise.yaml", "--data=configs/data/div2.yaml"], "no configuration .*div2.yaml.*mean div2k"),
        (["--config", "configs/denoize.yaml"], "no configuration configs/denoize.yaml.*did you mean denoise"),
        (["--config=configs/denoise.yaml", "--model", "configs/classifiers/gna.yaml"], "there are cnn, dbn.*did you mean gan"),
        (["--config=configs/denoise.yaml", "--trainer=nowhere/gpu.yaml"], "there are none in nowhere"),
        (["--config=configs/denoise.yaml", "--trainer.max_epoch=2"], "max_epoch"),
        (["--config=configs/denoise.yaml", "--trainer.max_epo", "2"], "max_epo"),
        (["--config=configs/denoise.yaml", "--data=DenoiseDataModul"], "there is no class 'DenoiseDataModul'$"),
        (["--config=configs/denoise.yaml", "--data.class_path=vidfer.datamodules.denoise.Den"], "no class 'vidfer.*noise.Den'$"),
        (["--config=configs/denoise.yaml", "--model.class_path=vidfer.nothing.Den"], "no class 'vidfer.nothing.Den'$"),
        (["--config=configs/denoise.yaml", "--trainer.accelerator=gpuu"], "vidfer: --trainer: .*invalid accelerator"),
        (["--config=configs/denoise.yaml", "--trainer.accelerator=cpu", "--trainer.devices=x"], "vidfer: --trainer: .*devices"),
    ],
)  # fmt: skip
def test_a_mistyped_word_is_refused_by_name(words, said, capsys):
    status, lines = run("denoise", "fit", *words, capsys=capsys)
    assert status == 2
    assert re.search(said, "\n".join(lines))


@pytest.mark.parametrize("words", [[], ["fit"], ["--config"], ["fit", "--config"], ["fit", "--model"], ["fi"]])
def test_a_command_line_that_is_cut_off_is_one_sentence(words, capsys):
    status, lines = run("denoise", *words, capsys=capsys)
    assert status == 2
    assert len(lines) == 1


def test_a_machine_without_the_device_is_told_in_one_sentence(capsys, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    status, said = run("denoise", "fit", "--config=configs/denoise.yaml", "--trainer.accelerator=cuda", capsys=capsys)
    assert status == 1
    assert said[-1].startswith("vidfer: ")
    assert "not available" in said[-1]


def test_the_first_line_names_the_data(fit, faces_root, capsys):
    fit("--trainer.fast_dev_run=true")
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if not line.startswith("Seed set")]
    assert lines[0] == f"vidfer: fit on sample (drawn faces: no people), in {faces_root}"
