import hashlib
import re
import resource
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from vidfer.types import UsageError, VidferError
from vidfer.weights import hub
from vidfer.weights.hub import fetch

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Shelf:
    """A web server with one file, whose behaviour a test chooses."""

    def __init__(self, content=CONTENT):
        self.content = content
        self.ranges = True
        self.cut_after = None  # bytes after which the connection is dropped
        self.kind = "application/zip"
        self.status = None
        self.requests = []
        self.sent = 0
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                shelf.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request):
        wanted = request.headers.get("Range")
        self.requests.append(wanted)
        if self.status:
            request.send_error(self.status)
            return
        start, status = 0, 200
        if wanted and self.ranges:
            start, status = int(wanted[len("bytes=") : -1]), 206
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        body = self.content[start:]
        request.send_response(status)
        request.send_header("Content-Type", self.kind)
        request.send_header("Content-Length", str(len(body)))
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.end_headers()
        body = body if self.cut_after is None else body[: self.cut_after]
        self.sent += len(body)
        request.wfile.write(body)
        request.close_connection = True

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    shelf = Shelf()
    yield shelf
    shelf.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "a.zip"


@pytest.fixture
def get(shelf, target):
    def get(**options):
        return fetch(f"{shelf.base}/a.zip", target, **{"sha256": SHA256, "size": len(CONTENT), **options})

    return get


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def kept(target):
    return target.with_name("a.zip.part")


def break_off(shelf, get, target, at=300_000):
    shelf.cut_after = at
    with pytest.raises(VidferError, match=r"broke off after 0.3 of 1.0 MB.*; what was fetched is kept, run the same"):
        get()
    assert kept(target).read_bytes() == CONTENT[:at]
    assert left(target) == ["a.zip.part"]
    shelf.cut_after = None


def test_a_file_is_fetched_whole_once(shelf, get, target):
    seen = []
    assert get(progress=lambda *at: seen.append(at)) == target
    assert target.read_bytes() == CONTENT
    assert left(target) == ["a.zip"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    get()
    assert shelf.requests == [None]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_what_was_fetched_is_not_fetched_again(shelf, get, target, size):
    break_off(shelf, get, target)
    seen = []
    get(size=size, progress=lambda *at: seen.append(at))
    assert target.read_bytes() == CONTENT
    assert shelf.requests == [None, "bytes=300000-"]
    assert shelf.sent == len(CONTENT)
    assert seen[0] == (300_000, len(CONTENT))
    assert left(target) == ["a.zip"]


def test_without_a_checksum_nothing_is_continued(shelf, get, target):
    break_off(shelf, get, target)
    get(sha256=None, size=None)
    assert shelf.requests == [None, None]
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_pieced_together(shelf, get, target):
    break_off(shelf, get, target)
    shelf.content = CONTENT[::-1]
    with pytest.raises(VidferError, match="another sha256"):
        get()
    assert left(target) == []
    shelf.content = CONTENT
    assert get().read_bytes() == CONTENT


def test_a_server_that_cannot_continue_sends_all(shelf, get, target):
    shelf.ranges = False
    break_off(shelf, get, target)
    assert get().read_bytes() == CONTENT
    assert shelf.sent == 1_300_000


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("more", [b"", b"x"])
def test_a_part_that_is_whole_or_longer_ends_well(shelf, get, target, size, more):
    break_off(shelf, get, target)
    kept(target).write_bytes(CONTENT + more)
    assert get(size=size).read_bytes() == CONTENT
    assert left(target) == ["a.zip"]
    if size and not more:
        assert shelf.requests == [None]  # nothing is asked for


def test_a_wrong_checksum_leaves_nothing(shelf, get, target):
    shelf.content = b"y" + CONTENT[1:]
    with pytest.raises(VidferError, match=f"another sha256 than {SHA256}: it was removed; fetch it again, or from"):
        get()
    assert left(target) == []


def test_a_wrong_size_is_found_before_anything_is_fetched(shelf, get, target):
    shelf.content = CONTENT[:-1]
    with pytest.raises(VidferError, match="holds 999999 bytes, not the 1000000 expected: try another address"):
        get()
    assert left(target) == []


def test_a_wrong_file_in_its_place_is_left_alone(shelf, get, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(VidferError, match=rf"a.zip has the sha256 \w+, not {SHA256}: delete it to fetch it anew"):
        get()
    assert target.read_bytes() == b"mine"
    assert not shelf.requests


def test_a_web_page_is_no_file_and_spoils_none(shelf, get, target):
    break_off(shelf, get, target)
    shelf.kind, shelf.content = "text/html; charset=utf-8", b"<html>Please log in</html>"
    for shelf.ranges in (True, False):
        with pytest.raises(VidferError, match="answered with a web page, not with a file"):
            get()
        assert kept(target).read_bytes() == CONTENT[:300_000]


def test_what_a_server_refuses_is_named(shelf, get, target, tmp_path):
    for status in (404, 416, 503):
        shelf.status = status
        with pytest.raises(VidferError, match=f"a.zip answered {status} .*: try later, or another address"):
            get()
    assert left(target) == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/a", "http://no-such-host.invalid/a", "http://[bad/a", "http://a b/c"]
)
def test_without_a_connection_one_sentence_says_so(monkeypatch, tmp_path, address):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(
        VidferError, match=rf"^{re.escape(address)} cannot be reached \(.*\): try later, or another address$"
    ):
        fetch(address, tmp_path / "a", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_other_addresses_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no address that starts with"):
        fetch("file:///etc/passwd", tmp_path / "a")


def test_a_silent_server_is_not_waited_for_for_ever(shelf, get, monkeypatch):
    monkeypatch.setattr(hub, "_PATIENCE", 0.1)
    waiting = threading.Event()
    monkeypatch.setattr(shelf, "answer", lambda request: waiting.wait(5))
    with pytest.raises(VidferError, match=r"cannot be reached \(timed out\)"):
        get()
    waiting.set()


def test_a_disk_that_fills_leaves_nothing_in_place_and_goes_on(get, target):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limit[1]))  # a real refusal of the system, as a full disk is
    try:
        with pytest.raises(VidferError, match=r"a.zip.part cannot be read or written: File too large"):
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert left(target) == ["a.zip.part"]
    assert CONTENT.startswith(kept(target).read_bytes())
    assert get().read_bytes() == CONTENT


def test_two_at_once_do_not_mix(get, target):
    broken = []

    def second(done, total):
        if not broken:
            with pytest.raises(VidferError, match="is being fetched by another process"):
                get()
            broken.append(done)

    assert get(progress=second).read_bytes() == CONTENT
    assert broken


def test_an_interruption_keeps_what_was_fetched(shelf, get, target):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=stop)
    size = kept(target).stat().st_size
    assert size
    assert left(target) == ["a.zip.part"]
    assert get().read_bytes() == CONTENT
    assert shelf.requests == [None, f"bytes={size}-"]


def test_a_file_that_cannot_be_read_is_named(get, target, monkeypatch):
    get()

    def fail(name):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("pooch.file_hash", fail)
    with pytest.raises(VidferError, match=r"a.zip cannot be read or written: Permission denied"):
        get()
