import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from vidfer.pipeline.workers import run_all
from vidfer.types import ClipError, Status, VidferError


def work(clip, progress):
    progress("only", 0.5)
    logging.getLogger("vidfer.part").debug("%s at %s", clip, 0.5)
    if clip.name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if clip.name == "bad":
        raise ClipError(Status.CORRUPT, "bad")
    if clip.name == "disk":
        raise VidferError("the store is full")
    return {"name": clip.name}


def test_one_poison_clip_costs_only_itself(caplog):
    caplog.set_level(logging.DEBUG, "vidfer")
    clips = [Path(name) for name in ["a", "poison", "b", "c", "bad", "d", "e", "f"]]
    seen: list[tuple[int, str, float]] = []
    results = dict(run_all(work, clips, 2, lambda *told: seen.append(told)))
    assert sorted(results) == list(range(8))
    poison, bad = results.pop(1), results.pop(4)
    assert isinstance(poison, ClipError)
    assert poison.status is Status.CRASHED
    assert "poison" in poison.message
    assert bad.status is Status.CORRUPT
    assert {position: result["name"] for position, result in results.items()} == {
        position: clips[position].name for position in results
    }
    assert {position for position, *_ in seen} >= set(results)
    assert {each.getMessage() for each in caplog.records} >= {f"{clips[position]} at 0.5" for position in results}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_is_not_the_clips_stops_everything(jobs):
    clips = [Path(name) for name in ["a", "disk", "b"]]
    with pytest.raises(VidferError, match="full"):
        list(run_all(work, clips, jobs, lambda *_: None))


def test_one_job_gives_the_same():
    clips = [Path("a"), Path("bad")]
    (_, first), (_, second) = run_all(work, clips, 1, lambda *_: None)
    assert first == {"name": "a"}
    assert second.status is Status.CORRUPT


def slow_first(clip, progress):
    if clip.name == "0":
        time.sleep(0.5)
    (clip.parent / f"done-{clip.name}").touch()
    return {"name": clip.name}


def test_in_order_only_a_few_are_ahead_of_the_one_that_is_due(tmp_path):
    clips = [tmp_path / str(number) for number in range(12)]
    found = run_all(slow_first, clips, 2, lambda *_: None, in_order=True)
    first = next(found)
    assert first == (0, {"name": "0"})
    assert len(list(tmp_path.glob("done-*"))) <= 5  # 2 * jobs, and one begun since the first was due
    assert [position for position, _ in found] == list(range(1, 12))


def test_a_dead_worker_keeps_its_turn():
    clips = [Path(name) for name in ["a", "poison", "b", "bad", "c"]]
    found = list(run_all(work, clips, 2, lambda *_: None, in_order=True))
    assert [position for position, _ in found] == [0, 1, 2, 3, 4]
    assert [isinstance(value, ClipError) for _, value in found] == [False, True, False, True, False]


def test_closing_early_ends_the_workers():
    found = run_all(work, [Path("a")] * 20, 2, lambda *_: None, in_order=True)
    next(found)
    assert multiprocessing.active_children()
    found.close()
    assert not multiprocessing.active_children()
