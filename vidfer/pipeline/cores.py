"""The cores that this process may keep busy: all of the machine's, or its part where worker processes share them."""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

_processes = 1


def share_cores(processes: int) -> None:
    """Leave their parts of the cores to other processes: so many work at once, this one included."""
    global _processes
    _processes = max(1, processes)


def busy_threads() -> int:
    """Return how many threads this process may keep busy at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // _processes)


def at_once(work: Callable[[Given], Found], items: Sequence[Given]) -> list[Found]:
    """Do the work for each item, on as many cores as this process may use, and return the results in the order of the items.

    It pays for work that leaves the interpreter's lock, as networks do. The first error ends it.
    """
    threads = min(busy_threads(), len(items))
    if threads < 2:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads, "vidfer-core") as pool:
        return list(pool.map(work, items))
