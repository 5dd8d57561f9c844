"""The page of `vidfer app`, with its files and the policy that lets it load nothing from elsewhere."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidfer.pages import environment

if TYPE_CHECKING:
    from fastapi import FastAPI
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parent / "templates"
STATIC: Final = Path(__file__).parent / "static"

_OWN: Final = (
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",  # the preview of a recording
    "connect-src 'self'",  # the jobs, and live mode's WebSocket
    "frame-src 'self'",  # a clip's report
    "frame-ancestors 'none'",
)


def add_page(app: "FastAPI") -> None:
    """Serve the page at `/`, and its styles and scripts below `/static`."""
    from fastapi import Response
    from fastapi.staticfiles import StaticFiles

    app.mount("/static/page", StaticFiles(directory=STATIC))
    app.mount("/static/shared", StaticFiles(directory=environment.STATIC))

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        body, policy = render_page()
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return Response(body, media_type="text/html", headers=headers)


@cache
def render_page() -> tuple[bytes, str]:
    """Return the page as UTF-8, and its Content-Security-Policy."""
    shared = environment.assets()
    policy = shared.policy
    for rule in _OWN:
        name, _, sources = rule.partition(" ")
        found = next((each for each in policy.split("; ") if each.split(" ")[0] == name), None)
        if found is None:
            policy += f"; {rule}"
        else:
            policy = policy.replace(found, " ".join(dict.fromkeys(f"{found} {sources}".split(" "))))
    text = templates().get_template("app.html").render(assets=replace(shared, policy=""), title="vidfer")
    return text.encode(), policy


@cache
def templates() -> "Environment":
    """Return the environment of all pages, with this one's templates before theirs."""
    from jinja2 import ChoiceLoader, FileSystemLoader

    shared = environment.environment()
    return shared.overlay(loader=ChoiceLoader([FileSystemLoader(TEMPLATES), *filter(None, [shared.loader])]))
