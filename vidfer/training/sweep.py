"""A sweep: the file of Weights & Biases, read for a search on this machine, and the command line of each trial."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from vidfer.pipeline.bounded import read_yaml, yaml_faults
from vidfer.training.config import FITS, read_configuration
from vidfer.training.space import Parameter, read_parameter
from vidfer.types import UsageError

Method = Literal["grid", "random", "bayes"]

_GOALS: Final = ("maximize", "minimize")
_ARGS: Final = "${args_no_hyphens}"
_GROUPS: Final = ("model", "data")
_UNTIL: Final = "--until"


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says.

    Args:
        path: The file.
        content: All of it as `wandb sweep` takes it, with what was changed on the command line.
        name: Of the folder of results.
        method: How values are chosen.
        metric: The column of `metrics.csv`, of which the last value counts.
        maximize: Whether more of it is better.
        parameters: In the file's order.
        command: Words, with macros such as `${interpreter}`.
        cap: Number of trials; None where the file names none.
        stage: The training that is searched, a name of `FITS`.
    """

    path: Path
    content: Mapping[str, Any]
    name: str
    method: Method
    metric: str
    maximize: bool
    parameters: tuple[Parameter, ...]
    command: tuple[str, ...]
    cap: int | None
    stage: str


def read_sweep(
    path: Path, method: Method | None = None, pipeline: Path | None = None, overrides: Sequence[str] = ()
) -> Sweep:
    """Read a sweep file, with another method, pipeline, or values `section.key=value` in it.

    A value of a parameter makes it a constant, another one joins the command before `${args_no_hyphens}`. By grid, ranges become
    lists of values, which both Weights & Biases and a search here need, and a `run_cap` for another method is dropped.

    Raises:
        UsageError: The file cannot be read, or is no sweep that runs a pipeline until one of its trainings.
    """
    content = _load(path)
    command = _command(path, content)
    at = command.index(_ARGS)
    if pipeline is not None:
        command[command.index("run") + 1] = str(pipeline)
    parameters = dict(content["parameters"])
    for each in overrides:
        name, given, value = each.partition("=")
        if not given:
            raise UsageError(f"'{each}' is no value: give section.key=value, such as classify.trainer.max_epochs=5")
        if name in parameters:
            parameters[name] = {"value": _plain(path, value)}
        else:
            command.insert(at, each)
            at += 1
    chosen = str(method or content.get("method"))
    if chosen not in get_args(Method):
        raise UsageError(
            f"{path}: method has to be one of {', '.join(get_args(Method))}, not {content.get('method')!r}"
        )
    read = [read_parameter(path, str(name), given) for name, given in parameters.items()]
    if chosen == "grid":
        parameters = {each.name: {"values": list(each.grid())} for each in read}
        read = [read_parameter(path, name, given) for name, given in parameters.items()]
        if content.get("method") != "grid":
            content = {name: value for name, value in content.items() if name != "run_cap"}
    metric, goal = _metric(path, content)
    other = "" if chosen == content.get("method") else f"-{chosen}"
    name = f"{content.get('name') or path.stem}{other}"
    return Sweep(
        path,
        {**content, "name": name, "method": chosen, "parameters": parameters, "command": command},
        name,
        chosen,  # type: ignore[arg-type]  # it is one of them
        metric,
        goal == "maximize",
        tuple(read),
        tuple(command),
        _cap(path, content),
        _stage(path, command),
    )


def trial_command(sweep: Sweep, values: Mapping[str, Any], *, wandb: bool = False) -> list[str]:
    """Render a trial's command line as the agent of Weights & Biases does, by its own functions.

    Without `wandb` nothing is sent: what the command says of Weights & Biases is left out, and what the pipeline's file says is
    overridden.
    """
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    kept = [word for word in sweep.command if wandb or not (word == "--wandb" or word.startswith("wandb."))]
    if not wandb:
        kept.insert(kept.index(_ARGS), "wandb=null")
    macros: dict[str, Any] = create_sweep_command_args(
        {"args": {name: {"value": value} for name, value in values.items()}}
    )
    macros |= {"interpreter": [sys.executable], "program": [str(sweep.content.get("program", ""))], "env": []}
    words: list[str] = []
    for word in map(str, create_sweep_command(kept)):
        words += macros.get(word[2:-1], []) if word.startswith("${") and word.endswith("}") else [word]
    return words


def pipeline_of(sweep: Sweep) -> Path:
    """Return the pipeline's file that the trials run."""
    return Path(sweep.command[sweep.command.index("run") + 1])


