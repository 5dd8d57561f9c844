"""The OpenAPI description and its page."""

import html
import re

from fastapi.routing import APIRoute

from tests.app.conftest import send, wait
from vidfer.app.description import coded, render_docs
from vidfer.app.routes import router


def references(value):
    """Yield what a description refers to."""
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_operation_is_described(client):
    description = client.get("/openapi.json").json()
    found = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    routes = [route for route in router.routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert found == {(method, route.path) for route in routes for method in route.methods}
    schemas = description["components"]["schemas"]
    assert {each.rpartition("/")[2] for each in references(description)} <= set(schemas)
    assert "HTTPValidationError" not in str(description)
    assert {"id", "status", "progress", "position", "summary"} <= set(schemas["JobStatus"]["properties"])
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["description"].rstrip().endswith(".")
            assert {"200", "202", "204"} & set(operation["responses"])


def test_answers_are_as_described(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    done = wait(client, send(client))
    for name, answer in (
        ("JobStatus", done),
        ("Limits", client.get("/limits").json()),
        ("Health", client.get("/health").json()),
    ):
        assert set(answer) == set(schemas[name]["properties"])
    assert set(client.get("/jobs/x").json()) == set(schemas["Problem"]["properties"])
    assert client.get(f"/jobs/{done['id']}/tables/nothing.csv").status_code == 422
    assert (
        client.get(f"/jobs/{done['id']}/tables/frames.exe").json()["detail"].startswith("table_format: input should be")
    )


def test_the_page_names_all_of_it_and_asks_for_nothing(client):
    answer = client.get("/docs")
    page = html.unescape(answer.text)
    description = client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        assert path in page
        assert all(f'id="{operation["operationId"]}"' in page for operation in methods.values())
    assert all(f'id="{name}"' in page for name in description["components"]["schemas"])
    assert "curl -F file=@clip.mp4 -F fps=10 http://127.0.0.1:7860/analyze" in page
    assert not re.findall(r'(?:src|href)="(?!#|\./|openapi\.json|data:,)[^"]*"', page)
    assert "unsafe" not in page
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= set(re.findall(r'id="([^"]+)"', page))


def test_with_a_token_the_page_says_so(client):
    description = client.get("/openapi.json").json()
    page = render_docs({**description, "security": [{"token": []}]}, "http://box:1/<script>").decode()
    assert "Authorization: Bearer TOKEN" in page
    assert "box:1/<script>" not in page
    assert "http://box:1/&lt;script&gt;" in page


def test_texts_are_escaped():
    assert coded("a `<b>` <i>\n\nc\n\nExample:\n    >>> x") == "a <code>&lt;b&gt;</code> &lt;i&gt;</p><p>c"
