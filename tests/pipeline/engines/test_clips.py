"""Clips by every engine: the same artifacts and tables, and only what is poisoned is lost."""

import shutil
import time

import numpy as np
import pandas as pd
import pytest

from tests.pipeline.engines.poisoned import PoisonedWork
from vidfer import Analyzer
from vidfer.api.elsewhere import StoredWork
from vidfer.cli.main import main
from vidfer.datasets.photos import read_sample
from vidfer.media.record import recorded
from vidfer.pipeline.engines import RayEngine, SlurmEngine
from vidfer.results.schema import TABLES

pytestmark = pytest.mark.slow

LOST = ["clips/kills.mkv", "clips/hangs.mkv", "clips/torn.mkv"]
OF_THE_MOMENT = ["analyzed_at", "elapsed_s"]


def write_clips(folder, count):
    """Write clips of four frames of a face that stands somewhere else in each; the names are their numbers."""
    folder.mkdir()
    photo = read_sample("astronaut")
    for number in range(count):
        view = photo[20:170, 130 + number : 280 + number]
        with recorded(np.stack([view] * 4), fps=5) as path:
            shutil.copy(path, folder / f"{number:02}.mkv")
    return folder


def analyze(clips, folder, *words):
    """Run the command, and return its exit status and tables."""
    code = main(["analyze", str(clips), "--out", str(folder / "out"), "--store", str(folder / "store"), *words])
    tables = {name: pd.read_csv(folder / "out" / f"{name}.csv") for name in TABLES}
    tables["clips"] = tables["clips"].drop(columns=OF_THE_MOMENT, errors="ignore")
    return code, tables


def keys(store):
    """Return the keys of all artifacts, by stage."""
    return sorted(str(path.relative_to(store)) for path in store.glob("*/??/*") if path.is_dir())


def assert_equal_but(lost, found, wanted):
    for name in TABLES:
        rest = [table[name][~table[name]["clip_id"].isin(lost)].reset_index(drop=True) for table in (found, wanted)]
        pd.testing.assert_frame_equal(*rest)


def test_forty_clips_on_two_nodes_lose_the_three_that_are_poisoned(cluster, tmp_path, monkeypatch, capsys):
    clips = write_clips(tmp_path / "clips", 39)
    (clips / "05.mkv").rename(clips / "kills.mkv")
    (clips / "17.mkv").rename(clips / "hangs.mkv")
    (clips / "torn.mkv").write_bytes((clips / "00.mkv").read_bytes()[:600])
    wanted = analyze(clips, tmp_path / "local")[1]
    capsys.readouterr()
    monkeypatch.setattr("vidfer.api.elsewhere.StoredWork", PoisonedWork)
    began = time.monotonic()
    code, found = analyze(clips, tmp_path / "ray", "--engine", "ray", "--stall", "20")
    took = time.monotonic() - began
    said = capsys.readouterr()
    assert code == 1
    assert took < 180
    status = found["clips"].set_index("clip_id")["status"]
    torn = wanted["clips"].set_index("clip_id")["status"][LOST[2]]
    assert torn != "ok"
    assert len(status) == 40
    assert status[LOST].tolist() == ["crashed", "timeout", torn]
    assert (status.drop(LOST) == "ok").sum() == 37
    assert_equal_but(LOST[:2], found, wanted)
    assert set(keys(tmp_path / "ray/store")) <= set(keys(tmp_path / "local/store"))
    assert "raylet" not in said.out + said.err
    print(f"40 clips on two nodes took {took:.1f} s")


def test_a_node_lost_in_mid_run_loses_no_clip(cluster, tmp_path, monkeypatch, capsys):
    clips = write_clips(tmp_path / "clips", 12)
    wanted = analyze(clips, tmp_path / "local")[1]
    results = RayEngine.run

    def run(self, *given, **how):
        for count, found in enumerate(results(self, *given, **how)):
            yield found
            if count == 2:
                cluster.remove_node(cluster.second, allow_graceful=False)

    monkeypatch.setattr(RayEngine, "run", run)
    code, found = analyze(clips, tmp_path / "ray", "--engine", "ray")
    assert code == 0
    assert len(cluster.list_all_nodes()) == 1
    assert_equal_but([], found, wanted)
    assert keys(tmp_path / "ray/store") == keys(tmp_path / "local/store")


def test_shards_have_the_same_artifacts_and_tables(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    clips = write_clips(tmp_path / "clips", 4)
    wanted = {each.clip_id: each for each in Analyzer(store=tmp_path / "local").analyze_many(clips)}
    engine = SlurmEngine(tmp_path / "jobs", shard=2, cluster="local")
    found = list(Analyzer(store=tmp_path / "slurm").analyze_many(clips, engine=engine))
    assert [each.clip_id for each in found] == list(wanted) != []
    for each in found:
        assert each.key == wanted[each.clip_id].key
        for name in set(TABLES) - {"clips"}:
            pd.testing.assert_frame_equal(each.tables[name], wanted[each.clip_id].tables[name])
    assert keys(tmp_path / "slurm") == keys(tmp_path / "local")


def test_the_work_of_an_engine_has_two_parts():
    from vidfer.pipeline.engines.base import TwoPartWork

    assert issubclass(StoredWork, TwoPartWork)
