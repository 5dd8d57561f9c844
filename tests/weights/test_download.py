import hashlib
import json
import os
import resource
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from vidfer.types import UsageError, VidferError
from vidfer.weights import download as module
from vidfer.weights.download import Wanted, download, unpack

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Shelf:
    """A web server with one file, whose behaviour a test chooses."""

    def __init__(self, content=CONTENT):
        self.content = content
        self.tag = '"one"'
        self.modified = None
        self.ranges = True
        self.if_range = True
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
        fits = request.headers.get("If-Range") in (self.tag, self.modified) or not self.if_range
        if wanted and self.ranges and fits:
            start, status = int(wanted[len("bytes=") : -1]), 206
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        body = self.content[start:]
        request.send_response(status)
        for name, value in (("ETag", self.tag), ("Last-Modified", self.modified), ("Content-Type", self.kind)):
            if value:
                request.send_header(name, value)
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
def wanted(shelf, tmp_path):
    return Wanted(f"{shelf.base}/a.zip", tmp_path / "new" / "a.zip", len(CONTENT), SHA256)


def without_checks(wanted):
    return Wanted(wanted.url, wanted.target)


def left(wanted):
    return sorted(path.name for path in wanted.target.parent.iterdir())


def break_off(shelf, wanted, at=300_000):
    shelf.cut_after = at
    with pytest.raises(VidferError, match=r"broke off after 0.3 of 1.0 MB; what was fetched is kept, run the same"):
        download(wanted)
    assert wanted.part.read_bytes() == CONTENT[:at]
    shelf.cut_after = None


def test_a_file_is_fetched_whole_once(shelf, wanted):
    seen = []
    assert download(wanted, progress=lambda *at: seen.append(at)) == SHA256
    assert wanted.target.read_bytes() == CONTENT
    assert left(wanted) == ["a.zip"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert download(wanted) == SHA256
    assert shelf.requests == [None]


@pytest.mark.parametrize("checked", [True, False])
def test_what_was_fetched_is_not_fetched_again(shelf, wanted, checked):
    wanted = wanted if checked else without_checks(wanted)
    break_off(shelf, wanted)
    said, seen = [], []
    assert download(wanted, say=said.append, progress=lambda *at: seen.append(at)) == SHA256
    assert wanted.target.read_bytes() == CONTENT
    assert shelf.requests == [None, "bytes=300000-"]
    assert shelf.sent == len(CONTENT)
    assert seen[0] == (300_000, len(CONTENT))
    assert left(wanted) == ["a.zip"]
    assert not said


def test_a_date_serves_where_the_tag_is_weak(shelf, wanted):
    shelf.tag, shelf.modified = 'W/"one"', "Tue, 14 Feb 2017 14:27:11 GMT"
    break_off(shelf, wanted)
    assert download(wanted) == SHA256
    assert shelf.sent == len(CONTENT)


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_is_fetched_anew(shelf, wanted, if_range):
    break_off(shelf, wanted)
    shelf.content, shelf.tag, shelf.if_range = CONTENT[::-1], '"two"', if_range
    said = []
    download(without_checks(wanted), say=said.append)
    assert wanted.target.read_bytes() == CONTENT[::-1]
    assert said == [f"the file at {wanted.url} has changed: starting anew"]


def test_a_server_that_cannot_continue_is_named(shelf, wanted):
    shelf.ranges = False
    break_off(shelf, wanted)
    said = []
    assert download(wanted, say=said.append) == SHA256
    assert said == [f"the file at {wanted.url} cannot be continued: starting anew"]
    assert shelf.sent == 1_300_000


@pytest.mark.parametrize("fault", ["no version", "no note", "other address"])
def test_what_is_of_unknown_origin_is_not_continued(shelf, wanted, fault):
    shelf.tag = None if fault == "no version" else shelf.tag
    break_off(shelf, wanted)
    if fault == "no note":
        wanted.note.write_text("{")
    if fault == "other address":
        wanted = Wanted(f"{shelf.base}/b.zip", wanted.target, wanted.size, SHA256)
    said = []
    assert download(wanted, say=said.append) == SHA256
    assert said == ["a.zip.part is of another address or of an unknown version: starting anew"]
    assert shelf.requests[1:] == [None]


def test_a_part_that_is_complete_needs_no_byte_more(shelf, wanted):
    break_off(shelf, wanted)
    wanted.part.write_bytes(CONTENT)
    assert download(without_checks(wanted)) == SHA256  # the server answers 416
    assert shelf.requests[1:] == ["bytes=1000000-"]
    wanted.target.rename(wanted.part)
    assert download(wanted) == SHA256  # the size is known: nothing is asked
    assert len(shelf.requests) == 2


def test_a_part_that_is_longer_than_the_file_is_dropped(shelf, wanted):
    break_off(shelf, wanted)
    wanted.part.write_bytes(CONTENT + b"x")
    said = []
    assert download(wanted, say=said.append) == SHA256
    assert shelf.requests[1:] == ["bytes=1000001-", None]
    assert said == [f"the file at {wanted.url} has changed: starting anew"]


def test_a_wrong_checksum_leaves_nothing(shelf, wanted):
    shelf.content = b"y" + CONTENT[1:]
    with pytest.raises(
        VidferError, match=f"has the sha256 [0-9a-f]{{64}}, not {SHA256}: it was removed; fetch it again"
    ):
        download(wanted)
    assert left(wanted) == []


def test_a_wrong_size_is_found_before_anything_is_fetched(shelf, wanted):
    shelf.content = CONTENT[:-1]
    with pytest.raises(VidferError, match="holds 999999 bytes, not the 1000000 expected: try another address"):
        download(wanted)
    assert left(wanted) == []


def test_a_wrong_file_in_its_place_is_left_alone(shelf, wanted):
    wanted.target.parent.mkdir()
    wanted.target.write_bytes(b"mine")
    with pytest.raises(VidferError, match=r"a.zip has 4 bytes, not the 1000000 expected: delete it to fetch it anew"):
        download(wanted)
    assert wanted.target.read_bytes() == b"mine"
    assert not shelf.requests


def test_a_web_page_is_no_file_and_spoils_none(shelf, wanted):
    break_off(shelf, wanted)
    shelf.kind, shelf.content = "text/html; charset=utf-8", b"<html>Please log in</html>"
    with pytest.raises(VidferError, match="answered with a web page, not with a file"):
        download(wanted)
    assert wanted.part.read_bytes() == CONTENT[:300_000]


def test_what_a_server_refuses_is_named(shelf, wanted, tmp_path):
    for status in (404, 416, 503):
        shelf.status = status
        with pytest.raises(VidferError, match=f"a.zip answered {status} .*: try later, or another address"):
            download(wanted)
    assert left(wanted) == []
    with pytest.raises(VidferError, match=r"127.0.0.1:1/a cannot be reached \(.*refused\)"):
        download(Wanted("http://127.0.0.1:1/a", tmp_path / "a"))
    with pytest.raises(UsageError, match="no address that starts with"):
        download(Wanted("file:///etc/passwd", tmp_path / "a"))


def test_a_silent_server_is_not_waited_for_for_ever(shelf, wanted, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    waiting = threading.Event()
    monkeypatch.setattr(shelf, "answer", lambda request: waiting.wait(5))
    with pytest.raises(VidferError, match=r"cannot be reached \(timed out\)"):
        download(wanted)
    waiting.set()


def test_room_on_the_disk_is_asked_for_first(shelf, wanted, monkeypatch):
    usage = type(module.shutil.disk_usage("/"))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1_400_000, 1_400_000))
    with pytest.raises(VidferError, match=r"has 0.0 GB free, 0.0 GB are needed: make room first"):
        download(wanted, room=500_000)
    assert left(wanted) == []
    break_off(shelf, wanted)
    assert download(wanted, room=500_000) == SHA256  # 0.7 MB to fetch and 0.5 MB besides


