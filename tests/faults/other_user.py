"""Another user of the system, who has no rights but those that files give to everyone."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.command import ROOT
from tests.faults.surroundings import Surrounding

OTHER = 54_321
"""Number of a user and a group that no system has."""


def another_user(folder: Path) -> Surrounding:
    """Return how to run as such a user; who is not root is one already.

    Where interpreter and source lie in a folder that is closed to others, as root's home is, an open one covers it that holds
    these alone.
    """
    if os.geteuid():
        return Surrounding("a user without rights", "user")
    closed: dict[Path, list[Path]] = {}
    for place in {Path(sys.base_prefix), Path(sys.prefix), ROOT}:
        if shut := [each for each in place.parents if not each.stat().st_mode & 0o001]:
            closed.setdefault(shut[-1], []).append(place)
    bind, lines = 'mkdir -p "$2"; mount --rbind "$1" "$2"', []
    pairs = [(place, folder / "aside" / str(number)) for number, place in enumerate(chain(*closed.values()))]
    lines += [shlex.join(["sh", "-ec", bind, "sh", str(place), str(new)]) for place, new in pairs]
    lines += [shlex.join(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(outer)]) for outer in closed]
    lines += [shlex.join(["sh", "-ec", bind, "sh", str(new), str(place)]) for place, new in pairs]
    none = "--inh-caps=-all --ambient-caps=-all --bounding-set=-all"
    wrap = f"setpriv --reuid {OTHER} --regid {OTHER} --clear-groups {none}"
    return Surrounding("a user without rights", "user", "\n".join(lines), wrap, ("--mount",))


def as_another_user(work: Callable[[], None]) -> bool:
    """Do some work in a fork that is such a user; return whether it went well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if not os.geteuid():
                os.setgroups([])
                os.setresgid(OTHER, OTHER, OTHER)
                os.setresuid(OTHER, OTHER, OTHER)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


@contextmanager
def open_folder() -> Iterator[Path]:
    """Lend a folder that anyone may enter and write."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
