"""Each limit has a unit, a reason, and its row in the documentation."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from vidfer import limits

PAGE = Path(__file__).parents[1] / "docs/reference/limits.md"
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|")


def described(source: str) -> dict[str, tuple[str, str]]:
    """Of each constant, in order, its unit and its reason."""
    body = ast.parse(source).body
    found = {}
    for line, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign):
            text = after.value.value if isinstance(after, ast.Expr) else ""
            unit, _, reason = " ".join(text.split()).partition(": ")
            found[line.target.id] = unit, reason
    return found


def shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


LIMITS = described(inspect.getsource(limits))


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_has_a_unit_and_a_reason(name):
    unit, reason = LIMITS[name]
    assert re.match("[a-z]", unit), f"{name} does not say what it counts"
    assert reason.endswith("."), f"{name} gives no reason"


def test_the_page_has_each_limit_with_its_value_in_the_same_order():
    rows = [found.groups() for line in PAGE.read_text().splitlines() if (found := ROW.fullmatch(line))]
    assert [row[:2] for row in rows] == [
        (name, f"{shown(getattr(limits, name))} {unit}") for name, (unit, _) in LIMITS.items()
    ]
    assert all(beyond and who for _, _, beyond, who in rows)


def test_a_limit_without_unit_or_reason_is_noticed():
    assert described('A: Final = 1\n"""bytes of it: memory."""\nB: Final = 2\n') == {
        "A": ("bytes of it", "memory."),
        "B": ("", ""),
    }