def test_a_disk_that_fills_keeps_what_fitted(wanted):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limit[1]))  # a real refusal of the system, as a full disk is
    try:
        with pytest.raises(VidferError, match=r"a.zip.part cannot be written \(File too large\) after .*is kept"):
            download(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert wanted.part.read_bytes() == CONTENT[:500_000]
    assert download(wanted) == SHA256


def test_two_at_once_do_not_mix(shelf, wanted):
    broken = []

    def second(done, total):
        if not broken:
            with pytest.raises(VidferError, match="is being fetched by another process"):
                download(wanted)
            broken.append(done)

    assert download(wanted, progress=second) == SHA256
    assert broken


def test_an_interruption_keeps_what_was_fetched(shelf, wanted):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(wanted, progress=stop)
    kept = wanted.part.read_bytes()
    assert CONTENT.startswith(kept)
    assert kept
    assert json.loads(wanted.note.read_text()) == {"url": wanted.url, "version": '"one"'}
    assert download(wanted) == SHA256
    assert shelf.requests == [None, f"bytes={len(kept)}-"]


def write_zip(path, files, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return path


def test_an_archive_is_unpacked_whole(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"set/": "", "set/1.png": "one", "set/2.png": "two"}, zipfile.ZIP_DEFLATED)
    (tmp_path / ".set.unpacking").mkdir()  # left by a kill
    (tmp_path / ".set.unpacking" / "old.png").touch()
    unpack(archive, tmp_path / "set", ["1.png", "2.png"])
    assert {path.name: path.read_text() for path in (tmp_path / "set").iterdir()} == {"1.png": "one", "2.png": "two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "set"]


@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/evil", "other/evil", "evil"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    archive = write_zip(tmp_path / "in" / "a.zip", {"set/1": "", name: "x"})
    with pytest.raises(VidferError, match="which leaves set: not unpacked"):
        unpack(archive, tmp_path / "in" / "set", ["1", "evil", name])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.zip"]


def test_a_link_in_an_archive_is_refused(tmp_path):
    link = zipfile.ZipInfo("set/1")
    link.external_attr = 0o120777 << 16
    archive = write_zip(tmp_path / "a.zip", {link: "/etc/passwd"})
    with pytest.raises(VidferError, match="leaves set"):
        unpack(archive, tmp_path / "set", ["1"])


def test_an_archive_of_other_files_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"set/1": "", "set/2": ""})
    with pytest.raises(VidferError, match=r"is not the archive expected: it lacks 1 files \(3\)"):
        unpack(archive, tmp_path / "set", ["1", "2", "3"])
    with pytest.raises(VidferError, match=r"is not the archive expected: it holds 1 files \(2\)"):
        unpack(archive, tmp_path / "set", ["1"])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_leaves_nothing(tmp_path, method):
    archive = write_zip(tmp_path / "a.zip", {"set/1": b"fine", "set/2": os.urandom(1000)}, method)
    data = bytearray(archive.read_bytes())
    data[500] ^= 255
    archive.write_bytes(data)
    with pytest.raises(VidferError, match=r"is damaged .*: delete it and fetch it again"):
        unpack(archive, tmp_path / "set", ["1", "2"])
    archive.write_bytes(data[:600])
    with pytest.raises(VidferError, match="is damaged"):
        unpack(archive, tmp_path / "set", ["1", "2"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {"set/1": "one"})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(VidferError, match=r"could not be unpacked to .*set: No space left on device"):
        unpack(archive, tmp_path / "set", ["1"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
