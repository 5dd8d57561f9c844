"""Sweep files: what is read of them, what is refused, and the command lines of their trials."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb import wandb_agent
from wandb.apis.public.sweeps import _validate_config_and_fill_distribution

from vidfer.training.sweep import best_settings, read_sweep, trial_command
from vidfer.types import UsageError

Write = Callable[..., Path]

CONTENT: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "val_uar", "goal": "maximize"},
    "run_cap": 7,
    "parameters": {
        "classify.model.lr": {"distribution": "log_uniform_values", "min": 0.01, "max": 0.1},
        "classify.model.arguments.hidden": {"values": [16, 32]},
    },
    "command": [
        *("${env}", "${interpreter}", "-m", "vidfer", "pipeline", "run", "configs/pipeline_sample.yaml"),
        *("classify.trainer.max_epochs=5", "wandb.weights=false", "${args_no_hyphens}", "--until=classify", "--wandb"),
    ],
}
VALUES = {"classify.model.lr": 0.05, "classify.model.arguments.hidden": 32}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a sweep file with some entries changed; None leaves one out."""

    def write(**changed: Any) -> Path:
        path = tmp_path / "mine.yaml"
        content = {name: value for name, value in (CONTENT | changed).items() if value is not None}
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def test_what_a_file_says(write: Write) -> None:
    sweep = read_sweep(write())
    assert (sweep.name, sweep.method, sweep.metric, sweep.maximize, sweep.cap) == ("mine", "random", "val_uar", True, 7)
    assert [each.name for each in sweep.parameters] == list(VALUES)
    assert sweep.stage == "classify"


