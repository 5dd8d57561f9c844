"""The command lines that the agent of Weights & Biases renders from every sweep file, understood, and run on generated data."""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from wandb import wandb_agent

from tests import wandb_files
from vidfer.cli.main import main
from vidfer.cli.options import load
from vidfer.cli.train import VidferCLI
from vidfer.training.config import FITS, read_configuration

SWEEPS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(Path("configs/sweeps").glob("*.yaml"))}
ONE_EPOCH = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 1, "accelerator": "cpu"}

Trial = Callable[..., Path]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No trial leaves this machine; what the agent sets is taken back."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    settings = {"MODE": "offline", "SILENT": "true", "DIR": str(tmp_path), "DATA_DIR": str(tmp_path / "data"),
                "SWEEP_ID": "mysweep", "RUN_ID": "", "SWEEP_PARAM_PATH": ""}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VIDFER_STORE", str(tmp_path / "store"))


@pytest.fixture
def samples(faces_root: Path, sounds_root: Path, tmp_path: Path) -> list[str]:
    """Values of a pipeline that lets it take one training step a stage, on generated data."""
    people = {"root": str(sounds_root), "train_people": "1", "val_people": "2", "test_people": "3"}
    values = {
        "denoise.model": {"preset": "tiny"},
        "denoise.data": {"root": "sample", "test_root": None, "crop": 16, "crops_per_epoch": 32},
        "finetune.data": {"root": str(faces_root), "batch_size": 8, "val_share": 0.25},
        "classify.data": {**people, "voice": False, "speeds": None},
        "fusion.data": {**people, "faces_root": str(faces_root), "val_share": 0.25, "voice": False, "speeds": None},
        "wandb": {"save_dir": str(tmp_path)},
        **{f"{name}.trainer": ONE_EPOCH for name in ("denoise", "finetune", "classify", "fusion")},
    }
    return [
        f"{name}.{key}={yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}"
        for name, group in values.items()
        for key, value in group.items()
    ]


def start(stage: str, asked: dict[str, Any], extra: list[str], run_id: str) -> wandb_agent.Agent:
    """Let the agent start a trial, as when the server asks for one."""
    command = list(SWEEPS[stage]["command"])
    at = command.index("${args_no_hyphens}")
    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = [*command[:at], *extra, *command[at:]]
    args = {name: {"value": value} for name, value in asked.items()}
    agent._command_run({"run_id": run_id, "program": SWEEPS[stage]["program"], "args": args})
    return agent


@pytest.fixture
def trial(samples: list[str], tmp_path: Path) -> Trial:
    """Run a trial to its end, and return the folder of the client's run."""

    def run(stage: str, number: int, run_id: str, *extra: str) -> Path:
        begin = time.monotonic()
        agent = start(stage, values_of(stage, number), [*samples, *extra], run_id)
        assert agent._run_processes[run_id].wait() == 0
        print(f"{stage}, trial {run_id}: {time.monotonic() - begin:.1f} s")
        (folder,) = tmp_path.glob(f"wandb/offline-run-*-{run_id}")
        return folder

    return run


def picked(parameter: dict[str, Any]) -> list[Any]:
    """Return the values listed, or the ends of the range."""
    return (
        [parameter["value"]]
        if "value" in parameter
        else list(parameter.get("values") or [parameter["min"], parameter["max"]])
    )


def values_of(stage: str, number: int) -> dict[str, Any]:
    """Return values that the server may ask for: the first ones, or with -1 the last."""
    return {name: picked(each)[number] for name, each in SWEEPS[stage]["parameters"].items()}


def key_of(name: str) -> str:
    """Return a parameter's name on the command line of its stage's own training."""
    _, group, argument = name.split(".")
    return f"{group}.init_args.{argument}"


def artifacts(store: Path) -> dict[str, dict[str, float]]:
    """Return when each artifact was written, by stage."""
    found: dict[str, dict[str, float]] = {}
    for manifest in store.glob("*/??/*/manifest.json"):
        found.setdefault(manifest.parts[-4], {})[manifest.parts[-2]] = manifest.stat().st_mtime
    return found


