"""What is too large, too long, or no form at all, also from clients that lie; on a server that really listens."""

import json
import socket
import threading
import time
from contextlib import closing

import pytest
import uvicorn

from tests.app import fake
from tests.app.conftest import send, wait
from vidfer.app import upload
from vidfer.app.server import bound_socket, create_app
from vidfer.app.settings import AppOptions
from vidfer.app.upload import file_name
from vidfer.types import UsageError

LIMIT = 200_000


@pytest.fixture(scope="module")
def port(temporary):
    """A server that listens."""
    with closing(bound_socket("127.0.0.1", 0)) as listening:
        app = create_app(AppOptions(max_size=LIMIT / 1e6, max_duration=60), work=fake.work)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def form(content, name="file", file="a.mp4", end=True):
    named = f'; filename="{file}"' if file is not None else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n" + b"--b--\r\n" * end


def ask(port, body, *, announced=None, chunk=None, kind="multipart/form-data; boundary=b"):
    """Send bytes as they are, and return the code and the sentence."""
    head = ["POST /analyze HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Type: {kind}", "Connection: close"]
    if chunk:
        head.append("Transfer-Encoding: chunked")
        pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        head.append(f"Content-Length: {len(body) if announced is None else announced}")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        connection.sendall(body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, told = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(told) if told.startswith(b"{") else {}


@pytest.mark.parametrize("chunk", [None, 1000, 65_536])
@pytest.mark.parametrize(("size", "code"), [(LIMIT, 202), (LIMIT + 1, 413), (10 * LIMIT, 413)])
def test_the_limit_is_kept_to_the_byte_however_it_is_sent(port, temporary, size, code, chunk):
    got, answer = ask(port, form(b"x" * size), chunk=chunk)
    assert got == code
    if code == 413:
        assert answer["detail"] == "the file is too large: at most 0.2 MB are taken"
        assert not list(temporary.glob("*/*/upload"))


@pytest.mark.parametrize(("announced", "code"), [(10, 400), (LIMIT + 66_000, 413), (10**15, 413)])
def test_a_length_that_is_not_true_gets_nothing_in(port, announced, code):
    assert ask(port, form(b"x" * 1000), announced=announced)[0] == code


def test_a_sender_who_breaks_off_leaves_nothing(port, temporary):
    for _ in range(10):  # more than the queue has places
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            head = f"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n"
            connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode() + form(b"x"))
    end = time.monotonic() + 20
    while ask(port, form(b"x"))[0] == 429:
        assert time.monotonic() < end
    assert not list(temporary.glob("*/*/upload"))


def test_who_waits_for_leave_to_send_is_answered_at_once(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = (
            f"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {10**9}\r\nExpect: 100-continue\r\n"
        )
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        assert b" 413 " in connection.recv(65536).splitlines()[0]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (form(b"x", end=False), 400, "broke off"),
        (b"", 400, "broke off"),
        (b"--c\r\n", 400, "parts"),
        (form(b"x", name="video"), 422, "no file"),
        (form(b"x", end=False) + form(b"y"), 422, "several"),
        (form(b"x", end=False) + form(b"z" * 70_000, "fps", None), 413, "fields"),
        (form(b"x", end=False) + form(b"1", "fps", None, end=False) + form(b"1", "fps", None), 422, "twice"),
    ],
)
def test_forms_that_cannot_be_taken(port, body, code, told):
    got, answer = ask(port, body)
    assert (got, told in answer["detail"]) == (code, True), answer


def test_options_may_come_before_or_after_the_file(port):
    fields = form(b"5", "fps", None, end=False)
    assert ask(port, fields + form(b"x"))[0] == ask(port, form(b"x", end=False) + form(b"5", "fps", None))[0] == 202


def test_no_form(port):
    assert ask(port, b"x", kind="video/mp4")[0] == 415
    assert ask(port, b"x", kind="multipart/form-data")[0] == 415


def test_refusals_leave_the_queue_as_it_was(port):
    for _ in range(20):
        assert ask(port, form(b"x" * (LIMIT + 1)))[0] == 413
    assert ask(port, form(b"x"))[0] == 202


def test_a_sender_who_falls_silent_is_given_up(port, monkeypatch):
    monkeypatch.setattr(upload, "UPLOAD_SILENCE", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
        assert b" 408 " in connection.recv(65536).splitlines()[0]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"fps": "0"}, "fps: input should be greater than 0"),
        ({"fps": "quick"}, "fps: "),
        ({"fps": "nan"}, "fps: "),
        ({"denoise": "maybe"}, "denoise: input should be 'auto', 'on' or 'off'"),
        ({"abstain": "2"}, "abstain: "),
        ({"models": "/etc"}, "models: extra inputs are not permitted"),
        ({"store": "/tmp"}, "store: extra inputs are not permitted"),
        ({"show_faces": "perhaps"}, "show_faces: "),
    ],
)
def test_options_that_cannot_be(client, fields, told):
    assert send(client, status=422, **fields)["detail"].startswith(told)


def test_a_clip_that_is_too_long(client):
    assert "too long: 61.5 s, and at most 60 s" in send(client, content=b"seconds 61.5", status=413)["detail"]
    assert wait(client, send(client, content=b"seconds 60.5"))["status"] == "done"


def test_limits_are_told(client):
    told = client.get("/limits").json()
    assert (told["max_bytes"], told["max_duration_s"], told["max_queue"], told["jobs"]) == (200_000, 60, 2, 1)
    assert {"mp4", "webm", "mov", "wav"} <= set(told["formats"])


@pytest.mark.parametrize("sent", ["", "..", ".", "/", "a/", "\x00", "..\\..", "x" * 5000 + ".mp4"])
def test_names_of_files_are_never_empty_or_long(sent):
    name = file_name(sent)
    assert 0 < len(name) <= 200
    assert not {"/", "\\"} & set(name) or "\\x" in name
    assert name not in (".", "..")


@pytest.mark.parametrize(
    "options",
    [{"max_size": 0}, {"max_duration": -1}, {"keep": float("inf")}, {"jobs": 0}, {"max_queue": 0}, {"port": 70_000}],
)
def test_limits_that_cannot_be(options):
    with pytest.raises(UsageError, match=next(iter(options)).replace("_", "-")):
        AppOptions(**options)


def test_a_port_that_is_taken(port):
    with pytest.raises(UsageError, match=f"another program has port {port}"):
        bound_socket("127.0.0.1", port)
    with pytest.raises(UsageError, match=r"--host 192\.0\.2\.1"):
        bound_socket("192.0.2.1", 0)
    with closing(bound_socket("127.0.0.1", None)) as listening:
        assert listening.getsockname()[1] > 1023
