import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.media.conftest import numbered
from vidfer.media import kept
from vidfer.media.decode import CHILD, probe, read_frames
from vidfer.stages.probe import ProbeStage
from vidfer.types import ClipError, Status

pytestmark = pytest.mark.usefixtures("fresh_child")


@pytest.fixture
def clip(write_video):
    return write_video("a.mp4", numbered(6))


def pid():
    return None if CHILD._idle is None else CHILD._idle.pid


def test_one_child_describes_and_decodes_clip_after_clip(clip, tmp_path):
    probe(clip)
    first = pid()
    (tmp_path / "b.mp4").write_bytes(b"no video")
    with pytest.raises(ClipError):
        probe(tmp_path / "b.mp4")  # refused, in order
    assert len(list(read_frames(clip, fps=None))) == 6
    assert pid() == first is not None
    kept.end_children()
    assert pid() is None
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_child_that_was_killed_or_left_costs_no_other_clip(clip, write_video):
    probe(clip)
    first = CHILD._idle
    os.kill(first.pid, signal.SIGKILL)
    first._process.wait()
    frames = read_frames(clip, fps=None)
    next(frames)
    frames.close()
    assert CHILD._idle is None  # it would have gone on with the old answer
    frames = read_frames(write_video("long.mp4", numbered(40, 480, 640)), fps=None)
    next(frames)
    os.kill(frames.gi_frame.f_locals["child"].pid, signal.SIGKILL)
    with pytest.raises(ClipError) as caught:
        list(frames)
    assert caught.value.status is Status.CRASHED
    assert len(list(read_frames(clip, fps=None))) == 6


def test_clips_that_are_read_at_once_have_children_of_their_own(clip):
    pairs = list(zip(read_frames(clip, fps=None), read_frames(clip, fps=None), strict=True))
    assert len(pairs) == 6
    for one, other in pairs:
        np.testing.assert_array_equal(one.image, other.image)
    with ThreadPoolExecutor(3) as pool:
        assert [found.container for found in pool.map(probe, [clip] * 6)] == ["mov,mp4,m4a,3gp,3g2,mj2"] * 6


def test_a_child_is_replaced_in_time(clip, monkeypatch):
    CHILD.start()
    first = pid()
    CHILD.start()
    assert pid() == first
    monkeypatch.setattr(kept, "MAX_REQUESTS", 2)
    probe(clip)
    assert pid() == first
    probe(clip)
    assert pid() is None
    list(read_frames(clip, memory=2 << 30))
    assert pid() is None  # a limit of its own, which others must not have
    monkeypatch.setattr(kept, "_WORN", 0.0)
    probe(clip)
    assert pid() is None


def test_a_warm_chain_has_its_decoder_ready(clip):
    ProbeStage().warm()
    first = pid()
    assert first
    probe(clip)
    assert pid() == first


def test_a_fork_leaves_its_parents_child_alone(clip):
    probe(clip)
    first, owner = pid(), CHILD._owner
    CHILD._owner = owner + 1  # as if this process were a fork of the one that started it
    theirs = CHILD._idle
    assert probe(clip).container
    assert pid() != first
    os.kill(first, 0)
    theirs.close()
