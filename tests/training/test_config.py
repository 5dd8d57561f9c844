"""A pipeline's configuration: files over files, the section's own values above, overrides above these."""

from pathlib import Path

import pytest

from vidfer.training.config import Configuration, Section, read_configuration
from vidfer.types import UsageError

STAGE = """
model:
  class_path: vidfer.tasks.clip.ClipTask
  init_args: {classifier: mlp, lr: 0.02, arguments: {hidden: 8}}
data:
  class_path: vidfer.datamodules.clips.ClipDataModule
  init_args: {data: ravdess, win_dur: 2.0}
trainer: {max_epochs: 12, accelerator: cpu}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a stage's configuration, a pipeline, and one that is based on it."""
    (tmp_path / "stage.yaml").write_text(STAGE)
    (tmp_path / "other.yaml").write_text(
        "class_path: vidfer.datamodules.paired.PairedDataModule\ninit_args: {frames: 3}\n"
    )
    (tmp_path / "base.yaml").write_text(
        "name: base\ndata: somewhere\nclassify: {config: stage.yaml, model: {lr: 0.5}}\n"
    )
    (tmp_path / "pipeline.yaml").write_text(
        "base: base.yaml\nname: own\nclassify: {data: {root: '${data}'}}\nfinetune: {use: compact}\nsettings: {pool: mean}\n"
    )
    return tmp_path


def section(configuration: Configuration, name: str) -> Section:
    """Return the section of that name."""
    return next(each for each in configuration.sections if each.name == name)


def test_values_lie_over_those_of_the_files_and_the_base(folder: Path) -> None:
    """The section's own model lies over the file's, and the derived pipeline's data over the base's."""
    found = read_configuration(folder / "pipeline.yaml")
    settings = section(found, "classify").settings
    assert settings is not None
    assert settings["model"]["init_args"] == {"classifier": "mlp", "lr": 0.5, "arguments": {"hidden": 8}}
    assert settings["data"]["init_args"] == {"data": "ravdess", "win_dur": 2.0, "root": "somewhere"}
    assert settings["trainer"] == {"max_epochs": 12, "accelerator": "cpu"}
    assert settings["seed_everything"] == 0
    assert (found.name, found.settings) == ("own", {"pool": "mean"})
    assert section(found, "finetune").use == "compact"
    assert section(found, "finetune").settings is None


def test_overrides_and_arguments_win_in_that_order(folder: Path) -> None:
    """`--set` wins over the file and `--args`, words of LightningCLI, over both; short forms and full names are the same."""
    found = read_configuration(
        folder / "pipeline.yaml",
        ["classify.model.lr=1e-3", "data=elsewhere", "classify.trainer.max_epochs=3", "classify.data.val_people=6"],
        "--trainer.max_epochs 4 --model.init_args.momentum=0.5 --model.arguments.hidden 16 --seed_everything=7",
        "classify",
    )
    settings = section(found, "classify").settings
    assert settings is not None
    assert settings["model"]["init_args"] == {
        "classifier": "mlp",
        "lr": 0.001,
        "arguments": {"hidden": 16},
        "momentum": 0.5,
    }
    assert settings["data"]["init_args"]["root"] == "elsewhere"
    assert settings["data"]["init_args"]["val_people"] == "6"  # a name, not a number
    assert settings["trainer"]["max_epochs"] == 4
    assert settings["seed_everything"] == 7


def test_another_class_begins_without_the_arguments_of_the_one_below(folder: Path) -> None:
    """Arguments of the data module below would not fit the one that replaces it."""
    found = read_configuration(folder / "base.yaml", [], f"--data {folder / 'other.yaml'}", "classify")
    settings = section(found, "classify").settings
    assert settings is not None
    assert settings["data"] == {
        "class_path": "vidfer.datamodules.paired.PairedDataModule",
        "init_args": {"frames": 3},
    }


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("clasify: {}", [], "unknown entry clasify: did you mean classify?"),
        ("classify: {modl: {}}", [], r"unknown entry classify\.modl: did you mean model?"),
        ("classify: linear", [], "classify has to be a section"),
        ("classify: {config: missing.yaml}", [], "no configuration .*missing.yaml"),
        ("classify: {config: stag.yaml}", [], r"no configuration .*stag.yaml: .*; did you mean stage\?"),
        ("base: pipeline.yaml", [], "its own base"),
        ("classify: [", [], "is no YAML"),
        ("- 1", [], "entries by name"),
        ("data: ???\nclassify: {data: {root: '${data}'}}", [], "give it by --set data=VALUE"),
        ("classify: {data: {root: '${nothing}'}}", [], "nothing"),
        ("name: a", ["classify.model.lr"], "give section.key=value"),
    ],
)
def test_faults_are_named_in_one_sentence(folder: Path, text: str, overrides: list[str], message: str) -> None:
    """The message names the file or the override, and the remedy."""
    (folder / "pipeline.yaml").write_text(text)
    with pytest.raises(UsageError, match=message) as found:
        read_configuration(folder / "pipeline.yaml", overrides)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("words", ["lr=3", "--lr 3", "--model.lr", "--trainr.max_epochs=3"])
def test_arguments_that_lightning_would_not_take_are_refused(folder: Path, words: str) -> None:
    """Only options of model, data, trainer and seed, and files of them, reach a training."""
    with pytest.raises(UsageError, match="--args"):
        read_configuration(folder / "pipeline.yaml", [], words, "classify")


def test_arguments_need_one_training(folder: Path) -> None:
    """Nobody could tell which training is meant."""
    with pytest.raises(UsageError, match="--until"):
        read_configuration(folder / "pipeline.yaml", [], "--model.lr 1", None)
