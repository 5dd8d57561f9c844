import pytest

from tests.pipeline.engines.works import one_part
from vidfer.pipeline.engines import SlurmEngine
from vidfer.pipeline.engines.slurm_shard import Statuses
from vidfer.types import Status, UsageError, VidferError

pytest.importorskip("submitit", reason="the extra slurm is not installed")


def test_without_slurm_it_says_so_and_runs_nothing_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="sbatch"):
        list(SlurmEngine(tmp_path).run(one_part, ["a"], lambda *_: None))


def test_a_line_that_a_killed_job_left_unfinished_is_not_read_until_it_is_whole(tmp_path):
    said = Statuses(tmp_path / "shard-1")
    (tmp_path / "shard-1.a").write_bytes(b'["done", 3, {"name": "a"}]\n["done", 4, {"na')
    assert list(said.read()) == [("done", 3, {"name": "a"})]
    assert list(said.read()) == []
    with (tmp_path / "shard-1.a").open("ab") as more:
        more.write(b'me": "b"}]\n')
    assert list(said.read()) == [("done", 4, {"name": "b"})]


@pytest.mark.slow
def test_shards_give_what_one_process_does_and_lose_only_the_poison(tmp_path):
    items = ["a", "b", "poison-only", "c", "hang-only", "corrupt-only", "d"]
    engine = SlurmEngine(tmp_path / "jobs", shard=3, max_jobs=2, stall=10.0, cluster="local")
    found = list(engine.run(one_part, iter(items), lambda *_: None, in_order=True))
    assert [at for at, _ in found] == list(range(7))
    assert {at: result["name"] for at, result in found if isinstance(result, dict)} == {0: "a", 1: "b", 3: "c", 6: "d"}
    assert [found[at][1].status for at in (2, 4, 5)] == [Status.CRASHED, Status.TIMEOUT, Status.CORRUPT]
    assert not list(tmp_path.iterdir())
    with pytest.raises(VidferError, match="full"):
        list(engine.run(one_part, ["a", "disk-only"], lambda *_: None))


def dies(item, progress):
    """Kill the whole job, as a machine without memory would."""
    import os
    import signal

    if item == "job":
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return {"name": item}


@pytest.mark.slow
def test_a_job_that_dies_costs_only_the_item_at_fault(tmp_path):
    items = ["a", "job", "b", "c"]
    found = dict(SlurmEngine(tmp_path, shard=4, stall=20.0, cluster="local").run(dies, items, lambda *_: None))
    assert found[1].status is Status.CRASHED
    assert "job" in found[1].message
    assert {at: found[at]["name"] for at in (0, 2, 3)} == {0: "a", 2: "b", 3: "c"}
    assert list(tmp_path.glob("jobs-*/*"))  # the logs that the message names
