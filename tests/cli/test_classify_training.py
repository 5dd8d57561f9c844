"""The classify stage from the command line to an answer, with a classifier that only this file knows."""

import json

import pytest
import torch
from torch import nn

from vidfer.cli.train import VidferCLI
from vidfer.inference.classifiers import AudioModel
from vidfer.models.backbone import build_backbone
from vidfer.models.classifiers import classifier_names
from vidfer.models.classifiers.base import Classifier, Standardise
from vidfer.types import VidferError
from vidfer.weights.files import save_weights

CONFIG = """
class_path: vidfer.tasks.clip.ClipTask
init_args:
  classifier: tests.cli.test_classify_training.MedianClassifier
  arguments: {}
  lr: 0.01
"""


class MedianClassifier(Classifier):
    reads = ("sound",)

    def __init__(self, num_sound_features: int = 1582) -> None:
        super().__init__()
        self.standardise = Standardise(num_sound_features)
        self.head = nn.Linear(num_sound_features, 7)

    def prepare(self, train):
        self.standardise.fit(train["sound"][train["sound_mask"]])

    def forward(self, batch):
        hidden = self.standardise(batch["sound"]).masked_fill(~batch["sound_mask"][..., None], float("nan"))
        return self.head(hidden.nanmedian(1).values.nan_to_num()).log_softmax(1)


@pytest.fixture
def fit(sounds_root, vectors_store, tmp_path):
    """Run the stage on the synthesised voices of three speakers; returns the CLI and the run's folder."""

    def run(*extra, verb="fit", version="one", people=("1", "2", "3")):
        cli = VidferCLI(
            args=[
                verb, "--config=configs/classify.yaml", *extra, "--data=configs/data/sample_sounds.yaml",
                f"--data.init_args.root={sounds_root}", f"--data.init_args.store={vectors_store}",
                *(f"--data.init_args.{split}_people={who}" for split, who in zip(("train", "val", "test"), people, strict=True)),
                f"--trainer.logger.init_args.save_dir={tmp_path}", f"--trainer.default_root_dir={tmp_path}",
                f"--trainer.logger.init_args.version={version}", "--trainer.enable_progress_bar=false",
                *(["--trainer.max_epochs=2"] if verb == "fit" else []),
            ]
        )  # fmt: skip
        return cli, tmp_path / "classify" / version

    return run


def test_a_classifier_takes_one_file_and_one_configuration(fit, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_CLASSIFIERS", "tests")
    (tmp_path / "median.yaml").write_text(CONFIG)
    _, folder = fit(f"--model={tmp_path / 'median.yaml'}")
    card = json.loads((folder / "weights.json").read_text())
    assert card["arch"] == "tests.cli.test_classify_training.MedianClassifier"
    assert [entry["n"] for entry in card["metrics"]] == [16]
    assert AudioModel(folder / "weights.safetensors")(torch.zeros(3, 1582).numpy()).shape == (3, 7)


def test_a_run_leaves_weights_with_a_card(fit):
    cli, folder = fit()
    card = json.loads((folder / "weights.json").read_text())
    assert (card["kind"], card["arch"]) == ("audio", "mlp")
    assert card["data"]["source"].startswith("sample (synthesised")
    assert card["data"]["trained_on"] == 16
    assert card["recipe"]["task"]["momentum"] == 0.9
    assert "root" not in card["recipe"]["data"]
    assert set(card["validation"]) >= {"val_loss", "val_acc", "val_uar"}
    vectors = cli.datamodule.samples["test"][0].features["sound"]
    exported = AudioModel(folder / "weights.safetensors")(vectors.numpy())
    batch = {
        "target": torch.full((len(vectors),), -1),
        "sound": vectors[:, None],
        "sound_mask": torch.ones(len(vectors), 1).bool(),
    }
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(exported), cli.model.eval().cpu()(batch))


def test_without_anyone_to_test_on_the_weights_are_exported_unmeasured(fit):
    _, folder = fit(people=("1-2", "", ""))
    assert json.loads((folder / "weights.json").read_text())["metrics"] == []


