"""What a comparison counts: a row of seven numbers for each participant in each condition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

Measure = Literal["probability", "share-of-time", "baseline", "clip", "sound"]

MEANINGS: Final[Mapping[Measure, str]] = {
    "probability": "mean probability over the seconds with a usable face",
    "share-of-time": "share of the seconds with a usable face in which the expression is predominant",
    "baseline": "mean probability against the person's own reference, over the seconds with a usable face",
    "clip": "probability of the clip's answer, from faces and sound",
    "sound": "probability of the clip's sound",
}

_SHOWN: Final = 5


@dataclass(frozen=True)
class Units:
    """Values of each unit in each condition.

    Args:
        name: What a unit is: a column such as `participant`, `person`, or `clip`.
        values: Seven columns, in the order of `EMOTIONS`; the index has the levels `condition` and `unit`.
        conditions: In order.
        notes: What was left out, in sentences.
    """

    name: str
    values: "pd.DataFrame"
    conditions: tuple[str, ...]
    notes: tuple[str, ...]


def read_units(
    tables: "Mapping[str, pd.DataFrame]", by: str, within: str | None = None, measure: Measure = "probability"
) -> Units:
    """Average a run's rows: seconds over each clip, people of a clip, then clips of a unit in a condition.

    Args:
        tables: `seconds` and `clips` of a run.
        by: Column of `clips` with the condition.
        within: Column of `clips` with the unit, or `person`; by default `participant`, and where clips have none, each person is
            a unit, or each clip where the measure is not of faces.
        measure: See `MEANINGS`.

    Raises:
        UsageError: A column is not there or empty, or there is nothing to compare.
    """
    clips = tables["clips"].set_index("clip_id")
    condition = _column(clips, by)
    shares = measured(tables, measure)
    notes = _lost(clips.index[condition.isna()], f"without {by}")
    notes += _lost(clips.index[~clips.index.isin(shares["clip_id"]) & condition.notna()], _lacking(measure))
    unit = within or ("participant" if "participant" in clips and clips["participant"].notna().any() else None)
    if unit and unit != "person":
        names = _column(clips, unit)
        notes += _lost(clips.index[names.isna() & condition.notna()], f"without {unit}")
        crowded = shares.groupby("clip_id")["person_id"].nunique()
        if (crowded > 1).any():
            where = some(crowded.index[crowded > 1])
            notes.append(f"several people are shown in {where}: their mean counts as the {unit}'s")
        name, shares["unit"] = unit, shares["clip_id"].map(names)
    else:
        name = "person" if shares["person_id"].notna().any() else "clip"
        if unit and name == "clip":
            raise UsageError(f"--measure {measure} is of clips, not of persons: --within takes a column of the clips")
        shares["unit"] = shares["person_id"] if name == "person" else shares["clip_id"]
        notes += [] if unit else [f"clips have no participants: each {name} counts as one"]
    shares["condition"] = shares["clip_id"].map(condition)
    kept = shares.dropna(subset=["condition", "unit"])
    if kept.empty:
        raise UsageError(f"nothing to compare by {by}: {'; '.join(notes)}")
    by_clip = kept.groupby(["condition", "unit", "clip_id"])[list(EMOTIONS)].mean()
    values = by_clip.groupby(["condition", "unit"]).mean()
    return Units(name, values, _ordered(kept["condition"], clips[by]), tuple(notes))


def _column(clips: "pd.DataFrame", name: str) -> "pd.Series[str]":
    """Return a column of `clips` as texts."""
    if name not in clips:
        from vidfer.results.schema import TABLES

        own = {column.name for column in TABLES["clips"]}
        given = (
            ", ".join(column for column in clips.columns if column not in own)
            or "none (name a file of them by --participants when you analyse)"
        )
        raise UsageError(f"the run's clips have no column {name}; those of the study are: {given}")
    if clips[name].isna().all():
        raise UsageError(f"the column {name} of the run's clips is empty")
    return clips[name].astype("string")


def _ordered(found: "pd.Series[str]", column: "pd.Series[str]") -> tuple[str, ...]:
    """Sort conditions as what they are: numbers by size, texts by the alphabet."""
    texts = set(found)
    return tuple(dict.fromkeys(str(each) for each in sorted(column.dropna().unique()) if str(each) in texts))


def measured(tables: "Mapping[str, pd.DataFrame]", measure: Measure) -> "pd.DataFrame":
    """Return `clip_id`, `person_id` and seven numbers: a row for each person of a clip, or for each clip."""
    import pandas as pd

    if measure not in get_args(Measure):
        raise UsageError(f"there is no measure {measure}: there are {', '.join(get_args(Measure))}")
    if measure in ("clip", "sound"):
        prefix = "sound_" if measure == "sound" else ""
        rows = tables["clips"][["clip_id", *(f"{prefix}{name}" for name in EMOTIONS)]]
        rows = rows.set_axis(["clip_id", *EMOTIONS], axis=1).dropna().reset_index(drop=True)
        return rows.assign(person_id=pd.array([None] * len(rows), "string"))
    seconds = tables["seconds"]
    columns = [f"baseline_{name}" if measure == "baseline" else name for name in EMOTIONS]
    if columns[0] not in seconds:
        raise UsageError("the run has no columns baseline_*: run `vidfer analyze` with --baseline")
    seen = seconds[seconds[columns[0]].notna() & seconds["person_id"].notna()]
    values = seen[columns].set_axis(list(EMOTIONS), axis=1)
    if measure == "share-of-time":
        values = pd.DataFrame({name: seen["expression"].eq(name).astype("float64") for name in EMOTIONS})
    return values.groupby([seen["clip_id"], seen["person_id"]]).mean().reset_index()


def _lacking(measure: Measure) -> str:
    return {
        "clip": "without a prediction",
        "sound": "without speech that was classified",
        "baseline": "without a person who has a reference",
    }.get(measure, "without a usable face")


def _lost(clips: Iterable[object], why: str) -> list[str]:
    return [f"left out, {why}: {named}"] if (named := some(clips)) else []


def some(names: Iterable[object]) -> str:
    """Name the first few."""
    texts = list(map(str, names))
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