def test_a_command_is_rendered_as_the_agent_does(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(wandb_agent, "AgentProcess", lambda command, **_: started.append(command) or type("", (), {})())
    for name in ("RUN_ID", "SWEEP_PARAM_PATH"):
        monkeypatch.setenv(f"WANDB_{name}", "")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    sweep = read_sweep(write())
    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = list(sweep.command)
    args = {name: {"value": value} for name, value in VALUES.items()}
    agent._command_run({"run_id": "any", "program": "vidfer/__main__.py", "args": args})
    assert ["/usr/bin/env", "python", *trial_command(sweep, VALUES, wandb=True)[1:]] == started[0]


def test_nothing_is_sent_unless_asked(write: Write) -> None:
    words = trial_command(read_sweep(write()), VALUES)
    assert words[0] == sys.executable
    assert words[3:] == [
        *("pipeline", "run", "configs/pipeline_sample.yaml", "classify.trainer.max_epochs=5", "wandb=null"),
        *("classify.model.lr=0.05", "classify.model.arguments.hidden=32", "--until=classify"),
    ]


def test_values_of_the_command_line(write: Write) -> None:
    """Another pipeline replaces the file's, a value wins over the file's, and one of a parameter is not searched."""
    given = ["classify.trainer.max_epochs=2", "classify.model.lr=1e-2"]
    sweep = read_sweep(write(), None, Path("other.yaml"), given)
    words = trial_command(sweep, VALUES)
    assert words[words.index("run") + 1] == "other.yaml"
    assert words.index("classify.trainer.max_epochs=5") < words.index(given[0]) < words.index("classify.model.lr=0.05")
    assert sweep.parameters[0].choices == (0.01,)


def test_a_grid_of_ranges_is_one_for_wandb_too(write: Write) -> None:
    """With lists of values and no cap; another method, or the file's own, changes nothing but its name."""
    grid = read_sweep(write(), "grid").content
    assert grid["method"] == "grid"
    assert grid["parameters"]["classify.model.lr"] == {"values": [0.01, 0.0177828, 0.0316228, 0.0562341, 0.1]}
    assert "run_cap" not in grid
    bayes = read_sweep(write(), "bayes")
    assert (bayes.name, bayes.cap) == ("mine-bayes", 7)
    assert bayes.content == {**CONTENT, "method": "bayes", "name": "mine-bayes"}
    assert read_sweep(write(method="grid")).cap == 7


@pytest.mark.parametrize("method", ["grid", "random", "bayes"])
@pytest.mark.parametrize("path", sorted(Path("configs/sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_is_valid_for_the_client_by_every_method(path: Path, method: Any) -> None:
    """As far as the client looks itself; a grid has values only, as the server wants them."""
    content = read_sweep(path, method, Path("configs/pipeline_sample.yaml")).content
    read_again = yaml.safe_load(yaml.safe_dump(dict(content)))
    assert _validate_config_and_fill_distribution(read_again) == content
    ranges = [each for each in content["parameters"].values() if "min" in each]
    assert bool(ranges) == (method != "grid")
    assert all(each["distribution"] == "log_uniform_values" for each in ranges)


def test_the_best_values_as_a_configuration(write: Write) -> None:
    """A mapping comes whole, with what the command says of its other entries: `fit` would replace it."""
    more = ["classify.model.arguments.adversarial=0.2"]
    found = best_settings(read_sweep(write(), overrides=more), VALUES)
    assert found == {"model": {"init_args": {"lr": 0.05, "arguments": {"hidden": 32, "adversarial": 0.2}}}}


def test_the_best_values_of_every_group(write: Write) -> None:
    values = {
        "classify.trainer.max_epochs": 3,
        "classify.data.batch_size": 16,
        "classify.model.init_args.momentum": 0.5,
        "classify.seed_everything": 2,
        "finetune.model.lr": 0.1,  # of another training
    }
    sweep = read_sweep(write(parameters={name: {"value": value} for name, value in values.items()}))
    assert best_settings(sweep, values) == {
        "trainer": {"max_epochs": 3},
        "data": {"init_args": {"batch_size": 16}},
        "model": {"init_args": {"momentum": 0.5}},
        "seed_everything": 2,
    }


BASE = CONTENT["command"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parameters": None}, "has no parameters to search"),
        ({"parameters": {}}, "has no parameters to search"),
        ({"metric": None}, "has no metric to choose by"),
        ({"metric": {"name": "val_uar", "goal": "most"}}, "metric.goal has to be maximize or minimize"),
        ({"method": "annealing"}, "method has to be one of grid, random, bayes, not 'annealing'"),
        ({"method": None}, "method has to be one of grid, random, bayes"),
        ({"run_cap": 0}, "run_cap has to be a whole number"),
        ({"command": None}, "command has to run a pipeline"),
        ({"command": ["python", "-m", "stages.classify", "fit", "${args}"]}, "command has to run a pipeline"),
        ({"command": [word for word in BASE if "args" not in word]}, r"command lacks \$\{args_no_hyphens\}"),
        ({"command": [word for word in BASE if "until" not in word]}, "command has to end with the training"),
        ({"parameters": {"classify.model.lr": {"distribution": "beta"}}}, "distribution 'beta'"),
    ],
)
def test_what_is_no_sweep_is_refused_by_the_files_name(write: Write, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=rf"mine\.yaml.*{said}"):
        read_sweep(write(**changed))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no sweep file .*none\.yaml: there are none"):
        read_sweep(tmp_path / "none.yaml")
    for text, said in (("a: [", "is no YAML"), ("- 1", "is no sweep file")):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UsageError, match=rf"a\.yaml {said}"):
            read_sweep(tmp_path / "a.yaml")
    with pytest.raises(UsageError, match=r"is no value: give section\.key=value"):
        read_sweep(Path("configs/sweeps/classify.yaml"), overrides=["lr"])


def test_a_pipeline_without_the_training_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("name: mine\nfinetune: {use: compact}\n")
    command = [word for word in BASE if "max_epochs" not in word]
    with pytest.raises(UsageError, match=r"pipeline\.yaml trains no classify"):
        best_settings(read_sweep(write(command=command), None, tmp_path / "pipeline.yaml"), {})
