"""Shares of expressions as stacked bars of SVG, with the numbers beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vidfer.inference.decision import UNCERTAIN
from vidfer.results.colours import COLOURS
from vidfer.results.tally import NOTHING

if TYPE_CHECKING:
    import pandas as pd

ORDER: Final = (*COLOURS, UNCERTAIN, NOTHING)
"""From left to right."""

TITLES: Final = {NOTHING: "no answer"}
"""How a kind is called, where that is not its own name."""

_WIDTHS: Final = {"small": 300, "large": 500}
"""Px that a bar has at least on a small and a large screen."""

_SIGN: Final = 7.2  # px


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


def groups_of(clips: "pd.DataFrame") -> "dict[str, pd.Series[bool]]":
    """Return which clips a bar is of, by its name: all, and where there are several, each status and each condition."""
    import pandas as pd

    groups = {"all clips": pd.Series(True, clips.index)}
    for title, column in (("status", "status"), ("condition", "condition")):
        values = clips[column].dropna().astype("string") if column in clips else ()
        names = list(dict.fromkeys(values))
        if 1 < len(names) <= len(COLOURS) + 1:
            groups |= {f"{title}: {name}": clips[column].astype("string").eq(name).fillna(False) for name in names}
    return groups
