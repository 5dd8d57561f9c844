import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vidfer.media.child import Child
from vidfer.types import ClipError, Status

BEHAVIOUR = """
import os, signal, threading
from vidfer.media.child import serve

def handle(request):
    what = request["do"]
    if what == "echo":
        print("a library prints to standard output", flush=True)
        os.write(1, b"noise")
        yield {"said": request["text"]}, memoryview(bytes(range(256)) * request["times"])
    if what == "end":
        os._exit(3)
    if what == "hang":
        threading.Event().wait()
    if what == "stall":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        yield {"pid": os.getpid()}, None
        import ctypes
        ctypes.PyDLL(None).pause()

if __name__ == "__main__":
    serve(handle)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch):
    (tmp_path / "behaviour.py").write_text(BEHAVIOUR)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    children = []

    def begin(**how):
        children.append(Child("behaviour", **{"timeout": 30.0, "memory": 1 << 30, **how}))
        return children[-1]

    yield begin
    for child in children:
        child.close()


def ask(child, **request):
    child.send(request)
    return child.receive()


def test_messages_carry_bytes_of_any_size_and_nothing_else(start):
    child = start()
    for times in (0, 1, 20_000):
        header, payload = ask(child, do="echo", text="ä\n", times=times)
        assert header["said"] == "ä\n"
        np.testing.assert_array_equal(np.frombuffer(payload, np.uint8), np.tile(np.arange(256, dtype=np.uint8), times))


@pytest.mark.parametrize(("what", "status"), [("end", Status.CRASHED), ("hang", Status.TIMEOUT)])
def test_a_lost_child_is_noticed_on_every_system(start, what, status):
    """Row 8 of the faults has many more ways, by means that Linux alone has."""
    child = start(timeout=1.0)
    with pytest.raises(ClipError) as caught:
        ask(child, do=what)
    assert caught.value.status is status


def test_time_that_the_parent_spends_elsewhere_is_free(start):
    child = start(timeout=3.0)
    ask(child, do="echo", text="", times=1)
    time.sleep(3.5)
    ask(child, do="echo", text="", times=1)


def test_a_killed_parent_takes_a_stalled_child_with_it(tmp_path):
    """The child sits in native code holding the interpreter's lock, so no Python code of its own could notice."""
    (tmp_path / "behaviour.py").write_text(BEHAVIOUR)
    code = (
        "from vidfer.media.child import Child; import time\n"
        "child = Child('behaviour', timeout=30.0); child.send({'do': 'stall'})\n"
        "print(child.receive()[0]['pid'], flush=True); time.sleep(60)"
    )
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(50):
        if _gone(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_parent_without_standard_streams_is_served_too(tmp_path, closed):
    """So services are started; the first descriptors that are opened are then 0, 1 or 2."""
    (tmp_path / "behaviour.py").write_text(BEHAVIOUR)
    code = (
        "import os; from pathlib import Path\n"
        f"for each in {closed}: os.close(each)\n"
        "from vidfer.media.child import Child\n"
        "with Child('behaviour', timeout=30.0) as child:\n"
        "    child.send({'do': 'echo', 'text': 'on', 'times': 5000})\n"
        "    header, payload = child.receive()\n"
        f"Path({str(tmp_path / 'said')!r}).write_text(header['said'] + str(len(payload)))"
    )
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    subprocess.run([sys.executable, "-c", code], env=env, check=False, timeout=60)
    assert (tmp_path / "said").read_text() == "on1280000"


def test_modules_in_the_working_directory_are_not_imported(start, tmp_path, monkeypatch):
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit(66)")
    monkeypatch.chdir(folder)
    assert ask(start(), do="echo", text="safe", times=1)[0]["said"] == "safe"


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
