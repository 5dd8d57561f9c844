"""Who may ask: the check of every request, and the headers of every answer."""

import html
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidfer.app.settings import is_local

PAGE_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
)
"""The content security policy of an answer that has none of its own."""

_HEADERS: Final = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Middleware that refuses whom the server is not for, and adds security headers.

    Without a token only names of this machine may be asked for, since a foreign name that resolves to it (DNS rebinding) would
    make a foreign page one of ours. With a token, that is what protects. What changes something, and WebSockets, are refused to
    pages of other origins.

    Args:
        app: The application behind.
        host: Where the server listens.
        token: Secret that is asked for; None for none.
        cookie: Name of the cookie that keeps it.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, cookie: str = "vidfer") -> None:
        self._app, self._host, self._token, self._cookie = app, host.lower(), token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self._token is None and not self._is_ours(host):
            return _refused(403, "this server answers on this machine's own names alone, such as http://127.0.0.1")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if changes and not _from_here(headers, host):
            return _refused(403, "requests from pages of other sites are refused")
        if self._token is None:
            return None
        if scope["type"] == "http" and scope["method"] == "GET" and (given := self._in_address(scope)):
            return given
        if self._has_token(headers):
            return None
        asked = (
            "this server needs its token: open the address that vidfer app printed, or send Authorization: Bearer TOKEN"
        )
        return _refused(401, asked, {"WWW-Authenticate": "Bearer"})

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_local(name) or name == self._host

    def _has_token(self, headers: Headers) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return kept is not None and self._is_token(kept.value)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), (self._token or "").encode())

    def _in_address(self, scope: Scope) -> Response | None:
        """Move a right token from the address into a cookie, by a page that goes on to the address without it.

        A page, and no redirection: after one that a foreign page began, browsers keep a strict cookie back.
        """
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(name == "token" and self._is_token(value) for name, value in query):
            return None
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["path"].lstrip("/")
        to = html.escape(urlencode({"": path}, safe="/")[1:] + (f"?{rest}" if rest else ""))
        head = f'<meta charset="utf-8"><meta http-equiv="refresh" content="0;url={to}"><link rel="icon" href="data:,">'
        page = f"<!doctype html>{head}<title>vidfer</title>"
        answer = HTMLResponse(f'{page}<a href="{to}">vidfer</a>')
        answer.set_cookie(self._cookie, self._token or "", httponly=True, samesite="strict", path="/")
        return answer


def _refused(code: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": message}, code, headers)


def _from_here(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from none, as a script's does."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False
