"""Surroundings in which the command may be started: each is a piece of shell that runs before it, so that they combine."""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_MOUNT = ("--mount",)
_CAPS = "=-all,+dac_override"
_OTHER = (
    f"setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps{_CAPS} --ambient-caps{_CAPS} --bounding-set{_CAPS}"
)
_READ_ONLY = 'mount --bind "$W" "$W" && mount -o remount,bind,ro /'


@dataclass(frozen=True)
class Surrounding:
    """What is odd about a place.

    Args:
        name: In words.
        about: Its kind: two of a kind do not combine.
        shell: Commands of `sh` that bring it about; `$W` is a folder that stays writable, with the working folder in it.
        wrap: Words in front of the command.
        spaces: Options of `unshare` that they need.
        says: Where the command cannot do its work: what it says then.
    """

    name: str
    about: str
    shell: str = ""
    wrap: str = ""
    spaces: tuple[str, ...] = ()
    says: str = ""


def script(chosen: Sequence[Surrounding], folder: Path, words: Sequence[str | Path]) -> list[str]:
    """Return the command that runs `words` in all of these surroundings at once."""
    lines = [f"W={shlex.quote(str(folder))}", 'cd "$W/work"', *(each.shell for each in chosen if each.shell)]
    wraps = " ".join(each.wrap for each in chosen if each.wrap)
    lines.append(f"exec {wraps} {shlex.join(map(str, words))}")
    spaces = sorted({space for each in chosen for space in each.spaces})
    return [*(["unshare", *spaces] if spaces else []), "sh", "-e", "-c", "\n".join(lines)]


@cache
def possible(chosen: Surrounding, folder: Path) -> bool:
    """Whether this system lets it be brought about."""
    try:
        return subprocess.run(script([chosen], folder, ["true"]), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # there is no unshare
        return False


def _variables(about: str, **values: Sequence[str]) -> list[Surrounding]:
    return [
        Surrounding(f"{name}={value!r}", about, f"export {name}={shlex.quote(value)}")
        for name, options in values.items()
        for value in options
    ]


def _closed(numbers: str) -> Surrounding:
    return Surrounding(f"streams {numbers} closed", "streams", "exec " + " ".join(f"{n}>&-" for n in numbers))


CLOSED = tuple(map(_closed, ("0", "1", "2", "01", "02", "12", "012")))

WORKING: tuple[Surrounding, ...] = (
    *CLOSED,
    Surrounding("stdin an endless pipe", "streams", "exec < /dev/zero"),
    Surrounding("no passwd entry", "user", "unset USER LOGNAME", "unshare --user --map-user=12345"),
    Surrounding("HOME unset", "home", "unset HOME"),
    *_variables("home", HOME=("", "/none/of/these", "/proc", "/dev/null", "relative")),
    *_variables("cache", XDG_CACHE_HOME=("relative", "/proc")),
    Surrounding("read-only root", "root", _READ_ONLY, spaces=_MOUNT),
    Surrounding("no folder for temporary files", "root", f"{_READ_ONLY}; export TMPDIR=/proc; cd /", spaces=_MOUNT),
    *_variables("temporary", TMPDIR=("/none/of/these", "/proc", "relative", "")),
    Surrounding("no /dev/shm", "devices", "mount -t tmpfs -o ro,size=4k none /dev/shm", spaces=_MOUNT),
    Surrounding("/dev/shm full", "devices", "mount -t tmpfs -o size=4k none /dev/shm; : > /dev/shm/a", spaces=_MOUNT),
    Surrounding("/dev empty", "streams", 'mkdir -p "$W/dev"; mount --bind "$W/dev" /dev', spaces=_MOUNT),
    Surrounding("no /proc", "processes", "mount -t tmpfs none /proc", spaces=_MOUNT),
    *_variables("locale", LC_ALL=("C", "POSIX", "xx_YY.UTF-8", "de_DE.ISO-8859-1"), PYTHONIOENCODING=("ascii",)),
    Surrounding("64 open files", "files", "ulimit -n 64"),
    Surrounding("2 GiB of address space", "space", "ulimit -v 2097152"),
    Surrounding("a small stack", "stack", "ulimit -s 256"),
    Surrounding("another user", "user", "", _OTHER),
    Surrounding("no network", "network", spaces=("--net",)),
    Surrounding("processes of its own", "processes", spaces=("--pid", "--fork")),
    Surrounding("working folder deleted", "folder", 'cd "$W/work"; mkdir a; cd a; rmdir ../a'),
    *(Surrounding(f"umask {mask}", "umask", f"umask {mask}") for mask in ("000", "077")),
    *_variables("seed", PYTHONHASHSEED=("0", "4294967295")),
    *_variables("threads", OMP_NUM_THREADS=("0", "garbage", "", "1000")),
    *_variables("terminal", TERM=("dumb", "", "garbage"), COLUMNS=("0", "-5", "garbage", "1")),
    *_variables("python", PYTHONOPTIMIZE=("1", "2"), PYTHONWARNINGS=("error",), PYTHONMALLOC=("debug",)),
    *_variables("python", PYTHONSAFEPATH=("1",), PYTHONDEVMODE=("1",), PYTHONDONTWRITEBYTECODE=("1",)),
    *_variables("zone", TZ=("garbage", ":/etc/passwd", "Asia/Kathmandu")),
    *_variables("path", PATH=("/none",)),
    *_variables("colour", NO_COLOR=("1",), FORCE_COLOR=("1",)),
    *_variables("graphics", CUDA_VISIBLE_DEVICES=("garbage",), MPLCONFIGDIR=("/proc",)),
    Surrounding("children not waited for", "signals", "trap '' CHLD"),
    Surrounding("signals ignored", "signals", "trap '' INT TERM HUP PIPE USR1"),
    Surrounding("one core", "cores", "", "taskset -c 0"),
)
"""Where `vidfer analyze` works as anywhere."""

REFUSING: tuple[Surrounding, ...] = (
    Surrounding("24 open files", "files", "ulimit -n 24", says="too many files .*ulimit -n"),
    Surrounding("300 MB of address space", "space", "ulimit -v 300000", says="not enough memory"),
    Surrounding("500 MB of address space", "space", "ulimit -v 500000", says="not enough memory"),
    Surrounding(
        "ASCII alone",
        "locale",
        "export LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
        says="names of files are ascii here.*PYTHONUTF8=1",
    ),
    Surrounding("one process", "user", "", f"prlimit --nproc=1 {_OTHER}", says="no further process"),
    Surrounding("four processes", "user", "", f"prlimit --nproc=3 {_OTHER}", says="no further process"),
    Surrounding("standard output full", "streams", "exec > /dev/full", says="cannot be written .*free some space"),
    Surrounding(
        "no home at all",
        "home",
        "unset HOME USER LOGNAME VIDFER_STORE",
        "unshare --user --map-user=12345",
        says="no home folder .*VIDFER_STORE",
    ),
    Surrounding("a home on /proc", "home", "unset VIDFER_STORE; export HOME=/proc", says="cannot be written .*--store"),
)
"""Where it cannot, and says why."""
