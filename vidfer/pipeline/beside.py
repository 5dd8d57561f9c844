"""A step that runs while other steps do: in a thread, which waits for a child process that does the work."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, Self, TypeVar

_T = TypeVar("_T")

Report = Callable[[float], None]
"""Called with the share in [0, 1] of a step that is done."""


class Beside(Generic[_T]):
    """What a context manager lends, entered in a thread of its own; a context manager.

    The thread is waited for at the end of the block; if it was not asked for its result until then, its next report ends it.

    Args:
        lend: Returns the context manager, whose work has to call the report that it is given now and then.
        report: Where reports go to from `wait` on; those before say nothing, so that the steps before it are reported in order.
    """

    def __init__(self, lend: Callable[[Report], AbstractContextManager[_T]], report: Report) -> None:
        self._lend, self._report = lend, report
        self._turn, self._unwanted = threading.Event(), threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        lent = self._stack.enter_context(ExitStack())  # left after the thread, and the thread after it was told
        thread = self._stack.enter_context(ThreadPoolExecutor(1, "beside"))
        self._stack.callback(self._unwanted.set)
        self._future = thread.submit(lambda: lent.enter_context(self._lend(self._tell)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait(self) -> _T:
        """Return what is lent until the end of the block.

        Raises:
            Exception: What was raised in the thread.
        """
        self._turn.set()
        return self._future.result()

    def _tell(self, share: float) -> None:
        if self._unwanted.is_set():
            raise _UnwantedError
        if self._turn.is_set():
            self._report(share)


class _UnwantedError(Exception):
    """Ends work that nobody waits for any more."""
