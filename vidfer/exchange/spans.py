"""What a clip shows, as named rows of stretches of time: what every program for annotations can hold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

_ILLEGAL: Final = re.compile("[^\t\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, production 2, and carriage returns, which readers turn into new lines."""


@dataclass(frozen=True)
class Span:
    """A text from `start` to `end`, both in ms, of which `end` is the greater."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Row:
    """Spans by start, none of which overlap.

    Args:
        name: One line, another one for each row of a clip.
        kind: Whether its texts are expressions or other words.
        spans: What happens.
        participant: The person's name, or nothing.
    """

    name: str
    kind: Literal["expression", "note"]
    spans: Sequence[Span] = field(default_factory=tuple)
    participant: str = ""


def legal(text: str) -> str:
    r"""Return a text that XML and WebVTT can hold: other control characters are escaped, as in `\x01`; new lines are `\n`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ILLEGAL.sub(lambda found: found[0].encode("unicode_escape").decode(), lines)


def line(text: str) -> str:
    """Return a legal text on one line."""
    return " ".join(legal(text).split())


def milliseconds(start: float, end: float) -> tuple[int, int]:
    """Round a stretch of time in s to ms; it lasts at least 1 ms."""
    begin = round(1000 * start)
    return begin, max(begin + 1, round(1000 * end))


def names_of(people: "pd.DataFrame") -> dict[str, str]:
    """Return what each person is called, by `person_id`, in order of appearance: the name in `people.csv`, or `person 1`."""
    rows = people.sort_values("person", kind="stable").drop_duplicates("person_id")
    named = rows["person_name"].fillna("").map(lambda text: legal(text).strip())
    return {
        str(one): name or f"person {number}"
        for one, name, number in zip(rows["person_id"], named, rows["person"], strict=True)
    }


def people_rows(tables: "Mapping[str, pd.DataFrame]") -> list[Row]:
    """Return a row for each person with the segments; what overlaps, of a person joined from two tracks, has a further row."""
    rows: list[Row] = []
    for person, name in names_of(tables["people"]).items():
        found = tables["segments"][tables["segments"]["person_id"] == person]
        spans = [
            Span(*milliseconds(start, end), str(text))
            for start, end, text in found[["start_s", "end_s", "expression"]].itertuples(index=False)
        ]
        rows += [Row(name, "expression", lane, name) for lane in lanes(spans) or [[]]]
    return _told_apart(rows)


def all_rows(tables: "Mapping[str, pd.DataFrame]", summary: Mapping[str, Any]) -> list[Row]:
    """Return the rows of the people, then those of the sound, the scenes between cuts, and the markers, where there are any."""
    end = clip_end(tables)
    cuts = [0.0, *(cut for cut in summary["media"].get("cuts_s", ()) if 0 < cut < end), end]
    scenes = [Span(*milliseconds(*times), f"scene {number}") for number, times in enumerate(pairwise(cuts), 1)]
    markers = [
        Span(*milliseconds(one["start"], end if one["end"] is None else one["end"]), legal(str(one["name"])))
        for one in (summary.get("tables") or {}).get("markers") or ()
        if one["start"] < end
    ]
    further = [
        *(Row("sound", "expression", spans) for spans in lanes(_sound(tables["seconds"]))),
        *([Row("scenes", "note", scenes)] if len(scenes) > 1 else []),
        *(Row("markers", "note", spans) for spans in lanes(markers)),
    ]
    return _told_apart([*people_rows(tables), *further])


def clip_end(tables: "Mapping[str, pd.DataFrame]") -> float:
    """Return when a clip ends, in s: the length that the file names, or the last time of a table."""
    ends = [float(tables[name]["end_s"].max()) for name in ("seconds", "segments", "windows")]
    known = [end for end in (float(tables["clips"]["duration_s"].max()), *ends) if end == end]
    return max(known, default=0.0)


def lanes(spans: Iterable[Span]) -> list[list[Span]]:
    """Sort spans by start into as few rows as keep those of a row apart."""
    found: list[list[Span]] = []
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        free = next((lane for lane in found if lane[-1].end <= span.start), None)
        if free is None:
            found.append([span])
        else:
            free.append(span)
    return found


def _sound(seconds: "pd.DataFrame") -> list[Span]:
    """Join neighbouring intervals with one answer of the sound."""
    rows = seconds.drop_duplicates("start_s").sort_values("start_s").dropna(subset=["sound_expression"])
    found: list[Span] = []
    for start, end, text in rows[["start_s", "end_s", "sound_expression"]].itertuples(index=False):
        begin, stop = milliseconds(start, end)
        if found and found[-1].text == text and begin - found[-1].end <= 1:
            begin = found.pop().start
        found.append(Span(begin, stop, str(text)))
    return found


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Give each row a name of one line that no other has."""
    taken: set[str] = set()
    found = []
    for row in rows:
        name, number = line(row.name), 1
        while name in taken:
            number += 1
            name = f"{line(row.name)} ({number})"
        taken.add(name)
        found.append(Row(name, row.kind, row.spans, row.participant))
    return found
