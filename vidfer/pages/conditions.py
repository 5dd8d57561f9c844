"""The conditions of a study, beside each other in the page of a run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidfer.results.compare import Comparison, compare
from vidfer.results.compare_text import Table, as_tables, describe
from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

BY, WITHIN = "condition", "participant"


@dataclass(frozen=True)
class Conditions:
    """What a page says of the conditions of a run.

    Args:
        title: What was averaged, in words; empty where nothing could be.
        chart: Names, numbers and intervals of the conditions, for the script.
        tables: Means, and differences of each pair.
        notes: What is to be known, or why nothing is compared, in sentences.
    """

    title: str = ""
    chart: dict[str, Any] | None = None
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def conditions_of(clips: "pd.DataFrame", means: "pd.DataFrame", own: list[str]) -> Conditions | None:
    """Compare the conditions of a run; None where there are none and no participants were given.

    Participants are compared with themselves where more than half of them have several conditions.

    Args:
        clips: Table `clips` of the run.
        means: `Tally.means`.
        own: Columns of `clips` that came from files of participants.
    """
    if BY not in clips or clips[BY].isna().all():
        others = ", ".join(name for name in own if name != WITHIN)
        why = "the file of participants has no column condition"
        why += f": vidfer compare RUN --by COLUMN compares by {others}" if others else ""
        return Conditions(notes=(why,)) if own else None
    within = WITHIN if _repeated(clips) else None
    try:
        found = compare({"seconds": means, "clips": clips}, BY, within)
    except UsageError as error:
        return Conditions(notes=(str(error),))
    notes = tuple(found.notes)
    if found.means[BY].nunique() < 2:
        only = f"there is only the condition {found.means[BY].iloc[0]}: nothing to compare it with"
        notes = (only, *notes)
    said = describe(found)
    return Conditions(said, _chart(found), tuple(as_tables(found)), notes)


def _repeated(clips: "pd.DataFrame") -> bool:
    if WITHIN not in clips:
        return False
    several = clips.dropna(subset=[WITHIN, BY]).groupby(WITHIN)[BY].nunique() > 1
    return len(several) > 0 and bool(several.mean() > 0.5)


def _chart(found: Comparison) -> dict[str, Any]:
    """Return the means as lists, an element for each expression; None for what is missing."""
    conditions = []
    for name, rows in found.means.groupby(BY, sort=False):
        at = rows.set_index("expression").loc[list(EMOTIONS)]
        values = {what: [None if one != one else round(one, 4) for one in at[what]] for what in ("mean", "low", "high")}
        conditions.append({"name": str(name), "n": int(rows["n"].iloc[0]), **values})
    return {"expressions": list(EMOTIONS), "conditions": conditions}
