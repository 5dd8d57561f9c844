"""The page's own answer: what it may load, and that all it names is served."""

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from vidfer.app.page import add_page
from vidfer.results.colours import COLOURS


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    add_page(app)
    return TestClient(app)


def test_the_page_may_load_its_own_files_and_nothing_else(client):
    policy = client.get("/").headers["content-security-policy"]
    rules = {name: set(sources) for name, *sources in (rule.split() for rule in policy.split("; "))}
    assert rules["default-src"] == {"'none'"}
    assert rules["frame-ancestors"] == rules["base-uri"] == {"'none'"}
    assert "unsafe" not in policy
    for name, sources in rules.items():
        assert all(each in {"'self'", "'none'", "data:", "blob:"} or each.startswith("'sha256-") for each in sources), (
            name
        )


def test_every_file_that_the_page_or_a_script_names_is_served(client):
    page = client.get("/").text
    todo = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    assert len(todo) == 4
    seen = set()
    while todo:
        name = todo.pop()
        answer = client.get(f"/{name}")
        assert answer.status_code == 200, name
        seen.add(name)
        if name.startswith("static/page/") and name.endswith(".js"):
            todo += {f"static/page/{each}" for each in re.findall(r'from "\./(.+?)"', answer.text)} - seen
    assert len(seen) > 10


def test_every_element_that_a_script_looks_up_is_in_the_page(client):
    from vidfer.app.page import STATIC

    ids = set(re.findall(r' id="([^"]+)"', client.get("/").text))
    assert len(ids) == client.get("/").text.count(' id="')  # each once
    for script in STATIC.glob("*.js"):
        missing = set(re.findall(r'\$\("([^"]+)"\)', script.read_text())) - ids
        assert not missing, script.name


def test_the_colours_of_expressions_are_those_of_all_results(client):
    listed = re.findall(r'<li class="e-(\w+)">', client.get("/").text)
    assert listed == list(COLOURS)
