"""Steps whose work a child process does, beside the others: at once, and told as if one came after the other."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest

from vidfer.pipeline import runner
from vidfer.pipeline.beside import Beside
from vidfer.pipeline.runner import finished
from vidfer.pipeline.stage import Outcome, Stage
from vidfer.pipeline.store import Store
from vidfer.types import ClipError, Status, VidferError

PATIENCE = 20  # s


class Meeting:
    """What two stages wait for: that the other has begun."""

    def __init__(self):
        self.looking, self.listening, self.over = threading.Event(), threading.Event(), threading.Event()
        self.fault = None


@dataclass(frozen=True)
class Look(Stage):
    name: ClassVar[str] = "look"
    version: ClassVar[int] = 1
    meeting: ClassVar[Meeting]

    def run(self, clip, inputs, draft, progress):
        self.meeting.looking.set()
        progress(0.5)
        assert self.meeting.listening.wait(PATIENCE)
        if self.meeting.fault:
            raise self.meeting.fault
        return Outcome(meta={"thread": threading.current_thread().name})


@dataclass(frozen=True)
class Listen(Stage):
    name: ClassVar[str] = "listen"
    version: ClassVar[int] = 1
    apart: ClassVar[bool] = True
    meeting: ClassVar[Meeting]
    fails: ClassVar[bool] = False

    def run(self, clip, inputs, draft, progress):
        assert self.meeting.looking.wait(PATIENCE)
        progress(0.2)
        self.meeting.listening.set()
        for _ in range(300 if self.meeting.fault else 0):
            self.meeting.over.wait(0.01)
            progress(0.3)
        if self.fails:
            raise ClipError(Status.NO_AUDIO, "it has no sound")
        return Outcome(meta={"thread": threading.current_thread().name})


@dataclass(frozen=True)
class Both(Stage):
    name: ClassVar[str] = "both"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("look", "listen")

    def run(self, clip, inputs, draft, progress):
        return Outcome(meta={name: [each.status, each.meta.get("thread", "")] for name, each in inputs.items()})


CHAIN = (Look(), Listen(), Both())


@pytest.fixture
def meeting(monkeypatch):
    monkeypatch.setattr(runner, "busy_threads", lambda: 2)
    meeting = Meeting()
    for stage in (Look, Listen):
        monkeypatch.setattr(stage, "meeting", meeting, raising=False)
    return meeting


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.bin"
    path.write_bytes(b"abc")
    return path


def test_both_work_at_once_and_are_told_in_order(meeting, clip, tmp_path):
    told = []
    with finished(CHAIN, "both", clip, Store(tmp_path / "store"), lambda *each: told.append(each)) as artifact:
        (_, looking), (_, listening) = artifact.meta["look"], artifact.meta["listen"]
    assert looking == threading.main_thread().name
    assert listening != looking
    names = [name for name, _ in told]
    assert names == sorted(names, key=["look", "listen", "both"].index)
    assert {"look", "listen", "both"} == set(names)


def test_its_fault_is_its_own(meeting, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(Listen, "fails", True)
    with finished(CHAIN, "both", clip, Store(tmp_path / "store")) as artifact:
        assert artifact.meta["look"][0] == Status.OK
        assert artifact.meta["listen"][0] == Status.NO_AUDIO


@pytest.mark.parametrize("error", [VidferError("the store is full"), KeyboardInterrupt()])
def test_what_ends_a_run_ends_it_too_and_nothing_of_it_is_kept(meeting, clip, tmp_path, error):
    meeting.fault, store = error, Store(tmp_path / "store")
    with pytest.raises(type(error)), finished(CHAIN, "both", clip, store):
        pass
    meeting.over.set()
    assert not list(store.root.glob("listen/*/*"))
    assert not list(store.root.glob("tmp/*"))
    assert not any(each.name.startswith("beside") for each in threading.enumerate())


def test_without_a_core_for_it_or_another_step_it_has_no_thread(meeting, clip, tmp_path, monkeypatch):
    meeting.looking.set()
    meeting.listening.set()
    with finished(CHAIN, "listen", clip, Store(tmp_path / "one")) as artifact:
        assert artifact.meta["thread"] == threading.main_thread().name
    monkeypatch.setattr(runner, "busy_threads", lambda: 1)
    with finished(CHAIN, "both", clip, Store(tmp_path / "two")) as artifact:
        assert artifact.meta["listen"][1] == threading.main_thread().name


def test_what_is_lent_is_left_at_the_end_of_the_block_and_not_before():
    left = []

    @contextmanager
    def lend(report):
        yield "lent"
        left.append(True)

    with Beside(lend, lambda _: None) as beside:
        assert beside.wait() == "lent"
        assert not left
    assert left
