"""A process that does the work for one item after the other, and what it says to the one that started it."""

import logging
import multiprocessing
import os
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from vidfer.limits import MAX_MESSAGE_BYTES
from vidfer.pipeline.cores import share_cores
from vidfer.pipeline.safe_path import safe_path
from vidfer.pipeline.shortage import explained_shortages
from vidfer.pipeline.system import WINDOWS, end_with
from vidfer.types import ClipError, VidferError

Item = TypeVar("Item")
"""What is worked on: a clip's path, or anything else that can be pickled and whose text names it."""

Work = Callable[[Item, Callable[[str, float], None]], dict[str, Any]]
"""From an item and a progress callback (stage, share) to the item's summary."""

_HALF = 10  # s that a worker may take between two parts of one message


@dataclass
class Worker:
    """A spawned process that does the work for one item after the other, and keeps what it has loaded; `run_all` uses several.

    Args:
        process: The process.
        pipe: What it says, to be read by `receive`; `multiprocessing.connection.wait` takes it.
        position: The place in the list of the item that it was given last.
        heard: When it was given that item or last said something of it, by `time.monotonic`, in s.
    """

    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"
    position: int = 0
    heard: float = 0.0

    @classmethod
    def start(cls, work: Work[Any], jobs: int = 1) -> "Worker":
        """Start a process, one of so many that work at once; the work has to be picklable."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        level = logging.getLogger("vidfer").getEffectiveLevel()
        process = context.Process(target=_serve, args=(work, theirs, level, jobs), daemon=False)
        with safe_path():
            process.start()
        theirs.close()
        if not WINDOWS:
            with socket.socket(fileno=os.dup(ours.fileno())) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _HALF, 0))
        return cls(process, ours)

    def give(self, item: object, position: int = 0) -> None:
        """Have an item worked on."""
        self.position, self.heard = position, time.monotonic()
        with suppress(OSError):  # that a worker has died is noticed when its result is received
            self.pipe.send(item)

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message: its kind, and its value.

        `done` (the summary), `clip` (the `ClipError` that the work raised) or `fatal` (another `VidferError`) is the last one of
        an item; before it come `progress` (stage and share) and `log` (a record). `dead` comes with the process' exit code, or
        None for one that had to be ended: it has closed its pipe, or what it sent is no message.
        """
        self.heard = time.monotonic()
        if not self.process.is_alive() and not self.pipe.poll():  # what it has started holds the pipe open
            return "dead", self.process.exitcode
        try:
            said = self.pipe.recv_bytes(MAX_MESSAGE_BYTES)
        except (EOFError, OSError):
            self._has_ended(1.0)
            return "dead", self._end()
        if zlib.crc32(said[4:]).to_bytes(4) != said[:4]:
            return "dead", self._end()
        kind, value = ForkingPickler.loads(said[4:])
        return (kind, ClipError(*value)) if kind == "clip" else (kind, value)

    def _end(self) -> int | None:
        """End the process if it lives, and return the exit code that it had by itself."""
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        return code

    def has_news(self) -> bool:
        """Whether `receive` need not wait: there is a message, or the process has ended."""
        return not self.process.is_alive() or self.pipe.poll()

    def kill(self) -> None:
        """End the process at once, whatever it does; child processes of `vidfer.media.child` end with it."""
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        """Let the process end; one that is still at work after 5 s is killed."""
        self.pipe.close()
        if not self._has_ended(5.0):
            self.process.kill()
            self.process.join()

    def _has_ended(self, patience: float) -> bool:
        """Whether the process ends within so many seconds; `join` with a limit has none once the process has closed its files."""
        until = time.monotonic() + patience
        while self.process.is_alive():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True


class Forward(logging.Handler):
    """Sends records to the process that started this one, which knows where they are to go."""

    def __init__(self, send: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send it as one that can be pickled."""
        said = {"msg": self.format(record), **dict.fromkeys(("args", "exc_info", "exc_text", "stack_info"))}
        with suppress(OSError):  # the parent has gone
            self._send(logging.makeLogRecord({**record.__dict__, **said}))


class _Sender:
    """Sends messages, each behind its checksum, from any thread."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def __call__(self, kind: str, value: object) -> None:
        said = bytes(ForkingPickler.dumps((kind, value)))
        with self._lock:
            self._pipe.send_bytes(zlib.crc32(said).to_bytes(4) + said)


def _serve(work: Work[Any], pipe: "Connection[Any, Any]", level: int, jobs: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    end_with(parent.sentinel)  # in the middle of an item, too, when no one waits for it any more
    os.dup2(2, 1)  # what a library prints must not fall into the results that the parent prints
    share_cores(jobs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupted run does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that drafts are removed on the way out
    send = _Sender(pipe)
    logging.getLogger("vidfer").setLevel(level)
    logging.getLogger().addHandler(Forward(lambda record: send("log", record)))
    logging.captureWarnings(True)
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            send(*attempt(work, pipe.recv(), lambda *at: send("progress", at)))


def attempt(
    work: Callable[[Item, Callable[[str, float], None]], Any], item: Item, progress: Callable[[str, float], None]
) -> tuple[str, Any]:
    """Do the work for an item, and say what became of it so that it can be sent to another process.

    That is `done` with what the work returned, `clip` with status and message, or `fatal` with a `VidferError` that is not the
    item's.
    """
    try:
        with explained_shortages():
            return "done", work(item, progress)
    except ClipError as error:
        return "clip", (error.status, error.message)
    except VidferError as error:
        return "fatal", error
