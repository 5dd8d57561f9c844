"""Compare the conditions of a study: means over participants with intervals, differences, effect sizes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from vidfer.results.compare_units import Measure, Units, read_units, some
from vidfer.results.statistics import FOR_BCA, d_z, hedges_g, holm, interval_of_mean, paired_t, welch_t
from vidfer.types import DISPLAYED, EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

MOST: Final = 8
"""Conditions that are compared at most: each pair makes seven tests."""


@dataclass(frozen=True)
class Comparison:
    """Means of conditions, and how they differ.

    Args:
        by: Column that names the conditions.
        measure: What was averaged, see `MEANINGS`.
        unit: What is counted: `participant` or another column, `person`, or `clip`.
        repeated: Whether units were compared with themselves.
        means: A row for each condition and expression: `condition`, `expression`, `n`, `mean`, `low`, `high`, `interval`, the
            method of the 95 % interval; missing ends where n is 1.
        differences: A row for each pair and expression: `first`, `second`, `expression`, `n_first`, `n_second`, `difference`
            (first minus second), `low`, `high`, `effect_size` (its name), `effect`, `effect_low`, `effect_high`, `t`, `df`, `p`,
            and `p_holm`, corrected for the seven expressions.
        notes: What to know, in sentences.
    """

    by: str
    measure: Measure
    unit: str
    repeated: bool
    means: "pd.DataFrame" = field(repr=False)
    differences: "pd.DataFrame" = field(repr=False)
    notes: tuple[str, ...]


def compare(
    tables: "Mapping[str, pd.DataFrame]", by: str, within: str | None = None, measure: Measure = "probability"
) -> Comparison:
    """Compare the conditions that a column of the clips names.

    The unit of analysis is the participant: clips of one participant in one condition are averaged first. With `within`, each
    pair of conditions is compared within those who have both; else as independent groups.

    Args:
        tables: `seconds` and `clips` of a run.
        by: Column with the conditions, such as `condition`.
        within: Column with those who are compared with themselves, such as `participant`.
        measure: See `MEANINGS`.

    Raises:
        UsageError: A column is not there, or there is nothing to compare, or more than `MOST` conditions.
    """
    if by == within:
        raise UsageError(f"conditions cannot be compared within themselves: --by and --within both are {by}")
    units = read_units(tables, by, within, measure)
    if len(units.conditions) > MOST:
        raise UsageError(
            f"{by} has {len(units.conditions)} values, of which at most {MOST} can be compared: group them first"
        )
    of_row = units.values.index.get_level_values("condition")
    samples = {condition: units.values[of_row == condition].droplevel(0) for condition in units.conditions}
    means, differences, notes = _means(samples), [], [*units.notes, *_repeats(samples, units.name, within)]
    for first, second in combinations(units.conditions, 2):
        pair = _pair(samples[first], samples[second], within is not None)
        names = f"{first} and {second}"
        if within and (alone := sorted(set(samples[first].index) ^ set(samples[second].index))):
            notes.append(f"of {names}, left out since they are in one only: {some(alone)}")
        if pair is None:
            few = "fewer than two in both" if within else "fewer than two in one of them"
            notes.append(f"no comparison of {names}: {units.name}s are {few}")
        else:
            differences.append(pair.assign(first=first, second=second))
    notes += [*_twice(tables["clips"]), *_cautions(samples, units, differences)]
    return Comparison(by, measure, units.name, within is not None, means, _joined(differences), tuple(notes))


def _means(samples: "Mapping[str, pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    parts = []
    for condition, rows in samples.items():
        values = rows.to_numpy(np.float64)
        low, high, method = interval_of_mean(values)
        ends = {"n": len(rows), "mean": values.mean(0), "low": low, "high": high, "interval": method or pd.NA}
        parts.append(pd.DataFrame({"condition": condition, "expression": EMOTIONS, **ends}))
    return pd.concat(parts, ignore_index=True).astype({"interval": "string"})


def _pair(first: "pd.DataFrame", second: "pd.DataFrame", repeated: bool) -> "pd.DataFrame | None":
    """Compare two samples; None where one has fewer than two units."""
    import pandas as pd

    if repeated:
        both = first.index.intersection(second.index).sort_values()
        first, second = first.loc[both], second.loc[both]
    if min(len(first), len(second)) < 2:
        return None
    values = first.to_numpy(np.float64), second.to_numpy(np.float64)
    test, effect = (paired_t, d_z) if repeated else (welch_t, hedges_g)
    columns = {**vars(test(*values)), **vars(effect(*values))}
    name = "d_z" if repeated else "Hedges' g"
    sizes = {"n_first": len(first), "n_second": len(second), "effect_size": name}
    return pd.DataFrame({"expression": EMOTIONS, **sizes, **columns, "p_holm": holm(columns["p"])})


_COLUMNS: Final = (
    *("first", "second", "expression", "n_first", "n_second", "difference", "low", "high"),
    *("effect_size", "effect", "effect_low", "effect_high", "t", "df", "p", "p_holm"),
)


def _joined(pairs: "list[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat(pairs, ignore_index=True)[list(_COLUMNS)] if pairs else pd.DataFrame(columns=list(_COLUMNS))


def _repeats(samples: "Mapping[str, pd.DataFrame]", unit: str, within: str | None) -> list[str]:
    """Say where units are compared as if they were different ones and are not."""
    if within:
        return []
    times = Counter(name for rows in samples.values() for name in rows.index)
    several = sum(count > 1 for count in times.values())
    if not several:
        return []
    remedy = (
        f"--within {unit} compares them with themselves"
        if unit != "person"
        else "--within takes a column that names them"
    )
    who = f"{several} {unit}s are" if several > 1 else f"1 {unit} is"
    return [f"{who} in several conditions, and count there as different ones: {remedy}"]


def _twice(clips: "pd.DataFrame") -> list[str]:
    """Name files that are in the run as several clips, such as `a.mp4` and, by its folder, `clips/a.mp4`."""
    if "source_blake3" not in clips:
        return []
    known = clips[clips["source_blake3"].notna()]
    same = [" = ".join(sorted(rows["clip_id"])) for _, rows in known.groupby("source_blake3") if len(rows) > 1]
    return [f"the same file is in the run more than once, and each counts: {some(sorted(same))}"] if same else []


def _cautions(samples: "Mapping[str, pd.DataFrame]", units: Units, pairs: "list[pd.DataFrame]") -> list[str]:
    alone = [condition for condition, rows in samples.items() if len(rows) < 2]
    few = [condition for condition, rows in samples.items() if 2 <= len(rows) < FOR_BCA]
    said = []
    if alone:
        said.append(f"no interval for {some(alone)}: one {units.name} only")
    if few:
        said.append(
            f"fewer than {FOR_BCA} {units.name}s in {', '.join(few)}: bootstrap intervals of so few are too narrow"
        )
    made = sum(int(pair["p"].notna().sum()) for pair in pairs)
    if made < len(EMOTIONS) * len(pairs):
        said.append(f"no test is made where no {units.name} differs from another")
    if made:
        counted = "1 test was made" if made == 1 else f"{made} tests were made"
        among = "those of each pair" if len(pairs) > 1 else "these"
        said.append(f"{counted}; p (Holm) is corrected for {among}, not for other analyses")
    return [*said, DISPLAYED]
