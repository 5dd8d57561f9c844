"""Who is let in: names of this machine, pages of this server, and those who have the token."""

import re
from itertools import product

import pytest
from starlette.websockets import WebSocketDisconnect

from tests.app.conftest import HERE, serving
from vidfer.app.settings import is_local

OURS = ("127.0.0.1", "127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "127.9.9.9:80")
FOREIGN = (
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example:7860",
    "127.0.0.1@evil.example",
    "192.168.0.7:7860",
    "0.0.0.0:7860",
    "[::]:7860",
    "[::1",
    "",
    "evil.example#127.0.0.1",
)


@pytest.mark.parametrize("path", ["/health", "/jobs/x", "/limits", "/openapi.json"])
def test_only_names_of_this_machine_are_answered(client, path):
    for host in OURS:
        assert client.get(path, headers={"host": host}).status_code in (200, 404), host
    for host in FOREIGN:
        assert client.get(path, headers={"host": host}).status_code == 403, host


def origins():
    """Origins of pages and what browsers say of them, with whether they may change something."""
    same = ["http://127.0.0.1:7860", "HTTP://127.0.0.1:7860", None]
    other = [
        "http://evil.example",
        "http://127.0.0.1:8000",
        "http://127.0.0.1",
        "http://localhost:7860",
        "null",
        "",
        "file://",
    ]
    sites = {None: True, "same-origin": True, "none": True, "same-site": False, "cross-site": False}
    for (origin, fine), (site, told) in product([(o, True) for o in same] + [(o, False) for o in other], sites.items()):
        yield origin, site, fine and told


@pytest.mark.parametrize(("origin", "site", "allowed"), list(origins()))
def test_pages_of_other_sites_change_nothing(client, origin, site, allowed):
    headers = {name: value for name, value in (("origin", origin), ("sec-fetch-site", site)) if value is not None}
    assert client.delete("/jobs/nobody", headers=headers).status_code == (404 if allowed else 403)
    assert client.post("/analyze", headers=headers).status_code == (415 if allowed else 403)
    assert (
        client.get("/health", headers=headers).status_code == 200
    )  # reading is up to the browser, which asks for CORS


@pytest.mark.parametrize(("origin", "site", "allowed"), list(origins())[::3])
def test_live_mode_is_for_pages_of_this_server(client, origin, site, allowed):
    headers = {name: value for name, value in (("origin", origin), ("sec-fetch-site", site)) if value is not None}
    for host, ours in ((OURS[1], True), (FOREIGN[0], False)):
        fine = allowed and ours
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("/none", headers={**headers, "host": host}),
        ):
            pass
        assert closed.value.code == (1000 if fine else 1008)  # there is nothing, or nothing for this page


def test_no_answer_allows_other_origins_to_read(client):
    for path in ("/health", "/jobs/x"):
        answer = client.get(path, headers={"origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/health", "/jobs/x", "/openapi.json", "/nothing"])
def test_every_answer_has_the_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


@pytest.fixture(scope="module")
def guarded(temporary):
    """A client of a server that asks for a token."""
    with serving(token="s3cret", host="0.0.0.0") as client:
        yield client


WRONG = ("", "s3cre", "s 3cret", "S3CRET", "s3crett", "s3cret\xe9")


def test_without_the_token_nothing_is_answered(guarded):
    for method, path in (
        ("GET", "/health"),
        ("POST", "/analyze"),
        ("GET", "/openapi.json"),
        ("DELETE", "/jobs/x"),
        ("GET", "/"),
    ):
        answer = guarded.request(method, path)
        assert answer.status_code == 401
        assert "vidfer app printed" in answer.json()["detail"]


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_token_is_none(guarded, given):
    ways = [
        {"headers": {"authorization": f"Bearer {given}".encode("latin-1")}},
        {"headers": {"cookie": f"vidfer-0={given}".encode("latin-1")}},
        {"params": {"token": given}},
    ]
    assert [guarded.get("/health", **way).status_code for way in ways] == [401] * 3
    assert guarded.get("/health", headers={"authorization": "Basic s3cret"}).status_code == 401


def test_live_mode_needs_the_token(guarded):
    for headers, code in (
        ({}, 1008),
        ({"authorization": "Bearer s3cret"}, 1000),
        ({"cookie": "vidfer-0=s3cret"}, 1000),
    ):
        with pytest.raises(WebSocketDisconnect) as closed, guarded.websocket_connect("/none", headers=headers):
            pass
        assert closed.value.code == code


def test_the_token_works_from_any_name(guarded):
    for host in (*OURS, "box.lan:7860", "192.168.0.7:7860"):
        assert guarded.get("/health", headers={"authorization": "Bearer s3cret", "host": host}).status_code == 200


def test_the_address_leaves_a_cookie_and_goes_on_without_the_token(guarded):
    answer = guarded.get("/", params={"token": "s3cret", "x": "1&2"})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 200
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert re.search(r'content="0;url=([^"]*)"', answer.text)[1] == "/?x=1%262"
    assert "s3cret" not in answer.text
    assert guarded.get("/health").status_code == 200  # the client keeps the cookie
    assert guarded.delete("/jobs/x", headers={"origin": "http://evil.example"}).status_code == 403
    guarded.cookies.clear()


def test_no_path_makes_the_page_lead_elsewhere(guarded):
    for path in ("//evil.example/", "/\\evil.example", '/"><script>', "///evil.example"):
        answer = guarded.get(HERE + path, params={"token": "s3cret"})
        to = re.search(r'content="0;url=([^"]*)"', answer.text)[1]
        assert re.fullmatch(r"/[^/\\].*|/", to), to
        assert "<script" not in answer.text
    guarded.cookies.clear()


def test_what_is_local():
    assert [
        is_local(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.1", "example.org", "")
    ] == [
        *[True] * 3,
        *[False] * 5,
    ]
