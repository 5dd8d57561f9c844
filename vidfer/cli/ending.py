"""How a command ends that is told to: in order, with what is done written."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

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


@contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """Lend a function that tells whether Ctrl-C came, whatever became of the KeyboardInterrupt.

    Compiled modules that are being imported lose it, or raise another error in its place.
    """
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    ours = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
