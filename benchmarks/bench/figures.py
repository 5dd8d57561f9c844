"""Measurements as they are written: figures with their spread, floors, ratios and bars."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Figure:
    """One number, measured `n` times."""

    median: float
    min: float
    max: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise the rounds of one measurement, at least one.

        Raises:
            ValueError: There are no values.
        """
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        """Return the median, and the smallest and the largest value where there are several."""
        if self.n == 1:
            return digits(self.median)
        return f"{digits(self.median)} ({digits(self.min)} to {digits(self.max)}, n={self.n})"


def digits(value: float) -> str:
    """Return a number with three significant digits, and no exponent."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{places}f}"


@dataclass(frozen=True)
class Bar:
    """What a median has to reach: at most `limit`, or at least where `least` is set."""

    of: str
    limit: float
    least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.limit if self.least else value <= self.limit

    def __str__(self) -> str:
        """Return the requirement in words."""
        return f"{'at least' if self.least else 'at most'} {self.limit:g} {self.of}"


@dataclass(frozen=True)
class Measurement:
    """One thing that was measured.

    Args:
        name: What was done, unique within its group.
        figures: What it cost; the key ends with the unit, such as `CPU s` or `peak MB`.
        floors: What its parts cost at the least, in the unit of the figure that they are compared with.
        ratios: What a machine's speed cancels from, such as the chain's cost over its floors'.
        bars: What is required of figures or ratios.
        facts: Sizes and counts that say what was done.
    """

    group: str
    name: str
    figures: Mapping[str, Figure]
    floors: Mapping[str, Figure] = field(default_factory=dict)
    ratios: Mapping[str, Figure] = field(default_factory=dict)
    bars: Sequence[Bar] = ()
    facts: Mapping[str, float | str] = field(default_factory=dict)

    def verdicts(self) -> list[tuple[Bar, float, bool]]:
        """Return each bar with the median that it is about, and whether that reaches it."""
        known = {**self.figures, **self.floors, **self.ratios}
        return [(bar, known[bar.of].median, bar.met(known[bar.of].median)) for bar in self.bars]


@dataclass(frozen=True)
class Results:
    """All that one run of the benchmark measured, and where."""

    machine: Mapping[str, Any]
    measurements: Sequence[Measurement]

    def write(self, path: Path) -> None:
        """Write them as JSON, numbers with six significant digits."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(found["machine"], [_measurement(each) for each in found["measurements"]])

    def replaced(self, newer: "Results") -> "Results":
        """Return these with the groups of a newer run in place of their own."""
        groups = {each.group for each in newer.measurements}
        kept = [each for each in self.measurements if each.group not in groups]
        return Results(newer.machine, [*kept, *newer.measurements])


def _measurement(found: Mapping[str, Any]) -> Measurement:
    figures = {
        kind: {name: Figure(**each) for name, each in found[kind].items()} for kind in ("figures", "floors", "ratios")
    }
    return Measurement(
        found["group"], found["name"], **figures, bars=[Bar(**bar) for bar in found["bars"]], facts=found["facts"]
    )


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
