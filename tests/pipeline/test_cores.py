import os
import threading

import pytest

from vidfer.pipeline import cores
from vidfer.pipeline.workers import run_all


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(cores, "_processes", 1)


def test_work_is_done_on_all_cores_at_once_and_results_keep_their_order(two_cores):
    together = threading.Barrier(2, timeout=10)

    def work(item):
        together.wait()  # which nothing passes alone
        return item**2

    assert cores.at_once(work, [3, 1, 2, 5]) == [9, 1, 4, 25]


def test_processes_share_the_cores(two_cores):
    assert cores.busy_threads() == 2
    cores.share_cores(2)
    assert cores.busy_threads() == 1
    here = threading.current_thread()
    assert cores.at_once(lambda _: threading.current_thread(), [1, 2]) == [here, here]
    cores.share_cores(5)
    assert cores.busy_threads() == 1


def test_an_error_is_raised(two_cores):
    with pytest.raises(ZeroDivisionError):
        cores.at_once(lambda item: 1 / item, [1, 0, 2])


def part(_item, _progress):
    return {"processes": cores._processes}


def test_workers_know_how_many_they_are():
    assert [found["processes"] for _, found in run_all(part, [1, 2], 2, lambda *_: None)] == [2, 2]