def test_another_model_replaces_the_configurations_arguments(fit):
    cli, _ = fit("--config=configs/classifiers/linear.yaml", "--trainer.fast_dev_run=true")
    assert cli.model.hparams["arguments"] == {}
    assert type(cli.model.classifier).__name__ == "LinearClassifier"


@pytest.fixture
def fit_on(sounds_root, faces_root, vectors_store, tmp_path):
    """Run the stage on paired clips with an image network of random weights; returns the CLI and the card."""

    def run(backbone, name, *extra):
        torch.manual_seed(0)
        weights, preprocessing = tmp_path / f"{backbone}.safetensors", {"image_size": 96, "in_chans": 3}
        card = {"kind": "image", "arch": backbone, "arguments": {"in_chans": 3}, "preprocessing": preprocessing}
        save_weights(weights, build_backbone(backbone, in_chans=3).state_dict(), card)
        cli = VidferCLI(
            args=[
                "fit", "--config=configs/classify.yaml", f"--config=configs/classifiers/{name}.yaml",
                "--data=configs/data/paired.yaml", f"--data.init_args.root={sounds_root}", "--data.init_args.voice=false",
                f"--data.init_args.faces_root={faces_root}", f"--data.init_args.store={vectors_store}",
                "--data.init_args.train_people=1-2", "--data.init_args.test_people=3", "--data.init_args.speeds=null",
                f"--data.init_args.image_model={weights}", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false",
                f"--trainer.logger.init_args.save_dir={tmp_path}", f"--trainer.logger.init_args.version={name}", *extra,
            ]
        )  # fmt: skip
        return cli, json.loads((tmp_path / "classify" / name / "weights.json").read_text())

    return run


def test_a_classifier_learns_from_the_embeddings_of_another_image_model(fit_on):
    cli, card = fit_on("test_resnet", "lstm")
    frames = cli.datamodule.samples["train"][0].features["frames"]
    assert frames.shape[1] != 128
    assert card["arguments"] == {"num_frame_features": frames.shape[1]}
    assert card["metrics"][0]["n"] == 16


@pytest.mark.slow
def test_every_classifier_learns_from_inception_resnet_v2(fit_on):
    for name in classifier_names():
        modality = ["--model.init_args.arguments.modality=frames"] if name in ("linear", "mlp", "gan", "dbn") else []
        cli, card = fit_on("inception_resnet_v2", name, *modality)
        assert card["kind"] == ("fusion" if name == "fusion" else "faces")
        if "frames" in cli.model.reads:
            assert card["arguments"]["num_frame_features"] == 1536
            assert cli.datamodule.samples["train"][0].features["frames"].shape[1] == 1536
        assert card["metrics"][0]["n"] == 16


def test_a_resumed_run_ends_with_the_same_weights(fit):
    whole, _ = fit("--trainer.max_epochs=2", version="whole")
    fit("--trainer.max_epochs=2", "--trainer.limit_train_batches=1", version="other")
    cut, folder = fit(version="again")
    (folder / "weights.safetensors").unlink()
    cli, _ = fit(f"--ckpt_path={folder / 'checkpoints' / 'epoch=000.ckpt'}", version="resumed")
    assert cli.trainer.global_step == whole.trainer.global_step == cut.trainer.global_step
    for name, tensor in whole.model.classifier.state_dict().items():
        if name.startswith("standardise"):
            torch.testing.assert_close(cli.model.classifier.state_dict()[name].cpu(), tensor.cpu())


@pytest.mark.parametrize("optimizer", ["sgd", "sgdma", "adagrad", "rmsprop", "adam"])
def test_any_optimizer_takes_a_step(fit, optimizer):
    cli, _ = fit(
        f"--model.init_args.optimizer={optimizer}", "--model.init_args.nesterov=false", "--trainer.fast_dev_run=true"
    )
    assert cli.trainer.global_step == 1


def test_validation_with_nobody_held_out_says_so(fit):
    fit(people=("1-2", "", "3"))
    with pytest.raises(VidferError, match="nothing is held out to validate on"):
        fit("--ckpt_path=last", verb="validate", people=("1-2", "", "3"))


def test_a_warm_up_of_one_step(fit):
    cli, _ = fit("--data.init_args.batch_size=16", "--model.init_args.warmup_share=0.5")  # two steps in all
    assert cli.trainer.global_step == 2
