import errno
import os
import sys

import pyarrow as pa
import pytest

from vidfer.pipeline.atomic import results_folder
from vidfer.pipeline.shortage import SHORT, explained_shortages
from vidfer.types import ClipError, Status, VidferError


def of(number, *more):
    return OSError(number, os.strerror(number), *more)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (of(errno.EMFILE, "/some/file"), "ulimit -n"),
        (of(errno.ENFILE), "ulimit -n"),
        (of(errno.EAGAIN), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (pa.ArrowException("Unknown error: Failed to launch worker thread: no"), "ulimit -u"),
        (of(errno.ENOMEM), "ulimit -v"),
        (MemoryError(), "ulimit -v"),
        (ImportError("libarrow.so.2600: failed to map segment from shared object"), "ulimit -v"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
        (of(errno.ENOSPC), "standard output or a temporary file cannot be written .*free some space"),
        (of(errno.EDQUOT, "/some/file"), "/some/file cannot be written .*free some space"),
        (of(errno.EACCES, "/some/file"), "/some/file may not be read or written .*change its rights"),
        (of(errno.EPERM, "/some/file"), "/some/file may not be read or written .*change its rights"),
        (of(errno.EROFS, "/some/file"), "/some/file may not be read or written .*name another place"),
        (of(errno.EIO, "/some/file"), "/some/file cannot be reached .*its disk or network folder fails"),
        (of(errno.ESTALE, "/some/file"), "/some/file cannot be reached .*its disk or network folder fails"),
    ],
)
def test_what_the_system_does_not_grant_is_said_with_the_remedy(error, remedy):
    with pytest.raises(VidferError, match=remedy) as raised, explained_shortages():
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        of(errno.ENOENT, "/some/file"),
        of(errno.EPERM),  # of no file: of a process, say
        RuntimeError("another fault"),
        ImportError("no module named x"),
        pa.ArrowException("another fault"),
        ClipError(Status.CORRUPT, "damaged"),
        KeyError("x"),
    ],
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as raised, explained_shortages():
        raise error
    assert raised.value is error


def test_before_pyarrow_is_imported_nothing_is_looked_up(monkeypatch):
    monkeypatch.delitem(sys.modules, "pyarrow")
    with pytest.raises(VidferError), explained_shortages():
        raise MemoryError


@pytest.mark.parametrize("number", sorted(SHORT))
def test_another_folder_is_no_remedy_for_a_shortage(tmp_path, number):
    with pytest.raises(OSError, match=f"Errno {number}"), results_folder(tmp_path / "out"):
        raise of(number, str(tmp_path / "out" / "file"))
