"""Connections that send no request, or half of one: they are closed, and those that wait for an answer are not."""

import asyncio
import select
import socket
import threading
import time
from contextlib import closing

import pytest
import uvicorn

from vidfer.app import connections, server
from vidfer.app.connections import Connection
from vidfer.app.settings import AppOptions

SECONDS = 0.2
HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"


async def app(scope, receive, send):
    """Answer `/slow` after several looks at the connection, all else at once, and read no body."""
    await asyncio.sleep(5 * SECONDS if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port():
    """A server that gives a request a fifth of a second, and takes three connections."""
    with pytest.MonkeyPatch.context() as patch, closing(server.bound_socket("127.0.0.1", 0)) as listening:
        patch.setattr(connections, "APP_REQUEST_SECONDS", SECONDS)
        patch.setattr(connections, "APP_CONNECTIONS", 3)
        config = uvicorn.Config(app, log_level="error", lifespan="off", http=Connection, timeout_keep_alive=60)
        served = uvicorn.Server(config)
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        served.should_exit = True
        thread.join()


def heard(port, *pieces, pause=0.0):
    """Send pieces; return all that comes until the server closes the connection, within 5 s."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        answer, end = b"", time.monotonic() + 5
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
                while select.select([connection], [], [], 0)[0] and (come := connection.recv(4096)):
                    answer += come
            while piece := connection.recv(4096):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert time.monotonic() < end
        return answer


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ([], 0),
        ([HEAD], 0),
        ([HEAD + b"\r\n"], 1),
        ([HEAD + b"\r\n" + HEAD], 1),
        ([HEAD + b"\r\n", HEAD + b"\r\n", HEAD], 2),
        ([b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000\r\n\r\n", *[b"x"] * 40], 1),
        ([HEAD, *[b"X-More: 1\r\n"] * 40], 0),
    ],
)
def test_where_no_whole_request_comes_the_connection_is_closed(port, pieces, answers):
    assert heard(port, *pieces, pause=SECONDS / 4).count(b"200 OK") == answers


def test_an_answer_may_take_its_time(port):
    assert heard(port, HEAD.replace(b" / ", b" /slow ") + b"\r\n").count(b"200 OK") == 1


def test_more_connections_than_there_may_be_are_closed_and_others_come_later(port):
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    assert heard(port, HEAD + b"Connection: close\r\n\r\n") == b""
    for each in waiting:
        each.close()
    time.sleep(SECONDS)
    assert b"200 OK" in heard(port, HEAD + b"Connection: close\r\n\r\n")


def test_the_app_is_served_so(monkeypatch):
    monkeypatch.setattr(server, "create_app", lambda *_, **__: app)
    made = server.Server(AppOptions(port=0))
    made._socket.close()
    assert made._server.config.http is Connection
