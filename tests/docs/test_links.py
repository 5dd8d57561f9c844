"""Links lead to files, headings and names in the code that exist."""

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT, anchors, links

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md")])


@cache
def names(path):
    """Name what a module defines: functions, classes, their methods, and assigned names."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def dead(page):
    """List a page's links that lead nowhere."""
    for text, target in links(page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve()
        if not path.exists():
            yield f"{target}: no such file"
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            yield f"{target}: no such heading"
        elif path.suffix == ".py" and text.startswith("`") and "/" not in text and text.strip("`") not in names(path):
            yield f"{target} defines no {text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not list(dead(page))


def test_code_and_configurations_name_pages_that_exist():
    places = [ROOT / "Makefile", *(path for folder in ("vidfer", "stages", "benchmarks", "examples", "configs")
              for suffix in ("py", "html", "js", "yaml") for path in (ROOT / folder).rglob(f"*.{suffix}"))]  # fmt: skip
    named = {(name, path) for path in places for name in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8"))}
    assert len(named) > 20
    assert not [(name, str(path)) for name, path in named if not (ROOT / name).exists()]


def test_every_part_of_the_paper_names_its_code():
    parts = (ROOT / "docs" / "paper.md").read_text("utf-8").split("\n## P")[1:]
    assert [int(part.partition(":")[0]) for part in parts] == list(range(1, 18))
    for part in parts:
        assert "**Measured**" in part, part[:30]
        assert any("../vidfer/" in target for _, target in links(part)), part[:30]


def test_dead_links_are_found(tmp_path):
    (tmp_path / "code.py").write_text("class Here:\n    def well(self): ...\nTABLE: int = 1\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](none.md) [b](page.md#bottom) [`Gone`](code.py) "
        "[`Here.well`](code.py) [`TABLE`](code.py) [top](page.md#top) [web](https://example.org)\n"
    )
    assert list(dead(page)) == ["none.md: no such file", "page.md#bottom: no such heading", "code.py defines no `Gone`"]
