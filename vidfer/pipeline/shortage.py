"""What the system does not grant to a process, in a sentence that says how it is had."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vidfer.types import VidferError

_FILES = "too many files are open at once: allow more, such as by `ulimit -n 1024`"
_PROCESSES = (
    "the system lets no further process or thread start: allow more, such as by `ulimit -u` or the limit of the container, or "
    "close other programs"
)
_MEMORY = "there is not enough memory: close other programs, allow more (`ulimit -v`, the container), or use --jobs 1"
_TEMPORARY = "there is no folder for temporary files that can be written: name one by TMPDIR"
_NAMES = "names of files are {} here, and one has other characters: set PYTHONUTF8=1, or LC_ALL=C.UTF-8"
_UNMAPPED = "failed to map segment from shared object"  # what the loader says of a library that finds no room
_OF_NUMBER = {errno.EMFILE: _FILES, errno.ENFILE: _FILES, errno.EAGAIN: _PROCESSES, errno.ENOMEM: _MEMORY}

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a disk, a quota or a file that can grow no further."""

SHORT = frozenset(_OF_NUMBER)
"""Error numbers of a process that gets no more of something, which is no fault of the file that it was about to use."""

_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FAILING = frozenset({errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN})


@contextmanager
def explained_shortages() -> Iterator[None]:
    """Turn an error of a system that has run out of something into one that says what to do; others pass unchanged.

    Raises:
        VidferError: There are no more open files, processes, threads, memory, space, or no folder for temporary files; or a file
            or folder is closed to this user, or lies on a disk that fails.
    """
    try:
        yield
    except _kinds() as error:
        words = _explain(error)
        if words is None:
            raise
        raise VidferError(words) from error


def _kinds() -> tuple[type[Exception], ...]:
    """Return the types of such errors: pyarrow, once it is imported, has one of its own where it cannot start a thread."""
    arrow = sys.modules.get("pyarrow")
    own: tuple[type[Exception], ...] = () if arrow is None else (arrow.ArrowException,)
    return (OSError, RuntimeError, MemoryError, ImportError, UnicodeEncodeError, *own)


def _explain(error: Exception) -> str | None:
    if isinstance(error, UnicodeEncodeError):
        of_names = error.encoding == sys.getfilesystemencoding() != "utf-8"
        return _NAMES.format(error.encoding) if of_names else None
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _UNMAPPED in str(error)):
        return _MEMORY
    if not isinstance(error, OSError):
        no_thread = "can't start new thread" in str(error) or "Failed to launch worker thread" in str(error)
        return _PROCESSES if no_thread else None
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(
        error.strerror
    ):  # tempfile's only sign of it
        return _TEMPORARY
    if error.errno in FULL:
        place = error.filename or "standard output or a temporary file"
        return f"{place} cannot be written ({error.strerror}): free some space, or name another place"
    if error.filename and error.errno in _CLOSED:
        return (
            f"{error.filename} may not be read or written ({error.strerror}): change its rights, or name another place"
        )
    if error.filename and error.errno in _FAILING:
        failing = "its disk or network folder fails: see to that, or name another place"
        return f"{error.filename} cannot be reached ({error.strerror}): {failing}"
    return _OF_NUMBER.get(error.errno or 0)
