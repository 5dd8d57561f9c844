"""Child processes that misbehave: of decoding, and workers of several jobs. Only the clip at fault is lost."""

import json
import os
import random
import re
import struct
import sys
import time
import zlib
from multiprocessing import Pipe
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from tests.faults.misbehaving import ENDS, HANGS, WAYS, WRONG, misbehave
from vidfer.limits import MAX_HEADER_BYTES, MAX_MESSAGE_BYTES
from vidfer.media.child import Child
from vidfer.media.kept import KeptChild
from vidfer.pipeline.system import peak_memory
from vidfer.pipeline.worker import Worker
from vidfer.pipeline.workers import run_all
from vidfer.types import ClipError, Status

CHILD = """
import os
from tests.faults.misbehaving import answers, misbehave
from vidfer.media.child import serve
from vidfer.types import ClipError, Status

def handle(request):
    if request["do"] == "raise":
        raise RuntimeError("an unforeseen thing")
    if request["do"] == "refuse":
        raise ClipError(Status.NO_VIDEO, "nothing to see")
    if request["do"] == "write":
        os.write(answers()[0], bytes.fromhex(request["bytes"]))
        misbehave(request["then"])
    if request["do"] == "cut":
        os.ftruncate(int(os.sys.argv[2]), 0)
    if request["do"] == "frame":
        yield {}, memoryview(bytes(1 << 17))
    if request["do"] not in ("echo", "late", "frame"):
        misbehave(request["do"])
    yield {"said": request.get("text", "")}, None
    if request["do"] == "late":
        misbehave(request["way"])

if __name__ == "__main__":
    serve(handle)
"""


def quick_of(ways, *quick):
    """All ways as parameters, those that are not quick marked as slow: each takes the start of two processes."""
    return [way if way in quick else pytest.param(way, marks=pytest.mark.slow) for way in ways]


@pytest.fixture
def child_module(tmp_path: Path, monkeypatch):
    (tmp_path / "misbehaving_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]))
    return "misbehaving_child"


@pytest.fixture
def kept(child_module):
    child = KeptChild(child_module)
    yield child
    child.end()


def ask(kept, timeout=30.0, **request):
    with kept.lend(timeout=timeout) as child:
        child.send(request)
        return child.receive()[0]


def assert_next_is_served(kept):
    began = time.monotonic()
    assert ask(kept, do="echo", text="next")["said"] == "next"
    took = time.monotonic() - began
    assert took < 5
    return took


def lost(kept, **request):
    """Ask what brings the child to its end; return the error, and how long the next request took."""
    began = time.monotonic()
    with pytest.raises(ClipError) as caught:
        ask(kept, **request)
    assert time.monotonic() - began < 10
    return caught.value, assert_next_is_served(kept)


@pytest.mark.parametrize("way", quick_of(ENDS, "segfault", "leave_a_grandchild"))
def test_a_child_that_ends_costs_its_clip_and_says_how(kept, way):
    error, _ = lost(kept, do=way)
    assert error.status is Status.CRASHED
    assert re.search(ENDS[way][1], error.message)


@pytest.mark.parametrize("way", quick_of(HANGS, "hang"))
def test_a_child_that_hangs_is_ended_in_time(kept, way):
    assert_next_is_served(kept)
    error, _ = lost(kept, do=way, timeout=0.3)
    assert error.status is Status.TIMEOUT


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("raise", Status.CRASHED, "an unforeseen thing"),
        ("refuse", Status.NO_VIDEO, "nothing to see"),
        (
            "overtime",
            Status.TOO_LARGE,
            "its header holds so much that reading it took more than 10 s of computing: `ffmpeg",
        ),
        ("eat", Status.OUT_OF_MEMORY, "4.0 GiB"),
        ("eat_in_native_code", Status.CRASHED, r"SIGABRT.*bad_alloc"),
    ],
)
def test_faults_of_other_kinds_have_their_status(kept, what, status, message):
    error, _ = lost(kept, do=what)
    assert error.status is status
    assert re.search(message, error.message)


@pytest.mark.parametrize("way", quick_of(["segfault", "hang", "answer_garbage"], "segfault"))
def test_a_child_that_is_lost_after_its_answer_costs_no_clip(kept, way):
    """As when a library crashes while it closes a file that it has read."""
    assert ask(kept, do="late", way=way)["said"] == ""
    assert_next_is_served(kept)


