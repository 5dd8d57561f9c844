import errno
import io
import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.media.conftest import number, numbered
from vidfer.media import child, shared
from vidfer.media.decode import read_frames
from vidfer.media.shared import SlotReader, SlotWriter
from vidfer.pipeline.system import shared_file

pytestmark = pytest.mark.usefixtures("fresh_child")


@pytest.fixture
def clip(write_video):
    return write_video("a.mp4", numbered(12, 240, 320))


def test_frames_that_are_kept_stay_as_they_are(clip):
    every = list(read_frames(clip, fps=None))
    assert [number(frame.image) for frame in every] == list(range(12))
    rows = [frame.image[:1] for frame in read_frames(clip, fps=None)]  # nothing but a view refers to each frame
    assert [number(row) for row in rows] == list(range(12))
    frames = read_frames(clip, fps=None)
    first = next(frames)
    os.kill(frames.gi_frame.f_locals["child"].pid, signal.SIGKILL)
    frames.close()
    assert number(first.image) == 0
    first.image[:] = 7  # as of any array
    assert (first.image == 7).all()


@pytest.mark.parametrize("how", ["memory", "file", "pipe"])
def test_all_ways_give_the_same_and_leave_nothing(clip, monkeypatch, tmp_path, how):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if how == "file":
        monkeypatch.delattr(os, "memfd_create")
    if how == "pipe":
        monkeypatch.setattr(child, "shared_file", lambda _stack: None)
    before = {*Path("/dev/shm").iterdir()}
    frames = read_frames(clip, fps=None)
    seen = [number(next(frames).image)]
    assert (frames.gi_frame.f_locals["child"]._slots is None) == (how == "pipe")
    assert [*tmp_path.iterdir()] == [clip]
    assert {*Path("/dev/shm").iterdir()} <= before
    seen += [number(frame.image) for frame in frames]
    assert seen == list(range(12))


def test_frames_that_grow_and_shrink(write_video, tmp_path):
    sizes = [(48, 64), (240, 320), (480, 640), (240, 320)]
    clips = [write_video(f"{k}.mp4", numbered(6, *size)) for k, size in enumerate(sizes)]
    kept = [frame for clip in clips for frame in read_frames(clip, fps=None)]
    assert [number(frame.image) for frame in kept] == [*range(6)] * 4
    assert [frame.image.shape[:2] for frame in kept] == [size for size in sizes for _ in range(6)]


def test_a_slot_is_written_again_only_when_its_reader_lets_go():
    with ExitStack() as stack:
        said = io.BytesIO()
        _fill_and_free(shared_file(stack), said)


def _fill_and_free(file, said):
    writer, reader = SlotWriter(file, iter([])), SlotReader(file, said)
    payloads = [np.full(shared._SMALL, value, np.uint8) for value in range(6)]
    places = [writer.place(each.data) for each in payloads[:4]]
    assert len(set(places)) == 4
    with pytest.raises(SystemExit):  # none is free, and the parent that could say so has gone
        writer.place(payloads[4].data)
    views = [reader.view(at, shared._SMALL) for at in places]
    assert said.getvalue() == b"".join(b"freed %d\n" % at for at in places[2:])  # these are copies
    for line in said.getvalue().splitlines(keepends=True):
        assert writer.freed(line)
    assert {writer.place(each.data) for each in payloads[4:]} == set(places[2:])
    assert [view[0] for view in views] == [0, 1, 2, 3]
    said.truncate(0)
    del views
    assert said.getvalue().count(b"freed") == 2
    assert writer.place(np.zeros(10, np.uint8).data) is None
    assert not writer.freed(b'{"op": "probe"}\n')


def test_a_fork_frees_nothing_of_its_parents(monkeypatch):
    with ExitStack() as stack:
        said = io.BytesIO()
        file = shared_file(stack)
        at = SlotWriter(file, iter([])).place(np.zeros(shared._SMALL, np.uint8).data)
        view = SlotReader(file, said).view(at, shared._SMALL)
        assert view is not None
        here = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: here + 1)
        del view
        assert said.getvalue() == b""


def test_no_room_for_frames_is_no_crash(monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with ExitStack() as stack:
        writer = SlotWriter(shared_file(stack), iter([]))
        monkeypatch.setattr(shared.mmap, "mmap", full)
        with pytest.raises(MemoryError):
            writer.place(np.zeros(shared._SMALL, np.uint8).data)
