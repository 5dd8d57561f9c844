"""What is shown in the terminal while a pipeline runs."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vidfer.cli import pipeline
from vidfer.cli.main import main
from vidfer.training.steps import Step


class Bars:
    """Remembers the last update in place of a bar."""

    last: dict[str, Any]

    def add_task(self, *_args: Any, **_fields: Any) -> int:
        return 0

    def update(self, _task: int, **fields: Any) -> None:
        self.last = fields


def test_time_left_falls_while_a_step_reports_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, clock = Bars(), [0.0]

    @contextmanager
    def shown(*_counts: Any, **_how: Any) -> Any:
        yield bars

    monkeypatch.setattr(pipeline, "bars", shown)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    first = Step("finetune", {"stage": "finetune_fit"}, None, nearest={"meta": {"seconds": 30.0}})
    second = Step("classify", {"stage": "classify_fit"}, None, nearest={"meta": {"seconds": 10.0}})
    with pipeline.pipeline_bar([first, second]) as update:
        update("finetune", 0.0, "reading clips")
        assert bars.last["left"] == "40 s left"
        clock[0] = 20.0
        update("finetune", 0.25, "reading clips")  # done in an earlier run, or while it got ready: no rate yet
        assert bars.last["left"] == "20 s left"
        clock[0] = 30.0
        update("finetune", 0.5, "reading clips")  # a quarter in 10 s: 20 s more
        assert bars.last["left"] == "30 s left"
        clock[0] = 35.0
        update("finetune", 0.5, "reading clips")
        assert bars.last["left"] == "25 s left"
        clock[0] = 90.0
        update("finetune", 0.0, "training")  # the reading's time says nothing of the training's
        assert bars.last["left"] == "40 s left"


def test_options_are_read_from_a_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--config` names a file of options, whatever the pipeline's own file is called."""
    (tmp_path / "options.yaml").write_text("until: finetune\n")
    (tmp_path / "pipeline.yaml").write_text("finetune: {use: compact}\n")
    store, options = str(tmp_path / "store"), str(tmp_path / "options.yaml")
    assert main(["pipeline", "plan", str(tmp_path / "pipeline.yaml"), "--config", options, "--store", store]) == 0
    assert "uses the weights compact" in capsys.readouterr().out


def test_values_after_the_options_are_told_where_to_stand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pipeline", "plan", "configs/pipeline_sample.yaml", "--until", "denoise", "denoise.model.lr=1"])
    assert "denoise.model.lr=1 (what is no option has to stand together, before the options)" in capsys.readouterr().err


def test_a_mistyped_setting_of_the_last_training_is_found_before_the_first_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LightningCLI reads the settings of all trainings first: the message is its own, and nothing has been trained."""
    (tmp_path / "pipeline.yaml").write_text(
        "denoise: {trainer: {max_epochs: 1}}\nfinetune: {use: compact}\n"
        "classify:\n  model: {classifier: linear, lrr: 3}\n"
        "  data: {class_path: vidfer.datamodules.clips.SampleSoundsDataModule, train_people: 1-4, test_people: 5-6,\n"
        f"         root: {tmp_path / 'sounds'}}}\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["pipeline", "run", str(tmp_path / "pipeline.yaml"), "--store", str(tmp_path / "store")])
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "classify fit: ClipTask takes no option 'lrr'"
    assert not (tmp_path / "store" / "fits").exists()
