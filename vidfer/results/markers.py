"""Markers: named stretches of time of a clip, some of which do not count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vidfer.results.sheets import ClipNames, Sheet, read_sheet
from vidfer.types import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

EVERY_CLIP: Final = frozenset({"", "*"})
EXCLUDE: Final = "exclude"

_SLACK: Final = 1e-6
"""Seconds by which times may miss each other: sums of intervals are not exact."""

_YES: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "1", "yes", "y", "x"), True),
    **dict.fromkeys(("false", "0", "no", "n", ""), False),
}


@dataclass(frozen=True)
class Marker:
    """A named stretch of time, from `start` s up to, but without, `end` s."""

    name: str
    start: float
    end: float
    exclude: bool = False

    def touches(self, start: "npt.NDArray[np.floating]", end: "npt.NDArray[np.floating]") -> "npt.NDArray[np.bool_]":
        """Say which stretches `[start, end)` share time with it; those of no length where they lie within."""
        within = (start >= self.start - _SLACK) & (start < self.end - _SLACK)
        return np.asarray(
            np.where(end > start, np.minimum(end, self.end) - np.maximum(start, self.start) > _SLACK, within)
        )


@dataclass(frozen=True)
class Markers:
    """The markers of the clips of a run, by clip; of all clips those under `every`; and what does not fit, in sentences."""

    by_clip: Mapping[str, tuple[Marker, ...]]
    every: tuple[Marker, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names of the markers of all clips."""
        return {marker.name for own in (*self.by_clip.values(), self.every) for marker in own}

    def of(self, clip_id: str) -> tuple[Marker, ...]:
        """Return a clip's markers by start."""
        return tuple(
            sorted((*self.by_clip.get(clip_id, ()), *self.every), key=lambda marker: (marker.start, marker.end))
        )


def read_markers(path: Path, clips: Mapping[str, Path]) -> Markers:
    """Read a file of markers: `clip` (empty or `*` for all clips), `name`, `start` and `end` in s, and `exclude` if wanted.

    A marker excludes its time where `exclude` says so (true, yes, 1, x) or its name is `exclude` or begins with `exclude:`. An
    empty start is the clip's beginning, an empty end its end.

    Raises:
        UsageError: The file cannot be read, names no clip of the run, or a row has no name, or times that cannot be.
    """
    sheet = read_sheet(path, ["clip", "name", "start", "end"], [EXCLUDE]).with_points(("clip", "name", EXCLUDE))
    names, every = ClipNames(clips, path), list[Marker]()
    by_clip: dict[str, list[Marker]] = {}
    unknown = []
    for line, row in sheet.rows:
        marker = _marker(sheet, line, row)
        if row["clip"] in EVERY_CLIP:
            every.append(marker)
        elif clip := names.find(row["clip"], line):
            by_clip.setdefault(clip, []).append(marker)
        else:
            unknown.append((line, row["clip"]))
    notes = names.unmatched(unknown)
    if unknown and not by_clip and not every:
        raise UsageError(
            f"{notes[0]}: none of its rows does; clips are named by their files, such as {next(iter(clips))}"
        )
    return Markers({clip: tuple(own) for clip, own in by_clip.items()}, tuple(every), tuple(notes))


def _marker(sheet: Sheet, line: int, row: Mapping[str, str]) -> Marker:
    where, name = f"{sheet.path}, line {line}", row["name"]
    if not name:
        raise UsageError(f"{where}: the marker has no name")
    said = row.get(EXCLUDE, "").lower()
    if said not in _YES:
        raise UsageError(f"{where}: exclude is '{row[EXCLUDE]}', neither true nor false")
    start, end = (_second(where, row[column], otherwise) for column, otherwise in (("start", 0.0), ("end", np.inf)))
    if not 0 <= start < end:
        raise UsageError(
            f"{where}: {name} lasts from {start:g} to {end:g} s: start has to be 0 or more, and end after it"
        )
    named = name.lower() == EXCLUDE or name.lower().startswith(f"{EXCLUDE}:")
    return Marker(name, start, end, _YES[said] or named)


def _second(where: str, cell: str, otherwise: float) -> float:
    try:
        return float(cell) if cell else otherwise
    except ValueError as error:
        raise UsageError(f"{where}: '{cell}' is no number of seconds, such as 12.5") from error


def mark(rows: "pd.DataFrame", markers: Sequence[Marker]) -> "pd.DataFrame":
    """Add column `marker`: the names of the markers that a row's time touches, joined by `; `.

    Args:
        rows: Rows of table `frames`, `seconds`, `segments` or `windows` of one clip.
        markers: The clip's.
    """
    import pandas as pd

    names: list[dict[str, None]] = [{} for _ in range(len(rows))]
    for marker in markers:
        for row in np.flatnonzero(marker.touches(*_times(rows))):
            names[row][marker.name] = None
    return rows.assign(marker=pd.array(["; ".join(own) or None for own in names], "string"))


def excluded(rows: "pd.DataFrame", markers: Sequence[Marker], keep: str = "") -> "npt.NDArray[np.bool_]":
    """Say which rows of `frames` or `windows` a marker excludes, those of the name `keep` aside.

    What a window of sound that reaches into an excluded time heard is not known by parts: all of it is excluded.
    """
    return _touched(rows, [marker for marker in markers if marker.exclude and marker.name != keep])


def within(rows: "pd.DataFrame", markers: Sequence[Marker], name: str) -> "npt.NDArray[np.bool_]":
    """Say which rows of `frames` lie within a marker of a name."""
    return _touched(rows, [marker for marker in markers if marker.name == name])


def outside(markers: Sequence[Marker], end: float) -> list[str]:
    """Say which markers begin after a clip has ended, at `end` s."""
    late = [f"{marker.name} ({marker.start:g} s)" for marker in markers if marker.start >= end - _SLACK]
    return [f"markers begin after the end of the clip: {', '.join(late)}"] if late else []


def _touched(rows: "pd.DataFrame", markers: Sequence[Marker]) -> "npt.NDArray[np.bool_]":
    found = np.zeros(len(rows), bool)
    for marker in markers:
        found |= marker.touches(*_times(rows))
    return found


def _times(rows: "pd.DataFrame") -> "tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]":
    """Return when each row begins and ends in s: a frame at once."""
    begin, end = ("time_s", "time_s") if "time_s" in rows else ("start_s", "end_s")
    return rows[begin].to_numpy(np.float64), rows[end].to_numpy(np.float64)
