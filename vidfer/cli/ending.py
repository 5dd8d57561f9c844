"""How a command ends that is told to: in order, with what is done written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

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
