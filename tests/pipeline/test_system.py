import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidfer.datasets.synthetic import write_demo_clip
from vidfer.pipeline import system

ROOT = Path(__file__).parents[2]
OTHER = ROOT / "tests/pipeline/other_system"

CHILDREN = (
    "tests/pipeline/test_lock.py::test_another_process_waits_and_a_killed_one_gives_its_lock_back",
    "tests/media/test_child.py::test_messages_carry_bytes_of_any_size_and_nothing_else",
    "tests/media/test_child.py::test_a_lost_child_is_noticed_on_every_system",
    "tests/media/test_decode.py::test_every_frame_of_common_formats",
)
WHOLE = (
    "tests/pipeline",
    "tests/media/test_child.py",
    "tests/media/test_decode.py",
    "tests/results/test_clip_folder.py",
)
LINUX = (  # what other systems do not have, or what its test is not made for
    "test_a_lock_that_was_removed", "groups", "nobody_named", "full_disk", "does_not_let_read", "without_a_home", "memory_limit",
    "standard_streams", "test_system", "rights",
)  # fmt: skip


def read_table(path):
    """Read the rows of a table without when they were made."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{**row, "analyzed_at": "", "elapsed_s": ""} for row in csv.DictReader(file)]


def elsewhere(*words, **variables):
    """Run Python on the other system."""
    paths = os.pathsep.join(map(str, (OTHER, ROOT)))
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **variables, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_locks_children_and_decoding_work_where_linux_own_means_are_missing():
    done = elsewhere("-m", "pytest", "-q", "-p", "no:xdist", *CHILDREN)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert " failed" not in done.stdout


@pytest.mark.slow
def test_the_store_the_workers_and_folders_of_results_work_there_too():
    skipped = " and ".join(f"not {name}" for name in LINUX)
    done = elsewhere("-m", "pytest", "-q", "-p", "no:xdist", *WHOLE, "-k", skipped)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_a_killed_parent_takes_its_child_with_it_there_too():
    code = """
from vidfer.media.child import Child
child = Child("vidfer.media.decode_child", timeout=30.0)
print(child.pid, flush=True)
input()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (OTHER, ROOT)))}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        status = Path(f"/proc/{child}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_the_other_system_is_another_one():
    said = elsewhere(
        "-c", "import os, vidfer.pipeline.system as s; print(s._fcntl, s._resource, s.WINDOWS, hasattr(os, 'fork'))"
    )
    assert said.stdout.split() == ["None", "None", "True", "False"]


def test_a_lock_leaves_the_place_in_the_file_alone(tmp_path):
    with (tmp_path / "file").open("ab") as file, (tmp_path / "file").open("rb") as again:
        file.write(b"12345")
        file.flush()
        system.lock_file(file.fileno(), wait=False)
        assert file.tell() == 5
        with pytest.raises(BlockingIOError):
            system.lock_file(again.fileno(), wait=False)
    with (tmp_path / "file").open("rb") as again:
        system.lock_file(again.fileno(), wait=False)


def test_the_reader_by_a_thread_reads_waits_and_ends():
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source:
        into = system._ThreadReader(source)
        memory = memoryview(bytearray(4))
        assert into(memory, 0.01) is None
        os.write(write, b"abcdef")
        assert (into(memory, 5), bytes(memory)) == (4, b"abcd")
        assert (into(memory[:3], 5), bytes(memory)) == (2, b"efcd")
        os.close(write)
        assert into(memory, 5) == 0


def test_a_file_that_another_program_has_open_is_moved_when_it_is_closed(tmp_path, monkeypatch):
    calls = []

    def rename(source, target):
        calls.append(source)
        if len(calls) < 3:
            raise PermissionError(13, "in use")
        os.link(source, target)

    monkeypatch.setattr(system.os, "rename", rename)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(PermissionError):  # here it is the user's rights, which do not change by waiting
        system.move(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 1
    monkeypatch.setattr(system, "WINDOWS", True)
    system.move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"a"
    calls.clear()
    with pytest.raises(PermissionError):
        system.move(tmp_path / "a", tmp_path / "c", patience=0.0)


def test_processes_that_have_ended_are_told_from_others():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert system.is_running(process.pid)
    process.communicate(b"\n")
    assert not system.is_running(process.pid)
    assert not system.is_running(1 << 80)


@pytest.mark.slow
def test_a_clip_is_analysed_there_with_the_same_tables_and_without_extras(tmp_path):
    write_demo_clip(tmp_path / "clip.mp4", seconds=2.0)
    tables = []
    for place, paths, without in (("here", [], ""), ("elsewhere", [OTHER], "torch,lightning,timm,scipy,matplotlib")):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "vidfer",
                "analyze",
                "clip.mp4",
                "--out",
                place,
                "--jobs",
                "1",
                "--store",
                f"store-{place}",
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT])), "WITHOUT": without},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        tables.append(
            [read_table(tmp_path / place / f"{name}.csv") for name in ("clips", "people", "frames", "windows")]
        )
    assert tables[0] == tables[1]
