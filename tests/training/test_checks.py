"""Faults of a pipeline's file, each found by the plan, before anything is trained."""

from pathlib import Path

import pytest
import yaml

from vidfer.pipeline.store import Store
from vidfer.training.config import read_configuration
from vidfer.training.steps import plan_steps
from vidfer.types import VidferError


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline of one classifier of sound, on samples."""
    content = {
        "finetune": {"use": "compact"},
        "classify": {
            "data": {
                "class_path": "vidfer.datamodules.clips.SampleSoundsDataModule",
                "root": str(tmp_path / "sounds"),
                "train_people": "1-4",
                "test_people": "5-6",
            },
            "trainer": {"max_epochs": 1},
        },
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "pipeline.yaml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("finetune=[1]", r"finetune=\[1\] does not fit the entry of that name"),
        ("classify.data=3", "classify.data has to hold entries by name, not 3"),
        ("classify.data.class_path=3", "classify.data.class_path has to name a class, not 3"),
        ("classify.data.init_args=3", "classify.data.init_args has to hold entries by name, not 3"),
        ("classify.data.root=3", "the data's root has to be text or null, not 3"),
        ("classify.data.train_people=null", "the data's train_people has to be text, not null"),
        ("classify.data.train_people=[1,2]", r"the data's train_people has to be text, not \[1, 2\]"),
        ("classify.data.val_share=true", "the data's val_share has to be a number, not True"),
        ("classify.data.folds=x", "the data's folds has to be a whole number, not 'x'"),
        ("classify.data={class_path: os.path.join}", "os.path.join is no data module"),
        ("classify.model.arguments=3", "classify.model.arguments has to hold entries by name, not 3"),
        ("classify.model.lr=.inf", "classify.model.lr has to be a finite number, not inf"),
        ("classify.seed_everything=true", "classify.seed_everything has to be a whole number from 0"),
        ("classify.trainer.callbacks=x", "classify.trainer.callbacks has to be a list of"),
        ("classify.trainer.callbacks=[{init_args: {a: 1}}]", "classify.trainer.callbacks has to be a list of"),
        ("settings=3", "settings has to hold entries by name, not 3"),
        ("settings.pol=mean", "unknown entry settings.pol: did you mean pool?"),
        ("settings.pool=median", "settings that cannot be: --pool has to be one of peaks, mean, not median"),
        ("settings.denoise_threshold=-1", "settings that cannot be: --denoise-threshold has to be above 0, not -1"),
        ("nmae=mine", "unknown entry nmae: did you mean name?"),
        ("name=../mine", "name has to be a folder's name without a slash, not '../mine'"),
        ("test_clips=[{data: null}]", "the data's data has to be text, not null"),
        ("folds=3", r"folds is 3, and its data have no `folds: \$\{folds\}`"),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_entry(pipeline: Path, override: str, message: str) -> None:
    """Hours of training before it would not mend it."""
    with pytest.raises(VidferError, match=message) as fault:
        plan_steps(read_configuration(pipeline, [override]), Store(pipeline.parent / "store"))
    assert "\n" not in str(fault.value)


def test_arguments_with_an_open_quote_are_refused(pipeline: Path) -> None:
    """They cannot be divided into words."""
    with pytest.raises(VidferError, match=r"--args --model.lr '3: No closing quotation"):
        read_configuration(pipeline, (), "--model.lr '3", "classify")


@pytest.mark.parametrize(("written", "meant"), [("off", "off"), ("on", "on"), ("auto", "auto")])
def test_on_and_off_need_no_quotes(pipeline: Path, written: str, meant: str) -> None:
    """YAML reads them as true and false, which no option is."""
    found = read_configuration(pipeline, [f"settings.denoise={written}", f"classify.data.denoise={written}"])
    settings = found.sections[1].settings
    assert settings is not None
    assert found.settings["denoise"] == settings["data"]["init_args"]["denoise"] == meant
