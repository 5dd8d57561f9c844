"""How displayed expressions are distributed over a run: a row of seven shares for each clip, person or condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vidfer.results.compare_units import Measure, measured, read_units
from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

BY: Final = ("clip", "person")
"""Groups that every run has; any other is a column of its clips."""


@dataclass(frozen=True)
class Distribution:
    """Seven shares of each group.

    Args:
        by: `clip`, `person`, or a column of the clips.
        unit: What was averaged with equal weight in a group, such as `participant`.
        groups: A row for each group: `label`, `n` of units, and the seven, which are means over the units.
        notes: What was left out, in sentences.
    """

    by: str
    unit: str
    groups: "pd.DataFrame"
    notes: tuple[str, ...] = ()


def distribution(
    tables: "Mapping[str, pd.DataFrame]", by: str = "clip", measure: Measure = "probability"
) -> Distribution:
    """Average a run's rows: seconds over each person of a clip, then these over each group.

    Args:
        tables: `seconds` and `clips` of a run, and `people`, from which persons have their names.
        by: `clip`; `person`; or a column of `clips` such as `condition`, in whose groups participants count alike.
        measure: See `vidfer.results.compare_units.MEANINGS`.

    Raises:
        UsageError: A column is not there, or nothing was measured.
    """
    if by not in BY:
        units = read_units(tables, by, None, measure)
        rows = units.values.groupby("condition")[list(EMOTIONS)].agg("mean").loc[list(units.conditions)]
        counts = units.values.groupby("condition").size()
        groups = rows.reset_index(names="label").assign(n=[int(counts[name]) for name in units.conditions])
        return Distribution(by, units.name, groups, units.notes)
    values = measured(tables, measure)
    key = f"{by}_id"
    if by == "person":
        values = values[values["person_id"].notna()]
    if values.empty:
        what = "the sound of no clip was classified" if measure == "sound" else "no face of the run was read"
        raise UsageError(
            f"there is nothing to show by {by}: {what}" if measure != "clip" else "no clip has a prediction"
        )
    found = values.groupby(key, sort=False)
    groups = found[list(EMOTIONS)].mean().assign(n=found.size())
    order = tables["clips"]["clip_id"] if by == "clip" else tables["people"]["person_id"].drop_duplicates()
    groups = groups.loc[[name for name in order if name in groups.index]]
    gone = len(tables["clips"]) - len(groups) if by == "clip" else 0
    notes = (f"{gone} clip{'' if gone == 1 else 's'} left out: nothing was measured",) if gone else ()
    labels = _names(tables["people"]) if by == "person" else {}
    groups = groups.reset_index(names="label")
    groups["label"] = [labels.get(label, label) for label in groups["label"]]
    return Distribution(by, "person" if by == "clip" else "clip", groups, notes)


def _names(people: "pd.DataFrame") -> dict[str, str]:
    """Return what persons are called, by id: their name, and the id where it has none or several have the same."""
    named = people.dropna(subset="person_name").drop_duplicates("person_id").set_index("person_id")["person_name"]
    several = set(named[named.duplicated(keep=False)])
    return {str(one): f"{name} ({one})" if name in several else str(name) for one, name in named.items()}
