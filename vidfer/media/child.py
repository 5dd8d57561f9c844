"""Child processes that do the work which may hang, crash or run out of memory.

Native decoders can deadlock while they hold the interpreter's lock, so only another process can be stopped for certain.
A request is one line of JSON; a message is a JSON header, its length in front, and as many raw bytes as its `bytes` says:
behind it, or `at` a place of the memory that both share. After the messages of a request comes one that says `ready`.
"""

import contextlib
import json
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, Self

from vidfer.limits import MAX_HEADER_BYTES, MAX_OPEN_SECONDS, MEMORY_LIMIT
from vidfer.media.shared import SlotReader, SlotWriter
from vidfer.pipeline.system import (
    OVERTIME,
    end_tied,
    how_ended,
    limit_memory,
    requests,
    shared_file,
    start_tied,
    timed_reader,
)
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import subprocess

Header = dict[str, Any]
Emitted = Iterator[tuple[Header, memoryview | None]]
"""What a child answers to one request: headers, each with its payload if there is one."""

_KEEP_HEAP: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Has glibc keep the memory of a frame for the next: given back and asked for anew, its pages cost more than its conversion."""

_PREFIX: Final = struct.Struct("<I")
_LOOK: Final = 0.25  # s between two looks whether the child still lives: what it has started may hold its pipes open
_TOO_MUCH: Final = (
    f"its header holds so much that reading it took more than {MAX_OPEN_SECONDS:g} s of computing: "
    "`ffmpeg -i IN -map 0:v:0 -map 0:a? -map_metadata -1 -map_chapters -1 -c copy OUT` writes the clip without it"
)
_SAID: Final = 1 << 14  # bytes of its standard error that are kept


def require_local_file(path: str | Path) -> str:
    """Return the absolute path of a regular file that can be read.

    Raises:
        ClipError: `unreadable`: missing, a directory, a device or pipe, or without permission.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow a link into another name
    try:
        mode = Path(absolute).stat().st_mode
    except (OSError, ValueError) as error:
        raise ClipError(Status.UNREADABLE, f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(mode):
        raise ClipError(Status.UNREADABLE, f"{path}: not a regular file")
    if not os.access(absolute, os.R_OK):
        raise ClipError(Status.UNREADABLE, f"{path}: no permission to read it")
    return absolute


class Child:
    """A Python process that answers requests, started in isolation from the working directory; a context manager.

    It runs a module whose `__main__` calls `serve`, with its address space limited to `memory` bytes. The parent may wait
    `timeout` s in all, kept in `left`: the clock runs only while it waits in `receive`.
    """

    def __init__(self, module: str, *, timeout: float, memory: int = MEMORY_LIMIT) -> None:
        import subprocess  # here, since the child itself, which starts with this module, does not need it

        self.left = timeout
        self.requests = 0
        self._unready = 0
        paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        limits = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        threads = dict.fromkeys(
            limits, "1"
        )  # Silero's detector asks for four, and they spin: only the second limit holds it
        with contextlib.ExitStack() as stack:
            shared = shared_file(stack)
            self._process = start_tied(
                stack,
                [sys.executable, "-P", "-m", module, str(memory), str(-1 if shared is None else shared)],
                keep=[] if shared is None else [shared],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**_KEEP_HEAP, **os.environ, "PYTHONPATH": os.pathsep.join(paths), **threads},
            )
            stack.enter_context(self._process)
            stack.callback(end_tied, self._process)
            self._errors = _Tail(self._process)
            self._open = stack.pop_all()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._read_some = self._process.stdin, timed_reader(self._process.stdout)
        self._slots = None if shared is None else SlotReader(shared, self._in)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, request: Header) -> None:
        """Send a request of a few hundred bytes.

        Raises:
            ClipError: The child has ended.
        """
        self.requests += 1
        self._unready += 1
        try:
            self._in.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise self._gone() from None

    def settle(self, timeout: float) -> bool:
        """Wait until all requests are dealt with, for so many seconds, and tell whether the child is ready for the next one.

        A native library may crash or hang while it lets go of a clip whose last message has come already.
        """
        self.left = timeout
        try:
            while self._unready:
                self._message()
        except ClipError:
            return False
        return self.alive

    def receive(self) -> tuple[Header, memoryview]:
        """Wait for the next message; its payload is empty if there is none.

        Raises:
            ClipError: The child reported an error, ran out of time, or ended.
        """
        while True:
            header, payload = self._message()
            if "ready" not in header:
                break
        if "error" in header:
            raise ClipError(header["error"], header["message"])
        return header, payload

    def close(self) -> None:
        """End the process at once and free its pipes. Closing twice is fine."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _message(self) -> tuple[Header, memoryview]:
        try:
            (length,) = _PREFIX.unpack(self._read(_PREFIX.size))
            header = _parse(self._read(length) if length <= MAX_HEADER_BYTES else memoryview(b""))
            self._unready -= "ready" in header
            if "at" not in header:
                return header, self._read(header["bytes"])
            if self._slots is None:
                raise ValueError("no memory is shared")
            return header, self._slots.view(header["at"], header["bytes"])
        except ValueError as error:
            end_tied(self._process)
            raise ClipError(Status.CRASHED, f"the decoding process answered what makes no sense ({error})") from error

    def _read(self, size: int) -> memoryview:
        import numpy as np

        view = np.empty(size, np.uint8).data  # not bytearray: it would be filled with zeros first
        done = 0
        while done < size:
            count = self._wait(view[done:])
            if count is None:
                end_tied(self._process)
                raise ClipError(Status.TIMEOUT, "decoding took too long and was stopped")
            if count == 0:
                raise self._gone()
            done += count
        return view

    def _wait(self, memory: memoryview) -> int | None:
        """Read what comes; 0 at the end, and None where the time is over. While this process is stopped, no time passes."""
        while self.left > 0:
            alive, patience, began = self.alive, min(self.left, _LOOK), time.monotonic()
            count = self._read_some(memory, patience)
            self.left -= min(patience, time.monotonic() - began)
            if count is not None or not alive:
                return count or 0
        return None

    def _gone(self) -> ClipError:
        import subprocess

        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            code = None
        end_tied(self._process)
        if OVERTIME and code == -OVERTIME:
            return ClipError(Status.TOO_LARGE, _TOO_MUCH)
        said = self._errors.lines()
        return ClipError(Status.CRASHED, f"the decoding process {how_ended(code)}" + (f": {said[-1]}" if said else ""))


class _Tail:
    """The end of what a child says on standard error, read by a thread, so that it need not wait and takes no space on a disk."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        import threading

        pipe, process.stderr = process.stderr, None  # the thread closes it
        assert pipe is not None
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=[pipe], daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                self._kept = (self._kept + chunk)[-_SAID:]
                time.sleep(0.01)  # one that prints without end has to wait for it, and takes no core of this process

    def lines(self) -> list[str]:
        """Return the last lines of a process that has ended."""
        self._thread.join(timeout=1)
        return self._kept.decode(errors="replace").strip().splitlines()


