"""What is refused before a job of SLURM is submitted; tests/cluster has the rest, on a real one."""

import pytest

from vidfer.cli.main import main
from vidfer.training.slurm import parse_options
from vidfer.types import UsageError


def test_options_of_sbatch_are_pairs():
    assert parse_options(["account=mine", "--qos=long=er"]) == {"account": "mine", "qos": "long=er"}
    with pytest.raises(UsageError, match="account: give an option of sbatch as NAME=VALUE"):
        parse_options(["account"])


def test_without_sbatch_it_says_where_to_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "pipeline.yaml").write_text("name: one\nfinetune: {use: compact}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["pipeline", "run", str(tmp_path / "pipeline.yaml"), "--store", str(tmp_path / "store")]

    assert main([*words, "--engine", "slurm"]) == 2
    assert "needs sbatch on PATH" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--no-wait"])
    assert "are for --engine slurm" in " ".join(capsys.readouterr().err.split())
