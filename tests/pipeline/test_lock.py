import subprocess
import sys
import time

from vidfer.pipeline.lock import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from vidfer.pipeline.lock import locked
with locked(Path(sys.argv[1]), remove=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_waits_and_a_killed_one_gives_its_lock_back(tmp_path):
    place = tmp_path / "made" / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(place)
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    time.sleep(0.2)
    assert waiter.poll() is None
    holder.kill()
    holder.communicate()
    assert waiter.stdout.readline() == b"held\n"
    waiter.communicate()
    assert not is_locked(place)
    assert not place.exists()


def test_a_lock_that_was_removed_while_one_waited_is_taken_anew(tmp_path):
    with locked(tmp_path / "lock", remove=True):
        (tmp_path / "lock").unlink()
        with locked(tmp_path / "lock"):  # another file of that name
            assert is_locked(tmp_path / "lock")
    assert (tmp_path / "lock").exists()  # it was not the first one's to remove
