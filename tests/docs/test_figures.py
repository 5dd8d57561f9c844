"""Figures that pages quote stand in the page of results that the same section links to."""

import re

import pytest

from tests.docs.pages import ROOT, links, sections

QUOTING = ["README.md", *(f"docs/{name}.md" for name in ("paper", "faq", "responsible-use", "comparison"))]
QUOTING += ["docs/results/index.md", "docs/cards/models.md", "docs/cards/data.md"]

_GENERATED = re.compile(r"<!-- (?:model|data): .*?<!-- end -->", re.DOTALL)
_FIGURE = re.compile(r"(?<![\w./-])(?<!arXiv )(?<!Python )\d+\.\d{2,}(?![\d.]*\d)|(?<=\bn = )[\d,]*\d")


def plain(text):
    """Write numbers without commas."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def untraced(page):
    """List the figures of a page that no page linked from the same section has."""
    for section in sections(_GENERATED.sub("", page.read_text("utf-8"))):
        targets = {(page.parent / target.partition("#")[0]).resolve() for _, target in links(section)}
        sources = [
            plain(path.read_text("utf-8")) for path in targets if path.suffix in (".md", ".yaml") and path != page
        ]
        for figure in dict.fromkeys(_FIGURE.findall(plain(section))):
            if not any(re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]*\d)", source) for source in sources):
                yield f"{figure} in '{section.partition(chr(10))[0]}'"


@pytest.mark.parametrize("page", QUOTING)
def test_figures_stand_where_they_were_measured(page):
    assert not list(untraced(ROOT / page))


def test_a_figure_without_a_source_is_found(tmp_path):
    (tmp_path / "source.md").write_text("accuracy 0.529 (n = 3547), version 0.5291")
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n0.529 of [these](source.md), n = 3,547, and 0.53\n# Two\n0.529 in 2.1.5\n# Three\n[x](source.md) n = 354"
    )
    assert list(untraced(page)) == ["0.53 in 'One'", "0.529 in 'Two'", "354 in 'Three'"]


def test_the_readme_shows_what_the_demo_prints():
    block = re.search(r"```text\n\.\.\.\n(.*?)\.\.\.\n```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    captured = (ROOT / "docs" / "reference" / "terminal.md").read_text("utf-8")
    assert block in re.sub(r" +$", "", captured, flags=re.MULTILINE)
