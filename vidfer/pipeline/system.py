"""What operating systems do differently: locks, limits, pipes, signals, rights and renames; nothing else asks which one it is.

Linux has all of it. Where a system lacks something, the function here says what is done instead. Child processes start with this
module, so it imports little.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import subprocess


def _module(name: str) -> Any:  # noqa: ANN401 - a module of one system, which type checkers of others do not know
    with suppress(ImportError):
        return import_module(name)
    return None


_fcntl: Final[ModuleType | Any] = _module("fcntl")
_resource: Final[ModuleType | Any] = _module("resource")
_LINUX: Final = sys.platform == "linux" and _fcntl is not None and hasattr(os, "O_ASYNC")

WINDOWS: Final = os.name == "nt"
"""Whether folders cannot be opened, open files cannot be removed, and files have no rights."""

ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if isinstance(getattr(signal, name, None), signal.Signals)
)
"""The signals that ask a process to end."""

STOP_SIGNAL: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None)
"""The signal that has a training save a checkpoint and end; None on Windows."""

OVERTIME: Final[int | None] = getattr(signal, "SIGVTALRM", None)
"""The signal of `compute_at_most`; None on Windows."""

_BEYOND: Final = 1 << 40  # a byte that no file has: Windows forbids others to read what is locked
_CHUNK: Final = 1 << 20
_RETRY: Final = 0.05  # s


def lock_file(handle: int, *, wait: bool = True) -> None:
    """Lock an open file for this descriptor alone; closing it, or the end of the process in any way, gives the lock back.

    Raises:
        BlockingIOError: Another descriptor has the lock, and this call is not to wait.
    """
    if _fcntl is not None:
        _fcntl.flock(handle, _fcntl.LOCK_EX | (0 if wait else _fcntl.LOCK_NB))
        return
    msvcrt: Any = import_module("msvcrt")
    place = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        while True:
            os.lseek(handle, _BEYOND, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            except OSError as error:  # PermissionError, and nothing says who has it
                if not wait:
                    raise BlockingIOError(error.errno, "another process has locked the file") from error
                time.sleep(_RETRY)
            else:
                return
    finally:
        os.lseek(handle, place, os.SEEK_SET)


def inherited(handle: int) -> dict[str, Any]:
    """Return what has `subprocess.Popen` give a descriptor to the new process; nothing on Windows, which cannot."""
    return {} if WINDOWS else {"pass_fds": [handle]}


def limit_memory(size: int) -> None:
    """Limit this process's address space to so many bytes; only Linux can, elsewhere a file that asks for more gets it."""
    if not _LINUX or _resource is None:
        return
    hard = _resource.getrlimit(_resource.RLIMIT_AS)[1]
    limit = size if hard == _resource.RLIM_INFINITY else min(size, hard)
    _resource.setrlimit(_resource.RLIMIT_AS, (limit, hard))


