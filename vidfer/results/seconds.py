"""A regular grid in time: faces and sound beside each other."""

from typing import TYPE_CHECKING, Final

import numpy as np

from vidfer.media.quality import UNUSABLE
from vidfer.results.frames import NOBODY, lay_out
from vidfer.results.repool import counts
from vidfer.results.smoothing import most_probable
from vidfer.types import EMOTIONS, Status

if TYPE_CHECKING:
    import pandas as pd

_PADDING: Final = 0.1
"""Seconds by which codecs of sound pad a file, at most: they make no interval of their own."""


def count_intervals(until: float, last: float, grid: float) -> int:
    """Return how many intervals of `grid` s a clip has that lasts `until` s, with its last sampled time at `last` s."""
    padding = min(_PADDING, grid / 2)
    return max(int(np.ceil((until - padding) / grid - 1e-9)), int(np.floor(last / grid + 1e-9)) + 1)


def build_seconds(
    frames: "pd.DataFrame", windows: "pd.DataFrame", grid: float, until: float, abstain: float | None
) -> "pd.DataFrame":
    """Average faces and sound over intervals of `grid` s.

    Rows are those of table `frames`, with intervals for times: from a person's first to last interval; one row without a person
    where nobody's span lies; the only person has all.

    Args:
        frames: Table `frames` of one clip.
        windows: Table `windows` of the clip.
        grid: Length of an interval in s.
        until: End of the clip in s.
        abstain: Probability below which an expression is uncertain, or None.

    Returns:
        Columns of table `seconds` but those of the clip; no rows where there are neither frames nor windows.
    """
    import pandas as pd

    if frames.empty and windows.empty:
        return pd.DataFrame(index=range(0))
    time = frames["time_s"].to_numpy(float)
    length = count_intervals(until, time.max(initial=0), grid)
    place = np.floor(time / grid + 1e-9).astype(int)
    who, people = pd.factorize(frames["person_id"])
    known = who >= 0
    first, last = np.full(len(people), length), np.zeros(len(people), int)
    np.minimum.at(first, who[known], place[known])
    np.maximum.at(last, who[known], place[known])
    persons, places = lay_out(first, last, length)
    _, sampled = np.unique(frames["frame"].to_numpy(int), return_index=True)
    looked_at = np.bincount(place[sampled[counts(frames)[sampled]]], minlength=length)[places]
    usable, found = _means(frames, who * length + place, persons * length + places)
    ids = pd.array([None if person == NOBODY else people[person] for person in persons], "string")
    sound = _sound(windows, length, grid, abstain)
    return pd.DataFrame(
        {
            "person_id": ids,
            "start_s": places * grid,
            "end_s": (places + 1) * grid,
            "n_frames": looked_at,
            "usable_share": np.where(looked_at > 0, np.minimum(usable / np.maximum(looked_at, 1), 1), np.nan),
            "expression": most_probable(found, abstain),
            **{name: found[:, column] for column, name in enumerate(EMOTIONS)},
            **{f"sound_{name}": values[places] for name, values in sound.items()},
        }
    )


def _means(frames: "pd.DataFrame", of_faces: "np.ndarray", of_rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Return usable faces `(R,)` and their mean probabilities `(R, 7)`, given the cell of each face and of each row."""
    weight = frames["weight"].to_numpy(float, na_value=np.nan)
    raw = frames[list(EMOTIONS)].to_numpy(float, na_value=np.nan)
    counted = (weight >= UNUSABLE) & ~np.isnan(raw).any(axis=1) & counts(frames)
    order = np.argsort(of_rows)
    row = order[np.searchsorted(of_rows[order], of_faces[counted])]
    usable = np.bincount(row, minlength=len(of_rows)).astype(float)
    norm = np.bincount(row, weight[counted], minlength=len(of_rows))
    total = np.zeros((len(of_rows), len(EMOTIONS)))
    np.add.at(total, row, weight[counted, None] * raw[counted])
    with np.errstate(invalid="ignore"):
        return usable, total / norm[:, None]


def _sound(windows: "pd.DataFrame", length: int, grid: float, abstain: float | None) -> "dict[str, np.ndarray]":
    """Average the windows over each interval, weighted by their overlap: `status`, `expression` and the probabilities."""
    raw = windows[list(EMOTIONS)].to_numpy(float, na_value=np.nan)
    total, norm = np.zeros((length, len(EMOTIONS))), np.zeros(length)
    status, longest = np.full(length, None, object), np.zeros(length)
    spans = windows[["start_s", "end_s"]].to_numpy(float)
    for (start, end), name, row in zip(spans, windows["status"], raw, strict=True):
        places = np.arange(int(start / grid), min(length, int(np.ceil(end / grid))))
        overlap = np.minimum(end, (places + 1) * grid) - np.maximum(start, places * grid)
        places, overlap = places[overlap > 1e-9], overlap[overlap > 1e-9]
        if name == Status.OK:
            total[places] += overlap[:, None] * row
            norm[places] += overlap
        more = overlap > longest[places]
        longest[places[more]], status[places[more]] = overlap[more], name
    status[norm > 0] = Status.OK.value
    with np.errstate(invalid="ignore"):
        mean = total / norm[:, None]
    named = most_probable(mean, abstain)
    return {"status": status, "expression": named, **{name: mean[:, i] for i, name in enumerate(EMOTIONS)}}
