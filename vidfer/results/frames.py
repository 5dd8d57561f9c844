"""The panel of sampled times and persons, gaps included, with the reason for each."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.decision import UNCERTAIN
from vidfer.media.quality import UNUSABLE
from vidfer.results.schema import SMOOTH, typed
from vidfer.results.smoothing import most_probable, smooth
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.integer]

DARK: Final = 20.0
"""95th percentile of the gray levels, 0-255, below which a frame is too dark for a face to be found.

Of the faces of 60 photographs, darkened, 68 % were found where it was 32, 28 % where it was 20, 8 % where it was 16, and none at
12 (`benchmarks/dark_frames.py`).
"""

LEAVING: Final = 1.0
"""Seconds for which a face that has left the frame by its edge is missed; later it is just not there."""

NOBODY: Final = -1


def lay_out(first: Ints, last: Ints, length: int) -> tuple[Ints, Ints]:
    """Give each person a row for each place from the first to the last; places of nobody have one row without a person.

    Of the only person are all places.

    Args:
        first: `(P,)` first place of each person, in [0, length).
        last: `(P,)` last place.
        length: Number of places.

    Returns:
        Persons `(R,)`, in [0, P) or `NOBODY`, and places `(R,)`, ordered by place, then person.
    """
    if len(first) == 1:
        return np.zeros(length, int), np.arange(length)
    spans = [np.arange(start, end + 1) for start, end in zip(first, last, strict=True)]
    free = np.full(length, True)
    for span in spans:
        free[span] = False
    persons = np.concatenate([np.full(free.sum(), NOBODY), *(np.full(len(s), p) for p, s in enumerate(spans))])
    places = np.concatenate([np.flatnonzero(free), *spans])
    order = np.lexsort((persons, places))
    return persons[order], places[order]


def build_frames(times: "pd.DataFrame", faces: "pd.DataFrame", abstain: float | None) -> "pd.DataFrame":
    """Build the columns of table `frames` for one clip, with `person` (Int64, from 1) instead of ids.

    Args:
        times: A row for each sampled time, ascending: `frame`, `time_s`, `brightness` (95th percentile of the gray levels), `cut`
            (whether a scene begins there), `width` and `height` in px.
        faces: A row for each face image: `frame`, `person` (from 1 in order of appearance), and what table `frames` has of a
            face; the seven probabilities are NaN where it was not classified.
        abstain: Probability below which the expression is uncertain, or None.
    """
    import pandas as pd

    faces = _answered(faces.sort_values(["person", "frame"], kind="stable", ignore_index=True), abstain)
    place = np.searchsorted(times["frame"].to_numpy(), faces["frame"].to_numpy(int))
    people, who = np.unique(faces["person"].to_numpy(int), return_inverse=True)
    starts = np.searchsorted(who, np.arange(len(people)))
    ends = np.searchsorted(who, np.arange(len(people)), side="right") - 1
    persons, places = lay_out(place[starts], place[ends], len(times))
    rows = pd.Series(np.arange(len(faces)), index=pd.MultiIndex.from_arrays([who, place]))
    row = rows.reindex(pd.MultiIndex.from_arrays([persons, places])).fillna(-1).to_numpy(int)
    found = typed("frames", faces).drop(columns=["clip_id", "person_id", "person_name", "person"]).reindex(row)
    found = found.reset_index(drop=True)
    found["frame"] = pd.array(times["frame"].to_numpy(int)[places], "Int64")
    found["time_s"] = times["time_s"].to_numpy(float)[places]
    found["status"] = pd.array(_status(times, faces, place, who, persons, places, row), "string")
    number = np.append(people, -1)[persons]  # NOBODY is the last
    found["person"] = pd.array(number, "Int64")
    found.loc[persons == NOBODY, "person"] = pd.NA
    return found


def _answered(faces: "pd.DataFrame", abstain: float | None) -> "pd.DataFrame":
    """Add smoothed probabilities, and the names of what is most probable; faces are ordered by person and time."""
    import pandas as pd

    raw = faces[list(EMOTIONS)].to_numpy(float).reshape(-1, len(EMOTIONS))
    weight = faces["weight"].to_numpy(float)
    counted = np.where((weight >= UNUSABLE) & ~np.isnan(raw).any(axis=1), weight, 0)
    even = np.full_like(raw, np.nan)
    for rows in faces.groupby("person").indices.values():
        even[rows] = smooth(faces["time_s"].to_numpy(float)[rows], raw[rows], counted[rows])
    named = most_probable(raw, abstain)
    return faces.assign(
        expression=named,
        uncertain=pd.Series(named, dtype="string").eq(UNCERTAIN),
        smooth_expression=most_probable(even, abstain),
        **{f"{SMOOTH}{name}": even[:, column] for column, name in enumerate(EMOTIONS)},
    )


def _status(
    times: "pd.DataFrame", faces: "pd.DataFrame", place: Ints, who: Ints, persons: Ints, places: Ints, row: Ints
) -> npt.NDArray[Any]:
    """Say of each row of the panel whether a face was read, or why not."""
    worst = faces["flaws"].astype("string").str.split(",").str[0].fillna("").to_numpy(object)
    unusable = faces["weight"].to_numpy(float) < UNUSABLE
    of_face = np.full(len(faces), "face", object)
    of_face[unusable & (worst == "cut")] = "cut_by_edge"
    of_face[unusable & (worst == "dark")] = "too_dark"
    status = np.full(len(row), "no_face", object)
    gap = row < 0
    status[gap & _left(times, faces, place, who, persons, places)] = "cut_by_edge"
    status[gap & (times["brightness"].to_numpy(float)[places] < DARK)] = "too_dark"
    status[~gap] = of_face[row[~gap]]
    return status


def _left(
    times: "pd.DataFrame", faces: "pd.DataFrame", place: Ints, who: Ints, persons: Ints, places: Ints
) -> npt.NDArray[np.bool_]:
    """Which rows of the panel follow, within `LEAVING` and in the same scene, a box of that person at the frame's edge.

    Of times without anybody, a box of anybody.
    """
    at = {name: times[name].to_numpy(float) for name in ("time_s", "width", "height")}
    scene = np.cumsum(times["cut"].to_numpy(bool))
    box = {name: faces[name].to_numpy(float) for name in ("x0", "y0", "x1", "y1", "face_size")}
    margin = 0.02 * box["face_size"]
    edge = (box["x0"] <= margin) | (box["y0"] <= margin)
    edge |= (box["x1"] >= at["width"][place] - margin) | (box["y1"] >= at["height"][place] - margin)
    following = np.append(place[1:], len(times))
    following[np.append(who[1:] != who[:-1], True)[: len(place)]] = len(times)
    found = np.full(len(persons), False)
    for face in np.flatnonzero(edge & (following > place + 1)):
        begin, end = np.searchsorted(places, [place[face] + 1, following[face]])
        near = slice(begin, end)
        late = at["time_s"][places[near]] - at["time_s"][place[face]] > LEAVING
        same = (scene[places[near]] == scene[place[face]]) & np.isin(persons[near], [NOBODY, who[face]])
        found[near] |= same & ~late
    return found