def best_settings(sweep: Sweep, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's values of the training that is searched, as a configuration that its `fit` takes above others.

    An argument that is a mapping comes whole, as the trial had it, since `fit` replaces it.

    Raises:
        UsageError: The pipeline's file, or a value, cannot be.
    """
    words = trial_command(sweep, values)
    begin = words.index("run") + 2
    overrides = [word for word in words[begin:] if "=" in word and not word.startswith("-")]
    found = read_configuration(pipeline_of(sweep), overrides, target=sweep.stage)
    settings = next((each.settings for each in found.sections if each.name == sweep.stage), None)
    if settings is None:
        raise UsageError(f"{sweep.path}: {pipeline_of(sweep)} trains no {sweep.stage}, which the sweep is of")
    chosen: dict[str, Any] = {}
    for name in values:
        section, *keys = name.replace(".init_args.", ".").split(".")
        if section != sweep.stage or keys[0] not in ("seed_everything", "trainer", *_GROUPS):
            continue
        if keys[0] == "seed_everything":
            chosen[keys[0]] = settings[keys[0]]
        elif keys[0] == "trainer":
            chosen.setdefault("trainer", {})[keys[1]] = settings["trainer"][keys[1]]
        else:
            inner = chosen.setdefault(keys[0], {"init_args": {}})["init_args"]
            inner[keys[1]] = settings[keys[0]]["init_args"][keys[1]]
    return chosen


def read_entries(path: Path) -> dict[str, Any]:
    """Read what `wandb sweep` reads, by the same rules of YAML: entries by name.

    Raises:
        UsageError: It cannot be read, or is something else.
    """
    try:
        text = read_yaml(path)
        with yaml_faults():
            content = yaml.safe_load(text)
    except FileNotFoundError:
        there = ", ".join(sorted(each.name for each in path.parent.glob("*.yaml"))) or "none"
        raise UsageError(f"there is no sweep file {path}: there are {there} in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the sweep file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no sweep file: it has to hold method, metric, parameters and command by name")
    return content


def _load(path: Path) -> dict[str, Any]:
    content = read_entries(path)
    given = content.get("parameters")
    if not isinstance(given, Mapping) or not given:
        raise UsageError(
            f"{path} has no parameters to search: name them, such as classify.model.lr: {{min: 0.01, max: 0.1}}"
        )
    return content


def _metric(path: Path, content: Mapping[str, Any]) -> tuple[str, str]:
    metric = content.get("metric")
    if not isinstance(metric, Mapping) or not isinstance(metric.get("name"), str):
        raise UsageError(f"{path} has no metric to choose by: add metric: {{name: val_uar, goal: maximize}}")
    goal = str(metric.get("goal", "minimize"))  # as Weights & Biases has it
    if goal not in _GOALS:
        raise UsageError(f"{path}: metric.goal has to be maximize or minimize, not {goal!r}")
    return metric["name"], goal


def _cap(path: Path, content: Mapping[str, Any]) -> int | None:
    cap = content.get("run_cap")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise UsageError(f"{path}: run_cap has to be a whole number from 1 on, not {cap!r}")
    return cap


def _command(path: Path, content: Mapping[str, Any]) -> list[str]:
    """Return the command's words, which have to run a pipeline with the values that are asked for."""
    command = content.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    runs = [at for at in range(len(words) - 2) if words[at : at + 2] == ["pipeline", "run"]]
    if not runs or words[runs[0] + 2].startswith(("-", "$")) or words.index("run") != runs[0] + 1:
        raise UsageError(
            f"{path}: command has to run a pipeline: -m, vidfer, pipeline, run, configs/pipeline_compact.yaml"
        )
    if _ARGS not in words[runs[0] + 3 :]:
        raise UsageError(f"{path}: command lacks {_ARGS} behind the pipeline's file, for the values of a trial")
    return words


def _stage(path: Path, command: Sequence[str]) -> str:
    """Return the training that the command ends with."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, given, value = word.partition("=")
        stage = value if given else following
        if name == _UNTIL and stage in FITS:
            return stage
    raise UsageError(f"{path}: command has to end with the training that is searched: --until={'|'.join(FITS)}")


def _plain(path: Path, value: str) -> Any:  # noqa: ANN401 - any YAML
    """Read a value of the command line; what YAML takes for text though it is a number, such as 1e-3, becomes one."""
    try:
        with yaml_faults():
            found = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: '{value}' is no value of YAML") from error
    if isinstance(found, str | bool | int | float):
        try:
            number = float(found) if isinstance(found, str) else found
        except ValueError:
            return found
        return number if math.isfinite(number) else found
    return value
