"""`vidfer purge` killed (SIGKILL) before one of its changes of a file system, said again, and looked after.

A process that has imported all forks one for each purge: starting a Python for each would take ten times as long.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from tests.faults.command import tree

_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill_before(change: int) -> None:
    """Let this process be killed before the nth time from now on that it changes a folder or opens a file to write."""
    left = change

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & _WRITES):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)


def in_child(work: Callable[[], int | None], said: Path) -> int:
    """Do something in a child process whose output goes to a file; return its status, or -9 where it was killed."""
    child = os.fork()
    if child == 0:
        streams = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(streams, 1)
        os.dup2(streams, 2)
        try:
            status = work() or 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException as error:
            print(repr(error), flush=True)
            status = 99
        sys.stdout.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def whole(run: Path, clip_id: str) -> int:
    """Load a run; return 1 if it has a clip of which a file that its summary names is not there."""
    import vidfer

    if clip_id not in vidfer.load_run(run).clips["clip_id"].tolist():
        return 0
    files = json.loads((run / clip_id / "summary.json").read_bytes())["files"]
    lost = [name for name in files if not (run / clip_id / name).is_file()]
    print("served without", lost)
    return int(bool(lost))


def storm(place: Path, ways: dict[str, list[str]], gone: set[str], clip_id: str, step: int) -> Iterator[dict[str, Any]]:
    """Kill a purge of a copy of a place before every so manieth change, until it lives to its end, in several ways in turn.

    Yields what came of each: `how`, whether it was `killed`, the `second` purge's status and what it `said`, what loading the
    run in between came to (`served`), and the place's files at the end.
    """
    from vidfer.cli.main import main

    names, alive = list(ways), set[str]()
    copy, said, change = place.with_name("copy"), place.with_name("said"), 0
    shutil.copytree(place, copy)
    os.chdir(copy)
    with said.open("w") as out, redirect_stdout(out), redirect_stderr(out):
        # imports what the children would import, each
        whole(Path("run"), clip_id)
        main(["purge", *ways[names[0]], "--out", "run", "--store", "store", "--yes"])
    while len(alive) < len(names):
        how = names[change // step % len(names)]
        words = ["purge", *ways[how], "--out", "run", "--store", "store", "--yes"]
        shutil.rmtree(copy)
        shutil.copytree(place, copy)
        os.chdir(copy)
        if how in gone:
            (copy / clip_id).unlink()
        status = in_child(lambda n=change, w=words: kill_before(n) or main(w), said)
        found = {"how": how, "change": change, "killed": status == -signal.SIGKILL}
        found["served"] = in_child(lambda: whole(copy / "run", clip_id), said) if change // step % 3 else 0
        found["second"] = in_child(lambda w=words: main(w), said)
        yield {**found, "said": said.read_text(), "files": {name: data.hex() for name, data in tree(copy).items()}}
        if status != -signal.SIGKILL:
            alive.add(how)
        change += step


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    for each in storm(Path(wanted.pop("place")), wanted.pop("ways"), set(wanted.pop("gone")), **wanted):
        print(json.dumps(each), flush=True)
