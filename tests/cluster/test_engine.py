"""Clips by a real SLURM, through the command."""

import shutil

import numpy as np
import pandas as pd
import pytest

from vidfer.cli.main import main
from vidfer.datasets.photos import read_sample
from vidfer.media.record import recorded

pytestmark = pytest.mark.slow


def test_arrays_of_slurm_give_the_tables_of_one_machine(slurm, tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for number in range(3):
        view = read_sample("astronaut")[20:170, 130 + number : 280 + number]
        with recorded(np.stack([view] * 4), fps=5) as path:
            shutil.copy(path, tmp_path / "clips" / f"{number}.mkv")
    (tmp_path / "clips/torn.mkv").write_bytes((tmp_path / "clips/0.mkv").read_bytes()[:600])
    assert main(["analyze", "clips", "--out", "local", "--store", "local-store"]) == 1
    words = "analyze clips --out out --store store --engine slurm --shard 2 --minutes 10 --partition high"
    assert main(words.split()) == 1
    for name in ("frames", "people", "seconds", "segments", "windows"):
        pd.testing.assert_frame_equal(pd.read_csv(f"out/{name}.csv"), pd.read_csv(f"local/{name}.csv"))
    assert set(pd.read_csv("out/clips.csv")["status"]) == {"ok", "corrupt"}
    assert not (tmp_path / "out/.vidfer-slurm").exists()
