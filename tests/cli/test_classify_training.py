"""The classify stage from the command line to an answer, with a classifier that only this file knows."""

import json

import pytest
import torch
from torch import nn

from vidfer.cli.train import VidferCLI
from vidfer.inference.models import AudioModel
from vidfer.models.classifiers.base import Classifier, Standardise
from vidfer.types import VidferError

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
    cli, _ = fit("--model=configs/classifiers/linear.yaml", "--trainer.fast_dev_run=true")
    assert cli.model.hparams["arguments"] == {}
    assert type(cli.model.classifier).__name__ == "LinearClassifier"


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
