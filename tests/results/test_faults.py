"""No row is lost: a process killed at any step, a full disk, and several processes in one folder."""

import json
import os
import resource
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.results.fake import SUMMARY, tables_of, write
from vidfer.api import claimed_folders
from vidfer.results import clip_folder
from vidfer.results.clip_folder import COMMIT, FolderError, open_clip, write_clip
from vidfer.results.files import read_table, table_files
from vidfer.results.run import load_run
from vidfer.results.run_folder import rebuild
from vidfer.results.schema import TABLES
from vidfer.types import VidferError

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def in_child(work, dies_at=None, below=""):
    """Do work in a process of its own, which may be killed before a step that changes a file; return how it ended."""
    child = os.fork()
    if child == 0:
        steps = 0

        def count(event, arguments):
            nonlocal steps
            if event in STEPS and str(arguments[0]).startswith(str(below)):
                steps += 1
                if steps == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            if dies_at is not None:
                sys.addaudithook(count)
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_many_steps(work, below, stride):
    """Do `work(number)` again and again, killed a few steps later each time, until it comes to its end; yield the numbers."""
    for step in range(1, 1000, stride):
        status = ended(in_child(lambda at=step: work(at), step, below))
        yield step
        if status != -signal.SIGKILL:
            assert status == 0
            return


def naive(folder, clip_id, files):
    summary = {"clip_id": clip_id, "schema_version": clip_folder.SCHEMA_VERSION, "files": {}}
    for name, data in files.items():
        summary["files"][name] = clip_folder.blake3(data).hexdigest()
        (folder / name).write_bytes(data)
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.mark.parametrize("writer", ["vidfer", "naive"])
def test_a_clip_is_replaced_whole_or_not_at_all_wherever_its_writer_is_killed(tmp_path, monkeypatch, writer):
    folder = tmp_path / "a.mp4"
    write(tmp_path, "a.mp4", value=0.0, files={"person-1.jpg": b"0", "person-2.jpg": b"0"})
    tables = {number: tables_of("a.mp4", number / 1000) for number in (0, 1)}
    files = [dict(table_files(each)) for each in tables.values()]

    def work(number):
        if writer == "naive":
            return naive(folder, "a.mp4", files[number % 2])
        monkeypatch.setattr(clip_folder, "table_files", lambda *_, **__: files[number % 2].items())
        return write_clip(
            folder, "a.mp4", tables[0], {**SUMMARY, "number": number}, files={"person-1.jpg": b"%d" % number}
        )

    mixed, seen, held = 0, set(), 0
    for step in killed_at_many_steps(work, folder, 2 if writer == "naive" else 3):
        try:
            found = open_clip(folder)
            number = found.summary.get("number", 0)
            of_tables = {name: found.read(f"{name}.parquet") == files[number % 2][f"{name}.parquet"] for name in TABLES}
            assert number in (held, step)
            assert number == 0 or found.read("person-1.jpg") == b"%d" % number
            assert (folder / "person-2.jpg").exists() == (number == 0)
            mixed += not all(of_tables.values())
            held = number
            seen.add(number)
        except FolderError:
            mixed += 1
    if writer == "naive":
        assert mixed
        return
    assert step > 40
    assert mixed == 0
    assert 2 < len(seen) < step  # some were killed before their files were complete, others after
    assert not (folder / COMMIT).exists()


