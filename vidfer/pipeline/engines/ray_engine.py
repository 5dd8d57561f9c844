"""The engine of a Ray cluster: tasks for what needs no model, actors that hold the models for the rest."""

import logging
import os
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from vidfer.pipeline.engines.base import Result
from vidfer.pipeline.engines.ray_run import RayRun
from vidfer.pipeline.extras import require
from vidfer.pipeline.safe_path import imports_from_here, safe_path
from vidfer.pipeline.worker import Work
from vidfer.pipeline.workers import OnProgress
from vidfer.types import VidferError

Item = TypeVar("Item")

STALL: Final = 600.0
"""Seconds without progress after which an item is given up: five times what a clip may hold up its decoder by default."""

_SECONDS_TO_ANSWER: Final = 10.0
_ROOT: Final = Path(__file__).resolve().parents[3]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayEngine:
    """Does the work on a Ray cluster, as many items at once as it has CPUs (or, for the second part, GPUs).

    Where the work has two parts (`TwoPartWork`), the first runs as tasks of one CPU each, and the second in actors, one for each
    GPU or for every four CPUs, which keep their models from item to item. Without a first part there is an actor for each CPU.

    An item whose worker dies is tried once more, then it is `crashed`. A node that is lost costs no attempt. One that makes no
    progress is killed, and its item is a `timeout`.

    Args:
        address: `ray://HOST:10001`, `HOST:6379`, or `auto` for the one of this machine; None starts one here.
        stall: Seconds without progress after which an item is given up.
        gpus: GPUs that an actor needs, 0 for none; a share of one, such as 0.5, lets two actors have one.
        retries: How often an item whose worker has died is tried again.
    """

    address: str | None = None
    stall: float = STALL
    gpus: float = 0.0
    retries: int = 1

    def run(
        self, work: Work[Item], items: Iterable[Item], on_progress: OnProgress, *, in_order: bool = False
    ) -> Generator[tuple[int, Result], None, None]:
        """Do it, see `Engine.run`.

        Raises:
            UsageError: Ray is not installed.
            VidferError: There is no such cluster, or it has no vidfer, or the work failed for a reason that is not the item's.
        """
        require("--engine ray", "ray")
        with connected(self.address):
            run = RayRun(work, iter(items), self.stall, self.gpus, self.retries)
            try:
                yield from run.results(on_progress, in_order=in_order)
            finally:
                run.end()


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one, for the length of the block, unless this process is connected already.

    Raises:
        VidferError: It cannot be reached.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    if address is not None:
        _reach(address)
    else:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # the cluster that is started here tells nobody of itself
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its own future, and saves a warning
    own: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    elsewhere = nullcontext() if imports_from_here() else chdir(_ROOT)  # its workers import from where it is started
    try:
        with safe_path(), elsewhere:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = "no Ray could be started here" if address is None else f"there is no Ray cluster at {address}"
        raise VidferError(f"{where}: {reason}") from error
    hush()
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Find out in seconds whether anything answers there: Ray itself tries for minutes, and says so all the time.

    Raises:
        VidferError: Nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # `auto`, or what only Ray understands
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise VidferError(f"there is no Ray cluster at {address}: {error}") from error


def hush() -> None:
    """Send what Ray prints of its nodes and workers to standard output to the log instead.

    It has no option for that; where a later Ray has no such function, this does nothing.
    """
    from ray._private import worker

    def say(data: dict[str, Any], *_: object, **__: object) -> None:
        _LOG.debug("ray: %s", "\n".join(map(str, data.get("lines", ()))))

    worker.print_to_stdstream = say
