"""The REST service described: as OpenAPI for programs, and as a page for people that needs no script and no other host."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from vidfer.app.page import templates
from vidfer.app.routes import REPORT_POLICY
from vidfer.pages import environment

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
"""Schemas of answers that this server never gives: its refusals are `Problem`s."""


def add_description(app: FastAPI, *, with_token: bool) -> None:
    """Serve `/openapi.json`, and the page `/docs`."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, with_token=with_token)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's own way

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        page = render_docs(describe(), str(request.base_url).rstrip("/"))
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def _described(app: FastAPI, *, with_token: bool) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    for operations in found["paths"].values():
        for operation in operations.values():
            if any(name in str(operation["responses"].get("422")) for name in _FOREIGN):
                del operation["responses"]["422"]
    for name in _FOREIGN:
        found["components"]["schemas"].pop(name, None)
    if with_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def render_docs(description: dict[str, Any], address: str) -> bytes:
    """Make the page of an OpenAPI description whose server has this address."""
    operations = [
        {**operation, "method": method.upper(), "path": path}
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    groups = [
        (tag, [one for one in operations if one["tags"][0] == tag["name"]]) for tag in description.get("tags", ())
    ]
    return (
        _templates()
        .get_template("docs.html")
        .render(
            assets=environment.assets(),
            title="REST service - vidfer",
            address=address,
            groups=groups,
            schemas=description["components"]["schemas"],
            secured="security" in description,
        )
        .encode()
    )


@cache
def _templates() -> "Environment":
    """Return the environment of the app's pages, with what this one writes schemas by."""
    shared = templates()
    own = shared.overlay()
    own.filters = {**shared.filters, "kind": kind, "coded": coded, "curl": curl}
    return own


def kind(schema: dict[str, Any]) -> str:
    """Say in words what values a JSON schema takes.

    Example:
        >>> kind({"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 60}, {"type": "null"}]})
        'number above 0, at most 60'
        >>> kind({"enum": ["auto", "on"]}), kind({"type": "array", "items": {"type": "string"}})
        ('auto, on', 'list of string')
    """
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    words = {"date-time": "time, ISO 8601 in UTC", "binary": "file"}
    name = words.get(schema.get("format", ""), schema.get("type", "any"))
    bounds = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    return ", ".join([name, *(f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema)]).replace(
        f"{name}, above", f"{name} above"
    )


def coded(text: str) -> "Markup":
    """Write a docstring without its example: backticks mark code, and empty lines divide paragraphs."""
    from markupsafe import Markup, escape

    said = text.partition("\n\nExample:")[0]
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", said) if part.strip()]
    inner = [
        Markup().join(
            Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
            for number, part in enumerate(paragraph.split("`"))
        )
        for paragraph in paragraphs
    ]
    return Markup("</p><p>").join(inner)


def curl(operation: dict[str, Any], address: str, *, secured: bool) -> str:
    """Write a command that calls an operation."""
    path = operation["path"].replace("{job_id}", "ID").replace("{table}.{table_format}", "seconds.csv")
    words = ["curl"]
    if secured:
        words.append("-H 'Authorization: Bearer TOKEN'")
    if operation["method"] != "GET" and "requestBody" not in operation:
        words.append(f"-X {operation['method']}")
    if "requestBody" in operation:
        words.append("-F file=@clip.mp4 -F fps=10")
    if any("json" not in each for each in operation["responses"].get("200", {}).get("content", ())):
        words.append("-O")
    return " ".join([*words, f"{address}{path}"])
