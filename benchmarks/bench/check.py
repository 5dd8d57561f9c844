"""Ratios of a run held against those of the committed baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .figures import Measurement, Results, digits

TOLERANCE: Final = 0.15
"""Share by which a ratio may differ from the baseline's."""


@dataclass(frozen=True)
class Change:
    """One ratio, then and now."""

    measurement: Measurement
    ratio: str
    before: float
    now: float

    @property
    def share(self) -> float:
        """Return by which share the ratio has grown; every ratio is cost over cost, so growth is bad."""
        return self.now / self.before - 1

    def __str__(self) -> str:
        """Return what was compared, and both values."""
        values = f"{digits(self.now)}, was {digits(self.before)} ({self.share:+.0%})"
        return f"{self.measurement.group}: {self.measurement.name}: {self.ratio} {values}"


@dataclass(frozen=True)
class Verdict:
    """All ratios that both runs have; the slower and the faster ones beyond the tolerance."""

    compared: Sequence[Change]
    slower: Sequence[Change]
    faster: Sequence[Change]

    def __str__(self) -> str:
        """Return one line for each ratio beyond the tolerance, and one that counts all."""
        lines = [f"SLOWER {change}" for change in self.slower]
        lines += [f"faster {change}: renew the baseline by make bench" for change in self.faster]
        lines.append(f"{len(self.compared)} ratios compared, {len(self.slower)} worse by more than {TOLERANCE:.0%}")
        return "\n".join(lines)


def compare(baseline: Results, found: Results) -> Verdict:
    """Compare the medians of all ratios that both have.

    Raises:
        ValueError: They have none in common, so that nothing would be checked.
    """
    before = {(each.group, each.name): each.ratios for each in baseline.measurements}
    changes = [
        Change(each, name, known[name].median, ratio.median)
        for each in found.measurements
        for known in [before.get((each.group, each.name), {})]
        for name, ratio in each.ratios.items()
        if name in known
    ]
    if not changes:
        raise ValueError("the baseline has none of the ratios that were measured: renew it by make bench")
    slower = [change for change in changes if change.share > TOLERANCE]
    faster = [change for change in changes if change.share < -TOLERANCE / (1 + TOLERANCE)]
    return Verdict(changes, slower, faster)
