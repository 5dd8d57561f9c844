"""How the processes of one training end: all together, and with what the one that failed has to say."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from typing import Any, Final

import lightning
import torch.distributed as dist

from vidfer.types import VidferError

_PATIENCE: Final = 5.0  # seconds in which a process that broke a connection is seen to have ended


class OtherProcessError(Exception):
    """Another process of the training has failed; without a text, that one has said why."""


@contextmanager
def ending_together(trainer: lightning.Trainer) -> Iterator[None]:
    """End the processes that this one started when it fails, which would wait for it without end.

    Raises:
        OtherProcessError: Instead of an error of communication, if another process has failed.
    """
    try:
        yield
    except BaseException as error:
        started: Sequence[Popen[Any]] = getattr(trainer.strategy.launcher, "procs", ())
        lost = not isinstance(error, VidferError) and _is_of_communication(error)
        status = _failure(started) if lost else None
        for each in started:
            each.kill()
        if status is not None and status < 0:
            raise OtherProcessError(f"a process of the training was ended by signal {-status}") from error
        if status is not None or (lost and trainer.global_rank):
            raise OtherProcessError from error
        raise


def _is_of_communication(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _failure(started: Sequence[Popen[Any]]) -> int | None:
    """Return the status of the first process that ends with another one than 0, which may take a moment; None if none does."""
    until = time.monotonic() + _PATIENCE
    while started and time.monotonic() < until:
        for each in started:
            if each.poll():
                return each.returncode
        time.sleep(0.05)
    return None
