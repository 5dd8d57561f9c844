import time

import pytest

from tests.pipeline.engines.works import TwoParts, one_part
from vidfer.pipeline.engines import RayEngine
from vidfer.types import Status, VidferError

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.slow


def test_only_those_that_misbehave_are_lost(cluster, tmp_path, capfd):
    items = [f"item{number}" for number in range(20)]
    items[3], items[5], items[8], items[11], items[14] = (
        "poison-first",
        "hang-first",
        "corrupt",
        "hang-second",
        "bug-second",
    )
    items[17] = "poison-second"
    seen = []
    began = time.monotonic()
    found = dict(RayEngine(stall=8.0).run(TwoParts(tmp_path), iter(items), lambda *at: seen.append(at)))
    assert time.monotonic() - began < 120
    assert sorted(found) == list(range(20))
    lost = {
        3: Status.CRASHED,
        5: Status.TIMEOUT,
        8: Status.CORRUPT,
        11: Status.TIMEOUT,
        14: Status.CRASHED,
        17: Status.CRASHED,
    }
    assert {at: found[at].status for at in lost} == lost
    assert all(items[at] in found[at].message for at in lost)
    right = {at: {"name": item, "read": f"{item} prepared"} for at, item in enumerate(items) if at not in lost}
    assert {at: found[at] for at in right} == right
    assert {stage for _, stage, _ in seen} == {"first", "second"}
    assert "Holder" not in capfd.readouterr().err  # Ray warns of actors that may not start again
    # work of one part, in order, on the same cluster
    found = list(
        RayEngine(stall=8.0).run(one_part, ["a", "poison-only", "b", "hang-only", "c"], lambda *_: None, in_order=True)
    )
    assert [at for at, _ in found] == list(range(5))
    assert [found[at][1]["name"] for at in (0, 2, 4)] == ["a", "b", "c"]
    assert [found[at][1].status for at in (1, 3)] == [Status.CRASHED, Status.TIMEOUT]
    with pytest.raises(VidferError, match="full"):
        list(RayEngine().run(one_part, ["a", "disk", "b"], lambda *_: None))


def test_a_lost_node_costs_nothing(cluster, tmp_path):
    items = [f"item{number}" for number in range(16)]
    found = {}
    for position, result in RayEngine(retries=0).run(TwoParts(tmp_path, 1.0), items, lambda *_: None):
        if len(found) == 3:
            cluster.remove_node(cluster.second, allow_graceful=False)
        found[position] = result
    assert {at: result["name"] for at, result in found.items()} == dict(enumerate(items))