def test_every_sweep_is_over_lr_and_momentum_of_its_stage_and_few_more() -> None:
    """And runs the pipeline until that stage, with figures only."""
    assert list(SWEEPS) == ["classify", "denoise", "finetune", "fusion"]
    for stage, sweep in SWEEPS.items():
        assert set(sweep["parameters"]) >= {f"{stage}.model.lr", f"{stage}.model.momentum"}
        assert sum("value" not in each for each in sweep["parameters"].values()) in (3, 4)
        assert {name.split(".")[0] for name in sweep["parameters"]} == {stage}
        assert Path(sweep["program"]).is_file()
        assert {f"--until={stage}", "--wandb", "wandb.weights=false"} <= set(sweep["command"])


@pytest.mark.parametrize("stage", SWEEPS)
def test_every_value_is_understood_and_wins(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the server asks for is what the pipeline would train with."""
    started: list[list[str]] = []
    monkeypatch.setattr(wandb_agent, "AgentProcess", lambda command, **_: started.append(command) or type("", (), {})())
    parser, _ = load("pipeline run", "vidfer.cli.pipeline.run")
    parameters = {name: picked(each) for name, each in SWEEPS[stage]["parameters"].items()}
    few = {name: values if name.endswith((".lr", ".momentum")) else values[-1:] for name, values in parameters.items()}
    for values in [*product(*few.values()), [values[0] for values in parameters.values()]]:
        asked = dict(zip(parameters, values, strict=True))
        start(stage, asked, [f"{stage}.model.lr=3"], "any")
        command = started.pop()
        assert command[:6] == ["/usr/bin/env", "python", "-m", "vidfer", "pipeline", "run"]
        options = parser.parse(command[6:]).pipeline
        found = read_configuration(options.file, options.overrides)
        settings: Any = next(each.settings for each in found.sections if each.name == stage)
        for name, value in asked.items():
            group, _, argument = key_of(name).split(".")
            assert settings[group]["init_args"][argument] == value
        assert options.until == stage
        assert options.until in FITS
        assert options.wandb
        assert found.wandb == {"weights": False}


@pytest.mark.slow
def test_a_second_trial_of_classify_computes_no_feature(trial: Trial, tmp_path: Path) -> None:
    """Only a classifier is added. A third trial, of the second's values, trains nothing and has its figures."""
    metric = SWEEPS["classify"]["metric"]["name"]
    first = trial("classify", 0, "aaaaaaa1")
    before = artifacts(tmp_path / "store")
    assert len(before["audio"]) > 0
    second = trial("classify", -1, "aaaaaaa2")
    after = artifacts(tmp_path / "store")
    assert {stage for stage in after if after[stage] != before.get(stage)} == {"classify_fit"}
    assert len(after["classify_fit"]) == 2
    for number, run in ((0, first), (-1, second)):
        settings = wandb_files.config(run)
        for name, value in values_of("classify", number).items():
            assert settings[name] == settings[key_of(name)] == value
        assert metric in wandb_files.history(run)
    again = trial("classify", -1, "aaaaaaa3")
    assert artifacts(tmp_path / "store") == after
    shown, live = wandb_files.history(again), wandb_files.history(second)
    assert {name: shown[name] for name in shown if name[0] != "_"} == pytest.approx(
        {name: live[name] for name in live if name[0] != "_"}
    )
    assert wandb_files.config(again)["key"] == wandb_files.config(second)["key"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["denoise", "finetune", "fusion"])
def test_two_trials_of_the_real_agent_share_what_is_upstream(stage: str, trial: Trial, tmp_path: Path) -> None:
    """The first trains what the stage needs, in runs of their own; the second trains the stage only."""
    first = trial(stage, 0, "aaaaaaa1")
    before = artifacts(tmp_path / "store")
    upstream = {"denoise": 0, "finetune": 1, "fusion": 2}[stage]
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == upstream + 1
    second = trial(stage, -1, "aaaaaaa2")
    after = artifacts(tmp_path / "store")
    assert {name for name in after if after[name] != before[name]} == {f"{FITS[stage].stage}_fit"}
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == upstream + 2
    for number, run in ((0, first), (-1, second)):
        settings = wandb_files.config(run)
        for name, value in values_of(stage, number).items():
            assert settings[key_of(name)] == value
        assert SWEEPS[stage]["metric"]["name"] in wandb_files.history(run)


@pytest.mark.slow
@pytest.mark.parametrize("stage", SWEEPS)
def test_four_trials_without_an_account_on_sample_data(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They finish; the best one's values are taken by `fit`, and by the pipeline, which finds that trial's weights stored."""
    sample, out = tmp_path / "sample", tmp_path / "out"
    roots = {"finetune": sample / "faces", "classify": sample / "sounds", "fusion": sample}
    before = ("denoise", "finetune") if stage == "fusion" else ("denoise",) if stage == "finetune" else ()
    given = [f"{name}.trainer.max_epochs=1" for name in (*before, stage)]
    given += ["denoise.data.crops_per_epoch=32" for name in (*before, stage) if name == "denoise"]
    given += [f"{name}.data.root={root}" for name, root in roots.items() if name in (*before, stage)]
    shared = ["--pipeline", "configs/pipeline_sample.yaml", "--trials", "4", "--out", str(out)]
    assert main(["sweep", f"configs/sweeps/{stage}.yaml", *given, "--local", *shared]) == 0
    with (out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == 4 * ["finished"]
    scores = [float(row[SWEEPS[stage]["metric"]["name"]]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    stored = artifacts(tmp_path / "store")
    assert len(stored[f"{FITS[stage].stage}_fit"]) == 4
    best = {key_of(name): number_or_word(rows[0][name]) for name in SWEEPS[stage]["parameters"]}

    capsys.readouterr()
    files = [f"--config=configs/{name}.yaml" for name in BELOW[stage]]
    with pytest.raises(SystemExit):
        VidferCLI(args=["fit", *files, f"--config={out / 'best.yaml'}", "--print_config"])
    printed = OmegaConf.create(capsys.readouterr().out)
    assert {name: OmegaConf.select(printed, name) for name in best} == best

    search = [word for word in SWEEPS[stage]["command"] if word.startswith(f"{stage}.")]
    words = ["pipeline", "run", "configs/pipeline_sample.yaml", *search, *given, "--until", stage]
    assert main([*words, "--args", f"--config {out / 'best.yaml'}"]) == 0
    assert capsys.readouterr().out.split() == [rows[0]["weights"]]
    assert artifacts(tmp_path / "store") == stored


def number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


BELOW = {
    "denoise": ["denoise"],
    "finetune": ["finetune_compact"],
    "classify": ["classify"],
    "fusion": ["classify", "classifiers/fusion"],
}


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["classify", "BEST=my/best.yaml"], ["--until classify", '--args="--config my/best.yaml "']),
        (["finetune", "BEST=b.yaml", "ARGS=--data.init_args.batch_size=8"],
         ['--args="--config b.yaml --data.init_args.batch_size=8"']),
        (["sweep", "STAGE=denoise", "LOCAL=1", "COUNT=4", "METHOD=grid"],
         ["vidfer sweep configs/sweeps/denoise.yaml", "--pipeline configs/pipeline_", "--method grid --local --trials 4"]),
        (["sweep", "STAGE=denoise"], ["--print > runs/sweep_denoise.yaml", "/wandb sweep", "/wandb agent"]),
    ],
)  # fmt: skip
def test_make_searches_and_uses_what_was_found(words: list[str], command: list[str]) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "-n", "-o", ".venv/.ready", *words], capture_output=True, text=True, check=True)
    for part in command:
        assert part in done.stdout
    assert ("/wandb " in done.stdout) == ("sweep" in words and "LOCAL=1" not in words)