def compute_at_most(seconds: float) -> None:
    """End this process by `OVERTIME` once it has computed for so long, even in native code; 0 is no limit. Not on Windows."""
    if OVERTIME:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def peak_memory(pid: int | str = "self") -> int | None:
    """Return the largest address space that a process had, in bytes; None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak:")), None)


def trim_heap() -> None:
    """Give memory that was freed back to the system, where the allocator keeps it: glibc does between blocks that are in use."""
    if not _LINUX:
        return
    import ctypes  # here, since every command starts with this module

    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def starved() -> bool:
    """Whether the address space has come near its limit: a codec that gets no memory reports damage like any other."""
    if _resource is None:
        return False
    limit = _resource.getrlimit(_resource.RLIMIT_AS)[0]
    return bool(limit != _resource.RLIM_INFINITY and (peak_memory() or 0) > 0.9 * limit)


def shared_file(stack: ExitStack) -> int | None:
    """Open a file without a name, for memory that a child shares, until the stack is closed; None where none can be passed on.

    It goes with the last process that has it open or in its memory, however that ends.
    """
    if WINDOWS or _fcntl is None:
        return None
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("vidfer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        if hasattr(_fcntl, "F_SEAL_SHRINK"):  # who reads what the other process has cut off is ended by SIGBUS
            _fcntl.fcntl(handle, _fcntl.F_ADD_SEALS, _fcntl.F_SEAL_SHRINK)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    handle = _beyond_standard(handle)
    stack.callback(os.close, handle)
    return handle


def start_tied(
    stack: ExitStack,
    command: Sequence[str],
    *,
    keep: Sequence[int] = (),
    **options: Any,  # noqa: ANN401
) -> "subprocess.Popen[bytes]":
    """Start a process that ends with this one, whatever ends it; the last word of its command is for `requests`.

    It is given the descriptors `keep`, which Windows cannot do; elsewhere it heads a process group of its own, see `end_tied`.

    The tie is a pipe that stays open until the stack is closed, or where signals of pipes are missing the process's standard
    input, which has to be one.
    """
    import subprocess

    if not WINDOWS:
        options = {"process_group": 0, **options}
    if not _LINUX:
        return subprocess.Popen([*command, ""], pass_fds=keep, **options)
    watched, lifeline = map(_beyond_standard, os.pipe())
    stack.callback(os.close, lifeline)
    with closing(os.fdopen(watched, "rb", buffering=0)):
        return subprocess.Popen([*command, str(watched)], pass_fds=[watched, *keep], **options)


def end_tied(process: "subprocess.Popen[bytes]") -> None:
    """End a process of `start_tied` at once, and all that it has started itself and that is still in its group."""
    if WINDOWS:
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # none is left, or on macOS only ones that have ended
        os.killpg(process.pid, signal.SIGKILL)


def how_ended(code: int | None) -> str:
    """Say how a process ended, by its exit code: negative after a signal, None where it had to be ended.

    Example:
        >>> how_ended(-11)
        'was ended by signal 11 (SIGSEGV)'
        >>> how_ended(3)
        'ended with exit code 3'
    """
    if code is None:
        return "no longer answered as it should, and was ended"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "of no name"
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by signal {-code} ({name}){hint}"


def requests(tie: str) -> Iterator[bytes]:
    """Yield the lines of standard input in a process that `start_tied` has started, and end the process with its parent.

    On Linux the kernel ends it, even in native code. Elsewhere a thread sees that standard input ends, which has to wait while
    native code holds the interpreter's lock.
    """
    if tie:
        end_with(int(tie))
        yield from sys.stdin.buffer
        return
    import threading
    from queue import Queue

    lines: Queue[bytes] = Queue()

    def read() -> None:
        with open(0, "rb", buffering=0, closefd=False) as source:
            for line in source:
                lines.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def end_with(lifeline: int) -> None:
    """Have the kernel end this process, even in native code, when the other end of a pipe closes: with its group if it heads one.

    Unlike a watching thread, the signal's default action needs no interpreter lock; unlike the parent-death signal, it is
    about the parent process and not about the thread that started this one. Where pipes have no signals, a thread watches.
    """
    if not _LINUX:
        import threading
        from multiprocessing.connection import wait

        def watch() -> None:
            wait([lifeline])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
        return
    _fcntl.fcntl(lifeline, _fcntl.F_SETOWN, -os.getpid() if os.getpgrp() == os.getpid() else os.getpid())
    _fcntl.fcntl(lifeline, _fcntl.F_SETFL, _fcntl.fcntl(lifeline, _fcntl.F_GETFL) | os.O_ASYNC)
    closed = select.poll()
    closed.register(lifeline, select.POLLIN)
    if closed.poll(0):
        sys.exit(1)


def _beyond_standard(fd: int) -> int:
    """Move a descriptor out of the way of 0, 1 and 2, which may be free in a service and are set anew for the child."""
    if fd > 2:
        return fd
    moved: int = _fcntl.fcntl(fd, _fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def timed_reader(pipe: IO[bytes]) -> Callable[[memoryview, float], int | None]:
    """Return a function that reads what has come through an unbuffered pipe: into a memory, waiting so many seconds at most.

    It returns the number of bytes, 0 at the end of the pipe, and None when nothing came in time. Pipes of Windows cannot be
    waited for: there a thread reads, and bytes are copied once more.
    """
    if _LINUX:
        with suppress(OSError):  # over the user's share: slower, not wrong
            _fcntl.fcntl(pipe.fileno(), _fcntl.F_SETPIPE_SZ, _CHUNK)
    if not hasattr(select, "poll"):
        return _ThreadReader(pipe)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)

    def read(memory: memoryview, seconds: float) -> int | None:
        return os.readv(pipe.fileno(), [memory]) if poll.poll(seconds * 1000) else None

    return read


class _ThreadReader:
    """What `timed_reader` returns where there is no `select.poll`."""

    def __init__(self, pipe: IO[bytes]) -> None:
        import threading
        from queue import Queue

        self._chunks: Queue[bytes] = Queue(maxsize=2)  # a child that is faster has to wait, as with a pipe
        self._left = memoryview(b"")
        threading.Thread(target=self._pump, args=[pipe.fileno()], daemon=True).start()

    def _pump(self, number: int) -> None:
        chunk = b"more"
        while chunk:
            try:
                chunk = os.read(number, _CHUNK)
            except OSError:  # the reader has closed it
                chunk = b""
            self._chunks.put(chunk)

    def __call__(self, memory: memoryview, seconds: float) -> int | None:
        from queue import Empty

        try:
            self._left = self._left or memoryview(self._chunks.get(timeout=seconds))
        except Empty:
            return None
        count = min(len(memory), len(self._left))
        memory[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def is_running(pid: int) -> bool:
    """Tell whether a process may be running; where that cannot be asked without harm, it may."""
    if WINDOWS:  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def is_own(found: os.stat_result) -> bool:
    """Tell whether a file is the user's own; on Windows, where a user's folders are closed to others, always."""
    return WINDOWS or found.st_uid == os.getuid()


def move(source: Path, target: Path, *, replace: bool = False, patience: float = 2.0) -> None:
    """Rename a file or folder in one step; `replace` lets it take the place of a file.

    On Windows this fails for as long as another program, such as a virus scanner, has the file open: there it is tried again
    for so many seconds.
    """
    until = time.monotonic() + patience
    while True:
        try:
            (os.replace if replace else os.rename)(source, target)
        except PermissionError:
            if not WINDOWS or time.monotonic() > until:
                raise
            time.sleep(_RETRY)
        else:
            return
