"""What runs on the workers of a Ray cluster: the two parts of the work, and the board that progress is written on."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from vidfer.pipeline.engines.base import TwoPartWork
from vidfer.pipeline.engines.remote import Surroundings
from vidfer.pipeline.worker import Forward, Work, attempt
from vidfer.types import VidferError

SECONDS_BETWEEN: Final = 0.5
"""How often a worker says how far it is, but for the beginning of a stage, which it always says."""

_LOGS_KEPT: Final = 1000


class Board:
    """An actor that keeps the last thing that was said of each attempt until the driver reads it."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, float, float]] = {}
        self._logs: deque[logging.LogRecord] = deque(maxlen=_LOGS_KEPT)

    def say(self, attempt: int, stage: str, share: float) -> None:
        """Keep how far an attempt is."""
        self._last[attempt] = (stage, share, time.time())

    def log(self, record: logging.LogRecord) -> None:
        """Keep a record; of very many only the last."""
        self._logs.append(record)

    def read(self) -> tuple[float, dict[int, tuple[str, float, float]], list[logging.LogRecord]]:
        """Return the time, and by attempt the stage, the share done and when that was said, and records; forget them."""
        news, logs = dict(self._last), list(self._logs)
        self._last.clear()
        self._logs.clear()
        return time.time(), news, logs


@dataclass(frozen=True)
class Desk:
    """What every worker is given: the board, and how it is to be like the driver."""

    board: Any
    surroundings: Surroundings
    threads: int

    def sit(self) -> None:
        """Prepare this process."""
        self.surroundings.enter(self.threads)
        logger = logging.getLogger("vidfer")
        logger.propagate = False
        logger.handlers = [Forward(self.board.log.remote)]

    def report(self, number: int) -> Callable[[str, float], None]:
        """Return a progress callback for an attempt."""
        last: tuple[str, float] = ("", 0.0)

        def say(stage: str, share: float) -> None:
            nonlocal last
            now = time.monotonic()
            if stage != last[0] or now - last[1] >= SECONDS_BETWEEN:
                last = (stage, now)
                self.board.say.remote(number, stage, share)

        return say

    def do(self, part: Callable[[Any, Any], Any], number: int, item: object) -> tuple[str, Any]:
        """Do a part of the work for an item, see `attempt`."""
        self.board.say.remote(number, "", 0.0)  # from now on the watchdog counts
        try:
            self.sit()
        except VidferError as error:
            return "fatal", error
        return attempt(part, item, self.report(number))


class Holder:
    """An actor that holds what the work loads, from item to item.

    Work and desk come with each item: references that an actor is made of may be gone when Ray starts it again, as Ray warns.
    """

    def __init__(self) -> None:
        self._work: Work[Any] | None = None

    def node(self) -> str:
        """Return the id of the node that it is on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def do(self, work: Work[Any], desk: Desk, number: int, item: object) -> tuple[str, Any]:
        """Do the work for an item: the work that came with the first one, and what it has loaded since."""
        self._work = work if self._work is None else self._work
        return desk.do(self._work, number, item)


def prepare(work: TwoPartWork[Any], desk: Desk, number: int, item: object) -> tuple[str, Any]:
    """Do the first part of the work for an item: a task."""
    return desk.do(work.prepare, number, item)


def is_there() -> bool:
    """Answer, from a node that is asked whether it still lives: a task."""
    return True
