"""Shares of expressions as stacked bars of SVG, with the numbers beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vidfer.inference.decision import UNCERTAIN
from vidfer.results.colours import COLOURS
from vidfer.results.tally import NOTHING
from vidfer.types import Status

if TYPE_CHECKING:
    import pandas as pd

ORDER: Final = (*COLOURS, UNCERTAIN, NOTHING)
"""From left to right."""

TITLES: Final = {NOTHING: "no answer"}
"""How a kind is called, where that is not its own name."""

_WIDTHS: Final = {"small": 300, "large": 500}
"""Px that a bar has at least on a small and a large screen."""

_SIGN: Final = 7.2  # px

_GROUPS: Final = 8
"""Bars of one column, at most."""


@dataclass(frozen=True)
class Part:
    """One part of a bar: an expression with its share, and where it begins, both in [0, 1]."""

    kind: str
    start: float
    share: float

    @property
    def title(self) -> str:
        """How the kind is called."""
        return TITLES.get(self.kind, self.kind)

    @property
    def labels(self) -> list[str]:
        """Name what fits into the part on each screen: `small-name`, with the number, or `small-number`; `large-...` alike."""
        found = []
        for screen, width in _WIDTHS.items():
            room = self.share * width - 8
            if room > _SIGN * 4:
                found.append(f"{screen}-{'name' if room > _SIGN * (len(self.title) + 5) else 'number'}")
        return found


@dataclass(frozen=True)
class Bar:
    """A bar: whose it is, how much is the whole, in words, and its parts."""

    name: str
    whole: str
    parts: tuple[Part, ...]

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of each kind that is there."""
        return {part.kind: part.share for part in self.parts}


def bar_of(name: str, amounts: Mapping[str, float], whole: str) -> Bar:
    """Make a bar of amounts of any unit; kinds of which there is nothing have no part.

    Example:
        >>> from vidfer.pages.shares import bar_of
        >>> [(part.kind, part.start, part.share) for part in bar_of("a", {"happy": 3.0, "sad": 1.0}, "4 s").parts]
        [('happy', 0.0, 0.75), ('sad', 0.75, 0.25)]
    """
    total, start, parts = sum(amounts.values()), 0.0, []
    for kind in ORDER:
        if total and amounts.get(kind, 0.0) > 0:
            parts.append(Part(kind, start, amounts[kind] / total))
            start += parts[-1].share
    return Bar(name, whole, tuple(parts))


def kinds_of(bars: Sequence[Bar]) -> dict[str, str]:
    """Return the kinds that bars have, the seven expressions always, in order, and how each is called."""
    found = {kind for bar in bars for kind in bar.shares}
    return {kind: TITLES.get(kind, kind) for kind in ORDER if kind in COLOURS or kind in found}


def bars_of(clips: "pd.DataFrame", amounts: "pd.DataFrame", whole: Callable[[float], str]) -> list[Bar]:
    """Return a bar of all clips, and where there are several with something to show, one of each status and each condition.

    Args:
        clips: Table `clips` of the run.
        amounts: A row for each clip, in the same order, with a column for each kind; a bar is of their sum.
        whole: Says how much a sum is.
    """
    sums = {"all clips": amounts.sum()}
    for column in ("status", "condition"):
        values = clips[column].astype("string") if column in clips else clips["status"].iloc[:0]
        names = sorted(values.dropna().unique(), key=lambda name: (name != Status.OK, str(name)))
        of_name = {name: amounts[values.eq(name).fillna(False).to_numpy()].sum() for name in names}
        shown = {f"{column}: {name}": one for name, one in of_name.items() if one.sum()}
        sums |= shown if 1 < len(shown) <= _GROUPS else {}
    return [
        bar_of(name, {str(kind): float(amount) for kind, amount in one.items()}, whole(float(one.sum())))
        for name, one in sums.items()
        if one.sum()
    ]
