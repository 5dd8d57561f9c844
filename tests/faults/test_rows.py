"""The table of faults: each row has its file of tests, and the page has each row."""

import re
from pathlib import Path

from tests.faults.rows import BEGIN, END, FAULTS, Row, markdown, text, write_page

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/reliability.md"


def test_each_row_has_a_file_of_tests_and_each_file_a_row():
    numbers = sorted(int(re.match(r"test_(\d\d)_", path.name)[1]) for path in HERE.glob("test_[0-9]*.py"))
    assert sorted(set(numbers)) == sorted(FAULTS)


def test_the_page_has_the_rows_of_the_code():
    table = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    for number, (fault, promise) in FAULTS.items():
        assert f"| {number} | {fault} | {promise} |" in table


def test_a_page_gets_figures_between_its_marks_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rows = {6: Row(passed=2, skipped=1, seconds=3.4, figures=("4 runs", "0 errors"))}
    write_page(page, rows)
    assert page.read_text() == f"before\n{BEGIN}\n\n{markdown(rows)}\n\n{END}\nafter\n"
    row = next(line for line in page.read_text().splitlines() if line.startswith("| 6 |"))
    assert row.endswith("| 4 runs; 0 errors | 2 passed, 1 skipped |")
    assert "   2 passed, 1 skipped in 3 s" in list(text(rows))
