"""Child processes that do the work which may hang, crash or eat memory.

Native decoders can deadlock while they hold the interpreter's lock, so only another process can be stopped for certain.
A message is one JSON header, its length in front, followed by as many raw bytes as the header's `bytes` says. The child ends
when its parent does, even in the middle of native code: it asks the kernel for a signal when the `lifeline` pipe closes.
"""

import contextlib
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vidfer.types import ClipError, Status

MEMORY_LIMIT: Final = 4 << 30
"""Address space of a child in bytes."""

Header = dict[str, Any]
Message = tuple[Header, memoryview]

_PREFIX: Final = struct.Struct("<I")
_PIPE_SIZE: Final = 1 << 20


class Child:
    """A Python process that answers messages, started in isolation from the working directory.

    The clock runs only while the parent waits in `receive`: a parent that is busy with a frame doesn't use up the child's time.

    Args:
        module: Dotted name of a module whose `__main__` calls `serve`.
        timeout: Seconds that the parent may spend waiting in all; `allow` adds to it.
        memory: Limit of the child's address space in bytes.
    """

    def __init__(self, module: str, *, timeout: float, memory: int = MEMORY_LIMIT) -> None:
        self.memory = memory
        self._left = timeout
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        watched, self._lifeline = map(_beyond_standard, os.pipe())
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._lifeline)
            with contextlib.closing(os.fdopen(watched, "rb", buffering=0)):
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", module, str(watched), str(memory)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    pass_fds=[watched],
                    bufsize=0,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **threads},
                )
            undo.pop_all()  # it started: the lifeline stays open as long as the child
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        _widen(self._out)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def allow(self, seconds: float) -> None:
        """Grant the child this many more seconds of waiting."""
        self._left += seconds

    def renew(self, timeout: float) -> None:
        """Start the clock afresh, for a child that serves one clip after another."""
        self._left = timeout

    def send(self, header: Header) -> None:
        """Send a request (a few hundred bytes: it always fits into the pipe).

        Raises:
            ClipError: The child has ended.
        """
        try:
            _write(self._in, header)
        except BrokenPipeError:
            raise self._gone() from None

    def receive(self) -> Message:
        """Wait for the next message.

        Returns:
            The header, and the payload (empty if there is none).

        Raises:
            ClipError: The child reported an error, ran out of time, or ended.
        """
        (length,) = _PREFIX.unpack(self._read(_PREFIX.size))
        header: Header = json.loads(bytes(self._read(length)))
        if "error" in header:
            raise ClipError(Status(header["error"]), header["message"])
        return header, self._read(header.get("bytes", 0))

    def close(self) -> None:
        """End the process at once and free its pipes. Closing twice is fine."""
        if self._lifeline < 0:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
        os.close(self._lifeline)
        self._lifeline = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, size: int) -> memoryview:
        import numpy as np

        view = np.empty(size, np.uint8).data  # not bytearray: it would be filled with zeros first
        done = 0
        started = time.monotonic()
        while done < size:
            left = self._left - (time.monotonic() - started)
            if left <= 0 or not self._poll.poll(left * 1000):
                self._process.kill()
                raise ClipError(Status.TIMEOUT, "decoding took too long and was stopped")
            count = os.readv(self._out, [view[done:]])
            if count == 0:
                raise self._gone()
            done += count
        self._left -= time.monotonic() - started
        return view

    def _gone(self) -> ClipError:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ClipError(Status.CRASHED, f"the decoding process {how}" + (f": {said[-1]}" if said else ""))


def serve(handle: Callable[[Header], Iterator[tuple[Header, memoryview | None]]]) -> None:
    """Answer the parent's requests until it closes the pipe; the main function of a child.

    Args:
        handle: Takes a request and yields messages. `ClipError` and `MemoryError` are reported to the parent and the child
            goes on; anything else ends it with a traceback, which the parent reports as a crash.
    """
    import resource

    lifeline, memory = int(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    _end_with_parent(lifeline)
    out = os.dup(1)
    os.dup2(2, 1)  # what a native library prints must not fall into the messages
    _widen(out)
    with contextlib.suppress(BrokenPipeError):
        for line in iter(lambda: _receive_request(0), None):
            try:
                for header, payload in handle(line):
                    _write(out, header, payload)
            except ClipError as error:
                _write(out, {"error": error.status, "message": error.message})
            except MemoryError:
                limit = f"{memory / 2**30:.1f} GiB"
                _write(
                    out,
                    {"error": Status.OUT_OF_MEMORY, "message": f"decoding needs more memory than its limit of {limit}"},
                )


def _end_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the other end of the pipe closes.

    Unlike a watching thread, the signal's default action needs no interpreter lock; unlike the parent-death signal, it is
    about the parent process and not about the thread that started this one.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    closed = select.poll()
    closed.register(lifeline, select.POLLIN)
    if closed.poll(0):
        sys.exit(1)


def _beyond_standard(fd: int) -> int:
    """Move a descriptor out of the way of 0, 1 and 2, which may be free in a service and are set anew for the child."""
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def _receive_request(fd: int) -> Header | None:
    prefix = _read_exactly(fd, _PREFIX.size)
    return json.loads(_read_exactly(fd, *_PREFIX.unpack(prefix))) if prefix else None


def _read_exactly(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(fd, size - len(data))
        if not part:
            return b""
        data += part
    return data


def _write(fd: int, header: Header, payload: memoryview | None = None) -> None:
    if payload is not None:
        header = {**header, "bytes": payload.nbytes}
    text = json.dumps(header).encode()
    parts = [memoryview(_PREFIX.pack(len(text)) + text)]
    if payload is not None and payload.nbytes:
        parts.append(payload.cast("B"))
    while parts:
        count = os.writev(fd, parts)
        while parts and count >= len(parts[0]):
            count -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][count:]


def _widen(fd: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # over the user's share: slower, not wrong
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