def message(text: str, payload: bytes = b"") -> bytes:
    return len(text.encode()).to_bytes(4, "little") + text.encode() + payload


GOOD = message('{"said": "on", "bytes": 12}', bytes(12))
VALUES = (-1, -(2**63), 2**32 + 1, 2**63, 10**30, 1.5, 1e99, "7", None, [], {})
ODD = {
    **{f"header of {size}": size.to_bytes(4, "little") + b"{}" for size in (MAX_HEADER_BYTES + 1, 1 << 31, 2**32 - 1)},
    **{f"bytes: {value}": message(json.dumps({"bytes": value})) for value in VALUES},
    **{f"at: {value}": message(json.dumps({"bytes": 7, "at": value})) for value in (*VALUES, 99999999999)},
    "no JSON": message("no JSON"),
    "not Unicode": message("{}")[:4] + b"\xff\xfe",
    "no object": message("[1]"),
    "nested": message("[" * 100_000),
    "unknown status": message('{"error": "fine", "message": "?"}'),
}


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Have a process that is no Python answer some bytes and then end, or wait; return what the parent makes of them."""
    program, said = tmp_path / "program", tmp_path / "said"
    program.write_text(f"#!/bin/sh\ncat '{said}'\nexec \"$THEN\" 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    def make(data, then="sleep", timeout=30.0):
        said.write_bytes(data)
        monkeypatch.setenv("THEN", then)
        with Child("none", timeout=timeout) as child:
            return child.receive()

    return make


def test_a_message_is_read_as_it_was_said(answer):
    header, payload = answer(GOOD)
    assert (header, bytes(payload)) == ({"said": "on", "bytes": 12}, bytes(12))


@pytest.mark.parametrize("odd", ODD)
def test_an_answer_that_is_no_message_costs_its_clip(answer, odd):
    """The process lives on: only what it said tells that nothing more of it can be understood."""
    before = peak_memory()
    with pytest.raises(ClipError, match="makes no sense") as caught:
        answer(ODD[odd])
    assert caught.value.status is Status.CRASHED
    assert peak_memory() - before < 1 << 29


def test_a_message_that_breaks_off_costs_its_clip(answer):
    for end in range(0, len(GOOD), 3):
        with pytest.raises(ClipError, match="ended with exit code 0") as caught:
            answer(GOOD[:end], then="true")
        assert caught.value.status is Status.CRASHED
    for end in (2, 9, len(GOOD) - 1):
        with pytest.raises(ClipError, match="too long") as caught:
            answer(GOOD[:end], timeout=0.1)
        assert caught.value.status is Status.TIMEOUT


def test_after_an_answer_that_is_no_message_the_next_is_served(kept):
    error, _ = lost(kept, do="write", bytes=ODD["no JSON"].hex(), then="hang")
    assert error.status is Status.CRASHED


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Living:
    """Stands for a worker process that lives for a while after it has closed its pipe, unless it is ended."""

    exitcode, looks, killed = None, 3, False

    def is_alive(self):
        self.looks -= 1
        return self.looks > 0

    def kill(self):
        self.killed = True

    def join(self):
        assert self.killed


def sealed(value) -> bytes:
    said = bytes(ForkingPickler.dumps(value))
    return zlib.crc32(said).to_bytes(4) + said


SAID = sealed(("done", {"name": "a"}))
UNSOUND = {
    **{f"size {size}": struct.pack("!i", size) + SAID for size in (MAX_MESSAGE_BYTES + 1, 2**31 - 1, -2, -(2**31))},
    **{f"long size {size}": struct.pack("!iQ", -1, size) + SAID for size in (MAX_MESSAGE_BYTES + 1, 2**63, 2**64 - 1)},
    **{f"cut to {end}": (struct.pack("!i", len(SAID)) + SAID)[:end] for end in (1, 4, 9, 4 + len(SAID) - 1)},
    **{f"{size} bytes": struct.pack("!i", size) + SAID[:size] for size in (0, 3, 4, 9)},
    **{
        f"byte {at}": struct.pack("!i", len(SAID)) + flipped(SAID, at)
        for at in (0, 3, 4, len(SAID) // 2, len(SAID) - 1)
    },
}


def received(data):
    """What the process that started a worker makes of the bytes that it sends before it closes its pipe."""
    ours, theirs = Pipe()
    with ours:
        with theirs:
            os.write(theirs.fileno(), data)
        return Worker(Living(), ours).receive()


def test_a_worker_is_understood():
    assert received(struct.pack("!i", len(SAID)) + SAID) == ("done", {"name": "a"})


@pytest.mark.parametrize("odd", UNSOUND)
def test_a_worker_that_sends_no_message_is_ended(odd):
    before = peak_memory()
    assert received(UNSOUND[odd]) == ("dead", None)
    assert peak_memory() - before < 1 << 29


def test_memory_that_is_shared_cannot_be_cut_off(kept):
    """Whoever reads what is not there any more is ended by SIGBUS."""
    with kept.lend(timeout=30.0) as child:
        child.send({"do": "frame"})
        _, frame = child.receive()
        child.send({"do": "cut"})
        child.receive()
        with pytest.raises(ClipError, match="not permitted"):
            child.receive()
        assert not np.frombuffer(frame, np.uint8).any()


@pytest.mark.slow
def test_mutants_of_messages_are_messages_or_cost_their_clip(child_module, figure):
    """Bytes of good messages changed, cut and doubled; the process that reads them never fails otherwise."""
    dice = random.Random(8)
    good = [
        message('{"said": "on", "bytes": 0}') + message('{"ready": true, "bytes": 0}'),
        message('{"index": 3, "pts": 0.6, "height": 2, "width": 2, "bytes": 12}', bytes(12)),
        message('{"error": "no_video", "message": "nothing to see", "bytes": 0}'),
        message('{"index": 3, "at": 65536, "bytes": 70000}'),
    ]
    ends = {"answered": 0}
    for _ in range(150):
        said = bytearray(dice.choice(good) * dice.randint(1, 2))
        for _ in range(dice.randint(1, 4)):
            said[dice.randrange(len(said))] = dice.choice([0, 0xFF, ord("{"), ord("9"), dice.randrange(256)])
        said = said[: dice.choice([len(said), dice.randrange(len(said))])]
        with Child(child_module, timeout=5.0) as child:
            child.send({"do": "write", "bytes": said.hex(), "then": "end_silently"})
            try:
                child.receive()
                ends["answered"] += 1
            except ClipError as error:
                ends[error.status] = ends.get(error.status, 0) + 1
    assert ends[Status.CRASHED] > 50
    figure(f"150 mutants of messages: {', '.join(f'{n} {name}' for name, n in sorted(ends.items()))}, no other end")


def work(item, progress):
    progress("only", 0.5)
    if item in WAYS:
        misbehave(item)
    return {"name": item}


def try_workers(ways, jobs=2, stall=None):
    """Work on items of which these misbehave, each between two good ones."""
    items = ["first", *(item for way in ways for item in (way, f"after {way}"))]
    found = dict(run_all(work, items, jobs, lambda *_: None, stall=stall))
    assert sorted(found) == list(range(len(items)))
    results = {item: found[position] for position, item in enumerate(items)}
    assert all(results[item] == {"name": item} for item in items if item not in ways)
    return {way: results[way] for way in ways}


def test_workers_that_are_lost_cost_their_items():
    assert_lost(try_workers(["leave_a_grandchild"]))


@pytest.mark.slow
def test_workers_that_end_in_any_way_cost_their_items(figure):
    ways = [*ENDS, *WRONG]
    assert_lost(try_workers(ways))
    figure(f"workers lost in {len(ways)} ways, each between two clips: no other clip lost")


@pytest.mark.slow
def test_workers_that_hang_are_ended_where_a_limit_is_set():
    ways = [way for way in HANGS if way != "print_without_end"]  # which would fill what captures the output of tests
    for error in try_workers(ways, stall=6.0).values():
        assert error.status is Status.TIMEOUT


def assert_lost(found):
    for way, error in found.items():
        assert error.status is Status.CRASHED
        assert error.message.startswith(f"{way}: its worker process ")
        assert way in WRONG or re.search(ENDS[way][1], error.message)