def test_a_run_keeps_all_rows_wherever_its_writer_is_killed(tmp_path):
    for clip_id in ("a.mp4", "b.mp4"):
        write(tmp_path, clip_id)
    rebuild(tmp_path)
    write(tmp_path, "c.mp4", value=0.9)
    checked = 0
    for _ in killed_at_many_steps(lambda _: rebuild(tmp_path), f"{tmp_path}/", 9):
        checked += 1
        for name in ("frames", "people", "clips"):
            rows = read_table(tmp_path / f"{name}.parquet")
            assert set(rows["clip_id"]) in ({"a.mp4", "b.mp4"}, {"a.mp4", "b.mp4", "c.mp4"})
            assert len(pd.read_csv(tmp_path / f"{name}.csv")) in (len(rows), len(rows) // 2 * 3, len(rows) // 3 * 2)
    assert checked > 3
    assert load_run(tmp_path).clips["clip_id"].tolist() == ["a.mp4", "b.mp4", "c.mp4"]


def test_processes_that_write_into_one_folder_at_once_lose_nothing(tmp_path):
    """Three runs, each with clips of its own, clips of one name in three places, and a clip that all have."""

    def work(number):
        own = [(Path(f"/videos/{number}/{name}.mp4"), Path(f"{name}.mp4")) for name in (f"own{number}", "same")]
        with claimed_folders([*own, (Path("/videos/shared.mp4"), Path("shared.mp4"))], tmp_path) as folders:
            for clip, folder in folders.items():
                clip_id = folder.relative_to(tmp_path).as_posix()
                write_clip(folder, clip_id, tables_of(clip_id, number / 8), {**SUMMARY, "clip": str(clip)})
                rebuild(tmp_path)

    children = [in_child(lambda at=number: work(at)) for number in range(3)]
    assert [ended(child) for child in children] == [0, 0, 0]
    clips = ["own0.mp4", "own1.mp4", "own2.mp4", "same.mp4", "same.mp4-2", "same.mp4-3", "shared.mp4"]
    assert read_table(tmp_path / "clips.parquet")["clip_id"].tolist() == clips
    owners = [load_run(tmp_path).clip(clip_id).summary["clip"] for clip_id in clips[3:6]]
    assert sorted(owners) == [f"/videos/{number}/same.mp4" for number in range(3)]
    assert len(read_table(tmp_path / "frames.parquet")) == 3 * len(clips)


@pytest.mark.parametrize("of_run", [True, False])
def test_who_opens_a_clip_waits_for_its_writer_and_does_not_end_its_commit(tmp_path, monkeypatch, of_run):
    write(tmp_path, "a.mp4")
    if of_run:
        rebuild(tmp_path)
    opened, readers, sync = [], [], clip_folder.sync

    def open_meanwhile(path):
        sync(path)
        pending = tmp_path / "a.mp4" / COMMIT
        if pending.is_dir() and {each.name for each in pending.iterdir()} == {"summary.json"} and not readers:
            readers.append(threading.Thread(target=lambda: opened.append(open_clip(tmp_path / "a.mp4"))))
            readers[0].start()
            readers[0].join(0.3)  # enough for it to do what it is not to do

    monkeypatch.setattr(clip_folder, "sync", open_meanwhile)
    write(tmp_path, "a.mp4", value=0.9)
    readers[0].join(10)
    assert [clip.clip_id for clip in opened] == ["a.mp4"]


def test_a_run_that_begins_while_another_ends_reads_no_claim_that_is_gone(tmp_path):
    def work(number):
        for _ in range(60):
            with claimed_folders([(Path(f"/videos/{number}/a.mp4"), Path("a.mp4"))], tmp_path):
                pass

    children = [in_child(lambda at=number: work(at)) for number in range(4)]
    assert [ended(child) for child in children] == [0, 0, 0, 0]
    assert not list(tmp_path.glob(".vidfer-*.claim"))


@contextmanager
def full_disk(size):
    """Let no file grow beyond a size in bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 4096, 20_000])
def test_a_full_disk_is_named_and_costs_no_row(tmp_path, size):
    write(tmp_path, "a.mp4")
    rebuild(tmp_path)
    rows = {"frames": 400, "seconds": 9, "segments": 9, "people": 2, "windows": 9, "clips": 1}
    content = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    tables = tables_of("a.mp4", rows=rows)
    with (
        full_disk(size),
        pytest.raises(VidferError, match=rf"cannot be written to {tmp_path}/a\.mp4 \(its disk is full\)"),
    ):
        write_clip(tmp_path / "a.mp4", "a.mp4", tables, SUMMARY)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == content
    write(tmp_path, "b.mp4", rows=rows)
    with full_disk(size), pytest.raises(VidferError, match=rf"cannot be written to {tmp_path} \(its disk is full\)"):
        rebuild(tmp_path)
    assert {path: path.read_bytes() for path in content} == content
    assert not list(tmp_path.glob(".vidfer-*"))
    assert load_run(tmp_path).clips["clip_id"].tolist() == ["a.mp4", "b.mp4"]
