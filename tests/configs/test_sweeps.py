"""The command lines that the agent of Weights & Biases renders from every sweep file, run for one step."""

import os
import re
import sys
from itertools import product
from pathlib import Path

import pytest
import wandb
import yaml
from wandb import wandb_agent

from tests import wandb_files
from vidfer.cli.train import VidferCLI

SWEEPS = sorted(Path("configs/sweeps").glob("*.yaml"))
STAGES = [path.stem for path in SWEEPS]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No trial leaves this machine; what the agent sets is taken back."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    settings = {"MODE": "disabled", "SILENT": "true", "DIR": str(tmp_path), "SWEEP_ID": "mysweep", "RUN_ID": "",
                "SWEEP_PARAM_PATH": ""}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def samples(faces_root, sounds_root, vectors_store, tmp_path):
    """Settings of one training step on generated data, by stage."""
    one_step = [
        f"--trainer.logger.init_args.save_dir={tmp_path}", f"--wandb.init_args.save_dir={tmp_path}",
        f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
        "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1",
    ]  # fmt: skip
    people = ["--data.init_args.train_people=1", "--data.init_args.val_people=2", "--data.init_args.test_people=3"]
    data = {
        "classify": [f"--data.init_args.root={sounds_root}", f"--data.init_args.store={vectors_store}",
                     "--data.init_args.speeds=[1.0]", "--data.init_args.voice=false", *people],
        "finetune": [f"--data.init_args.root={faces_root}", "--data.init_args.batch_size=8",
                     "--data.init_args.val_share=0.25", "--model.init_args.weights=null"],
        "denoise": ["--data.init_args.crop=16", "--data.init_args.batch_size=2", "--data.init_args.crops_per_epoch=2",
                    "--data.init_args.sigmas=[25]", "--model.init_args.adversarial_weight=0"],
    }  # fmt: skip
    return {stage: [*data[stage], *one_step] for stage in data}


def load(stage):
    return yaml.safe_load(Path(f"configs/sweeps/{stage}.yaml").read_text("utf-8"))


def render(stage, values, extra, monkeypatch, run_id="k3v9x1ab"):
    """Let the agent start a trial, as when the server asks for one; returns what it would have run."""
    started = []
    sweep = load(stage)
    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = [*sweep["command"][:-1], *extra, sweep["command"][-1]]
    with monkeypatch.context() as patch:
        patch.setattr(wandb_agent, "AgentProcess", lambda command, **_: started.append(command) or type("", (), {})())
        asked = {name: {"value": value} for name, value in values.items()}
        agent._command_run({"run_id": run_id, "program": sweep["program"], "args": asked})
    return started[0]


def picked(parameter):
    """The values listed, or the ends of the range."""
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def test_every_sweep_is_over_lr_and_momentum_and_keeps_its_parameters_last():
    assert STAGES == ["classify", "denoise", "finetune"]
    for stage in STAGES:
        sweep = load(stage)
        assert set(sweep["parameters"]) == {"model.init_args.lr", "model.init_args.momentum"}
        assert sweep["command"][-1] == "${args}"
        assert Path(sweep["program"]).is_file()
        assert "stages." + Path(sweep["program"]).stem in sweep["command"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_value_is_understood_and_wins(stage, monkeypatch):
    sweep = load(stage)
    for lr, momentum in product(*(picked(each) for each in sweep["parameters"].values())):
        values = {"model.init_args.lr": lr, "model.init_args.momentum": momentum}
        command = render(stage, values, [], monkeypatch)
        assert command[:5] == ["/usr/bin/env", "python", "-m", f"stages.{stage}", "fit"]
        assert command[-2:] == [f"--model.init_args.lr={lr}", f"--model.init_args.momentum={momentum}"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_trial_takes_a_step_with_the_sweeps_values(stage, samples, monkeypatch, tmp_path):
    sweep = load(stage)
    values = {name: picked(each)[0] for name, each in sweep["parameters"].items()}
    command = render(stage, values, samples[stage], monkeypatch)
    cli = VidferCLI(args=command[command.index("fit") :])
    assert cli.model.hparams["lr"] == values["model.init_args.lr"]
    assert cli.model.hparams["momentum"] == values["model.init_args.momentum"]
    group = cli.trainer.optimizers[0].param_groups[0]
    assert group["momentum"] == values["model.init_args.momentum"]
    assert sweep["metric"]["name"] in cli.trainer.callback_metrics
    assert (tmp_path / stage / "k3v9x1ab" / "weights.safetensors").is_file()
    if stage == "classify":
        assert {"14-16", "2-13"} <= {part for each in sweep["command"] for part in re.split("=", each)}


@pytest.mark.parametrize("run_id", ["12345678", "1e500000", "00000017", "12_34_56"])
def test_a_trials_folder_has_its_id_whatever_that_looks_like(run_id, samples, monkeypatch):
    values = {"model.init_args.lr": 0.1, "model.init_args.momentum": 0.9}
    command = render("denoise", values, samples["denoise"], monkeypatch, run_id)
    cli = VidferCLI(args=command[command.index("fit") + 1 :], run=False)
    assert cli.trainer.logger.version == run_id


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_two_trials_of_the_real_agent_stay_apart(stage, samples, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    sweep = load(stage)
    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = [*sweep["command"][:-1], *samples[stage], sweep["command"][-1]]
    for number, run_id in ((0, "aaaaaaa1"), (-1, "aaaaaaa2")):
        asked = {name: {"value": picked(each)[number]} for name, each in sweep["parameters"].items()}
        agent._command_run({"run_id": run_id, "program": sweep["program"], "args": asked})
        assert agent._run_processes[run_id].wait() == 0
        assert (tmp_path / stage / run_id / "weights.safetensors").is_file()
        (run,) = tmp_path.glob(f"wandb/offline-run-*-{run_id}")
        settings = wandb_files.config(run)
        for name, each in asked.items():
            assert settings[name] == settings[name.rpartition(".")[2]] == each["value"]
        assert sweep["metric"]["name"] in wandb_files.history(run)
