import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from vidfer.pipeline.engines import LocalEngine
from vidfer.types import Status


def work(item, progress):
    progress("only", 0.5)
    if item.name.startswith("poison") and not (item.parent / "survived").exists():
        (item.parent / "survived").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item.name == "hang":
        time.sleep(60)
    return {"name": item.name}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("in_order", [False, True])
def test_items_are_taken_only_as_places_become_free(jobs, in_order):
    taken = itertools.count()
    items = (Path(str(next(taken))) for _ in range(1_000_000))
    found = LocalEngine(jobs).run(work, items, lambda *_: None, in_order=in_order)
    first = [next(found) for _ in range(3)]
    found.close()
    assert all(result["name"] == str(position) for position, result in first)
    assert next(taken) <= 3 + 2 * jobs + 2


def test_one_that_makes_no_progress_is_given_up_and_one_that_dies_is_tried_again(tmp_path):
    items = [tmp_path / name for name in ("a", "hang", "poison", "b")]
    began = time.monotonic()
    found = dict(LocalEngine(1, stall=3.0, retries=1).run(work, items, lambda *_: None))
    assert time.monotonic() - began < 40
    assert found[1].status is Status.TIMEOUT
    assert "hang" in found[1].message
    assert [found[at]["name"] for at in (0, 2, 3)] == ["a", "poison", "b"]
    assert (tmp_path / "survived").exists()
