"""Child processes that are kept for the next clip, since their start costs more than reading a short one."""

import atexit
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vidfer.limits import MEMORY_LIMIT
from vidfer.media.child import Child
from vidfer.pipeline.system import peak_memory
from vidfer.types import TRANSIENT, ClipError

MAX_REQUESTS: Final = 100
"""Answers after which a child is replaced, so that what a native library leaks stays small."""

_WORN: Final = 0.5  # of the limit: a child whose memory came so far is replaced, since `starved` looks at its peak

_SETTLE: Final = 2.0  # s that letting go of the clip before may take

_all: "weakref.WeakSet[KeptChild]" = weakref.WeakSet()


class KeptChild:
    """One idle child of a module, for whoever asks next in this process; who asks while it is lent gets another one.

    A fault costs only its clip: a child goes back only where its answer came to an end or was refused, and one that crashed,
    hung, ran out of memory or was left in the middle of an answer is ended, and so is one that crashes or hangs after its answer,
    while it lets go of the clip. Safe in threads and after a fork.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._idle: Child | None = None
        self._owner = os.getpid()
        _all.add(self)

    def start(self) -> None:
        """Start a child if none waits, to be ready when it is asked for; does not wait for it."""
        child = self._take(0.0)
        self._give_back(child if child is not None else Child(self._module, timeout=0.0))

    @contextmanager
    def lend(self, *, timeout: float, memory: int = MEMORY_LIMIT) -> Iterator[Child]:
        """Lend a child that may be waited for so many seconds; with another limit of its memory, in bytes, it is not kept."""
        child = self._take(timeout) if memory == MEMORY_LIMIT else None
        child = child if child is not None else Child(self._module, timeout=timeout, memory=memory)
        tidy = False
        try:
            yield child
            tidy = True
        except ClipError as error:
            tidy = error.status not in TRANSIENT
            raise
        finally:
            if tidy and memory == MEMORY_LIMIT:
                self._give_back(child)
            else:
                child.close()

    def end(self) -> None:
        """End the idle child if there is one; the next request starts another."""
        if (child := self._take(0.0)) is not None:
            child.close()

    def _take(self, timeout: float) -> Child | None:
        with self._lock:
            child, self._idle = self._idle, None
            if self._owner != os.getpid():  # a fork: the child is the other process's
                self._owner, child = os.getpid(), None
        if child is not None and not child.settle(_SETTLE):
            child.close()
            return None
        if child is not None:
            child.left = timeout
        return child

    def _give_back(self, child: Child) -> None:
        if child.requests < MAX_REQUESTS and (peak_memory(child.pid) or 0) < _WORN * MEMORY_LIMIT:
            with self._lock:
                if self._idle is None:
                    self._idle = child
                    return
        child.close()


@atexit.register
def end_children() -> None:
    """End all idle children of this process, such as to count their CPU time; the next requests start others."""
    for each in list(_all):
        each.end()
