"""Figures of the tests of faults, and the table that `make test-faults` prints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.rows import Row, text, write_page

NUMBER = re.compile(r"tests/faults/test_(\d\d)_")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell a figure of this file's row in a few words, such as "0 of 214 kills lost an artifact"."""
    return lambda words: record_property("figure", words)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A portrait that speaks for a second."""
    from vidfer.datasets.synthetic import write_demo_clip

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_demo_clip(path, seconds=1.0)
    return path


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--faults-table"):
        return
    rows: dict[int, Row] = {}
    for report in (r for kind in ("passed", "failed", "error", "skipped") for r in terminalreporter.getreports(kind)):
        found = NUMBER.match(getattr(report, "nodeid", ""))
        if found is None:
            continue
        row = rows.setdefault(int(found[1]), Row())
        row.seconds += getattr(report, "duration", 0.0)
        row.passed += report.outcome == "passed"
        row.failed += report.outcome == "failed"
        row.skipped += report.outcome == "skipped"
        row.figures += tuple(str(value) for name, value in getattr(report, "user_properties", ()) if name == "figure")
    terminalreporter.section("faults")
    for line in text(rows):
        terminalreporter.write_line(line)
    if page := config.getoption("--faults-page"):
        write_page(Path(page), rows)