def _parse(text: memoryview) -> Header:
    """Read the header of a message.

    Raises:
        ValueError: It is none.
    """
    try:
        header: Header = json.loads(bytes(text))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("no header")
    for name, limit in (("bytes", MEMORY_LIMIT), ("at", 1 << 62)):
        value = header.get(name, 0)
        if not isinstance(value, int) or not 0 <= value <= limit:
            raise ValueError(f"{name} is {value}")
    if "error" in header:
        header |= {"error": Status(header["error"]), "message": str(header.get("message", ""))}
    return {"bytes": 0, **header}


def serve(handle: Callable[[Header], Emitted]) -> None:
    """Answer the parent's requests until it closes the pipe; the main function of a child.

    `ClipError` and `MemoryError` raised by `handle` are reported to the parent, and the child goes on; anything else ends it with
    a traceback, which the parent reports as a crash.
    """
    memory, shared, tie = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    limit_memory(memory)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a native library prints must not fall into the messages
    lines = requests(tie)
    slots = SlotWriter(None if shared < 0 else shared, lines)
    with contextlib.suppress(BrokenPipeError):
        for line in lines:
            if slots.freed(line):
                continue
            try:
                for header, payload in handle(json.loads(line)):
                    if payload is not None and (at := slots.place(payload)) is not None:
                        _write(out, {**header, "at": at}, size=payload.nbytes)
                    else:
                        _write(out, header, payload)
            except ClipError as error:
                _write(out, {"error": error.status, "message": error.message})
            except MemoryError:
                message = f"decoding needs more memory than its limit of {memory / 2**30:.1f} GiB"
                _write(out, {"error": Status.OUT_OF_MEMORY, "message": message})
            _write(out, {"ready": True})


def _write(out: BinaryIO, header: Header, payload: memoryview | None = None, size: int = 0) -> None:
    text = json.dumps({**header, "bytes": size if payload is None else payload.nbytes}).encode()
    out.write(_PREFIX.pack(len(text)) + text)
    if payload is not None:
        out.write(payload)
    out.flush()
