"""Ways in which a process may misbehave; each is called in the process that is to do it."""

import ctypes
import fcntl
import os
import resource
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

GARBAGE = b"\x07\x00\x00\x00garbage, and no message"


def answers() -> list[int]:
    """The pipes and sockets, beyond the standard streams, that this process may write to."""
    found = []
    for fd in sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        try:
            mode, flags = os.fstat(fd).st_mode, fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError:
            continue  # the one that the list was read through
        if fd > 2 and flags & os.O_ACCMODE and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            found.append(fd)
    return found


def hang() -> None:
    time.sleep(3600)


def hang_in_native_code() -> None:
    """Hold the interpreter's lock for ever, as decord may."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    ctypes.PyDLL(None).pause()


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def segfault() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def divide() -> None:
    os.kill(os.getpid(), signal.SIGFPE)


def out_of_memory_killer() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat() -> None:
    """Ask for more memory than the limit; nothing of it is touched."""
    bytearray(8 << 30)


def eat_in_native_code() -> None:
    """Take memory, none of it touched, as C++ does, which aborts when it gets no more."""
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    for _ in range(96):
        if library.malloc(64 << 20) is None:
            os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
            os.abort()
    raise AssertionError("no limit was set")


def print_without_end() -> None:
    while True:
        os.write(1, b"out " * 1000)
        os.write(2, b"error " * 1000)


def answer_garbage() -> None:
    for fd in answers():
        os.write(fd, GARBAGE)
    time.sleep(0.2)
    hang()


def answer_garbage_and_end() -> None:
    for fd in answers():
        os.write(fd, GARBAGE)
    os._exit(0)


def end_silently() -> None:
    os._exit(0)


def close_standard_streams_and_end() -> None:
    os.closerange(0, 3)
    os._exit(3)


def close_answer() -> None:
    for fd in answers():
        os.close(fd)
    hang()


def close_everything() -> None:
    os.closerange(0, 256)
    hang()


def leave_a_grandchild() -> None:
    """End, while a fork holds all pipes open for a while."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGSEGV)


def overtime() -> None:
    """As where opening a file takes more computing than it may."""
    os.kill(os.getpid(), signal.SIGVTALRM)


HANGS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (hang, hang_in_native_code, stop, print_without_end)
}
"""Those that only a time limit ends."""

ENDS: dict[str, tuple[Callable[[], None], str]] = {
    each.__name__: (each, said)
    for each, said in (
        (segfault, r"signal 11 \(SIGSEGV\)"),
        (abort, r"signal 6 \(SIGABRT\)"),
        (divide, r"signal 8 \(SIGFPE\)"),
        (out_of_memory_killer, r"signal 9 \(SIGKILL\), as the system does when memory runs out"),
        (end_silently, "exit code 0"),
        (close_standard_streams_and_end, "exit code 3"),
        (close_answer, "no longer answered"),
        (close_everything, "no longer answered"),
        (leave_a_grandchild, r"signal 11 \(SIGSEGV\)"),
    )
}
"""Those that end their process or its pipe, and what a message says of it."""

WRONG: dict[str, Callable[[], None]] = {each.__name__: each for each in (answer_garbage, answer_garbage_and_end)}
"""Those that answer what is no message."""

STARVES: dict[str, Callable[[], None]] = {each.__name__: each for each in (eat, eat_in_native_code)}
"""Those that take all memory that they get."""

WAYS: dict[str, Callable[[], None]] = {
    **HANGS,
    **{name: way for name, (way, _) in ENDS.items()},
    **WRONG,
    **STARVES,
    "overtime": overtime,
}
"""All of them by name."""


def misbehave(way: str) -> None:
    """Misbehave in the way of this name."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    WAYS[way]()
