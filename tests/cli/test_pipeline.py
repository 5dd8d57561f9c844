"""What is shown in the terminal while a pipeline runs."""

from contextlib import contextmanager
from typing import Any

import pytest

from vidfer.cli import pipeline
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
        update("finetune", 0.25, "reading clips")  # 80 s in all: 60 s more
        assert bars.last["left"] == "70 s left"
        clock[0] = 25.0
        update("finetune", 0.25, "reading clips")
        assert bars.last["left"] == "65 s left"
        clock[0] = 90.0
        update("finetune", 0.0, "training")  # the reading's time says nothing of the training's
        assert bars.last["left"] == "40 s left"
