"""Python on a system that is not Linux, as far as Linux can play it: put this folder first into PYTHONPATH.

There is no `fcntl`, `resource`, `fork`, `select.poll`, O_ASYNC, `fchmod` or SIGHUP, and folders count as ones that cannot be
opened. Files are locked by a stand-in for Windows' `msvcrt`. Modules named in $WITHOUT are not installed.
"""

import fcntl
import os
import select
import signal
import sys
from types import SimpleNamespace

MISSING = {"fcntl", "resource", "pwd", "grp", *filter(None, os.environ.get("WITHOUT", "").split(","))}


class Without:
    """A finder of modules that finds some no more."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def locking(handle, mode, size, flock=fcntl.flock, flags=fcntl.LOCK_EX | fcntl.LOCK_NB):
    """Lock the byte at the file's position, which belongs to the open file as `flock`'s lock does."""
    assert (mode, size) == (2, 1)
    assert os.lseek(handle, 0, os.SEEK_CUR) > 1 << 39, "others could not read what is locked"
    try:
        flock(handle, flags)
    except BlockingIOError:
        raise PermissionError(13, "Permission denied") from None


for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path[:] = map(Without, sys.meta_path)
for module, names in {
    os: ("fork", "forkpty", "O_ASYNC", "O_CLOEXEC", "fchmod", "readv"),
    select: ("poll",),
    signal: ("SIGHUP",),
}.items():
    for name in names:
        delattr(module, name)

from vidfer.pipeline import system  # noqa: E402

system.WINDOWS = True
system.import_module = {
    "msvcrt": SimpleNamespace(LK_NBLCK=2, locking=locking)
}.__getitem__  # the standard library looks for it, too
