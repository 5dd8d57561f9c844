import os
import signal
from pathlib import Path

import pytest

from vidfer.pipeline.workers import run_all
from vidfer.types import ClipError, Status, VidferError


def work(clip, progress):
    progress("only", 0.5)
    if clip.name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if clip.name == "bad":
        raise ClipError(Status.CORRUPT, "bad")
    if clip.name == "disk":
        raise VidferError("the store is full")
    return {"name": clip.name}


def test_one_poison_clip_costs_only_itself():
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
