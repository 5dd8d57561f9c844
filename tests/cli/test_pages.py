"""The pages of docs/reference/terminal.md are what the command prints, captured by `make pages`."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.terminal_pages import PAGE, SUMMARIES, WIDTHS, screens
from vidfer.cli.main import main
from vidfer.cli.overview import print_overview

RENEW = "the help has changed: run `python benchmarks/terminal_pages.py helps`"


def page(columns, title):
    """Return what the first block below a title shows, without its command."""
    text = PAGE.read_text("utf-8").split(f"## {columns} columns")[1].split("\n## ")[0]
    return re.search(rf"### {title}\n.*?```text\n\$ [^\n]*\n(.*?)\n```", text, re.DOTALL)[1]


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(("title", "words"), [("Help", ["--help"]), ("Help of a verb", ["analyze", "--help"])])
def test_help_is_as_captured(columns, title, words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    if words[:1] == ["analyze"]:
        with pytest.raises(SystemExit):
            main(words)
    else:
        main(words)
    assert page(columns, title).split() == capsys.readouterr().out.split(), RENEW


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_overview_is_as_captured(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_overview(json.loads(SUMMARIES.read_text("utf-8")))
    told = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert told in page(columns, "Overview"), "run `make pages`"


def test_no_line_is_broken_within_a_word(tmp_path):
    pytest.importorskip("pyte")
    *_, shown = screens(["--help"], 60, tmp_path)
    assert all(len(line) <= 60 for line in shown.splitlines())
    assert "say where data sets are had, and whether they" in shown
    assert "is stored already (--dry-run)" in " ".join(shown.split())


def test_nothing_of_the_machine_is_in_the_pages():
    text = PAGE.read_text("utf-8") + SUMMARIES.read_text("utf-8")
    assert not re.search(
        rf"/tmp/|/home/|{re.escape(str(Path.home()))}|{re.escape(str(Path(__file__).parents[2]))}", text
    )
