"""How a command ends that is told to: in order, with what is done written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from vidfer.pipeline.system import ENDING


@contextmanager
def ending_in_order() -> Iterator[None]:
    """End the process by an exception where SIGTERM or SIGHUP would end it at once, so that what is done is written."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    numbers = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


class KeptInterrupts:
    """Have Ctrl-C raise KeyboardInterrupt, whatever else became of it within.

    Compiled modules that are being imported lose it, or raise another error in its place.
    """

    def __enter__(self) -> None:
        self._noted = False
        self._ours = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True
        signal.default_int_handler(number, frame)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._noted and isinstance(error, Exception):
            raise KeyboardInterrupt from error
