"""Every command of vidfer and every target of make that any page shows can be given: options exist, values are possible."""

import ast
import inspect
import re

import pytest

import vidfer
from tests.conftest import ROOT
from tests.docs.blocks import SHELL, Page, check, commands

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
KEYWORDS = {*inspect.signature(vidfer.analyze).parameters, *inspect.signature(vidfer.Analyzer).parameters}
NOT_CHECKED = {
    "vidfer VERB": "stands for all verbs",
    "vidfer --": "no verb",
    "vidfer analyze --config settings.yaml": "reads a file that the page shows",
}


def given(line):
    """Return a command as it can be given: an option in brackets with them, the first of several values, no redirection."""
    line = re.sub(r"\[(--[^\]]*)\]", r"\1", line.removeprefix("$ "))
    line = re.split(r" (?:>|&&|\|) ", line)[0]
    return re.sub(r"(?<=\w)\|[\w|.]+", "", line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_given(path, tmp_path):
    page = Page(path, tmp_path)
    indented = re.findall(r"(?:^    .*\n)+", page.document.text, re.MULTILINE)
    for block in [*page.blocks(*SHELL), *indented]:
        for line in map(given, commands(block)):
            if line.startswith(("vidfer ", "make ")) and not line.startswith(tuple(NOT_CHECKED)):
                check(line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_of_a_page_uses_names_that_are_there(path, tmp_path):
    for block in Page(path, tmp_path).blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "vidfer":
                assert node.attr in dir(vidfer), f"vidfer.{node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"vidfer.analyze", "vidfer.Analyzer"}:
                given = {word.arg for word in node.keywords if word.arg}
                assert given <= {*vidfer.Options.__annotations__, *KEYWORDS}, ast.unparse(node)


def test_the_notation_of_a_command_is_read():
    assert given("$ vidfer evaluate image --labels fer2013|ferplus [--head video] > out.txt") == (
        "vidfer evaluate image --labels fer2013 --head video"
    )
