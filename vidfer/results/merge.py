"""Tables of a clip in which tracked persons are who they are: ids, names, and tracks of one person as one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vidfer.inference.decision import predominant
from vidfer.results.design import ClipDesign, smooth_again
from vidfer.results.frames import NOBODY, lay_out
from vidfer.results.people import People
from vidfer.results.pictures import Pictures
from vidfer.results.repool import probabilities, repool
from vidfer.results.schema import TABLES, typed
from vidfer.results.tables import Report, TableOptions, build_tables, person_id, record
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

_OF_TIME: Final = ("clip_id", "frame", "time_s", "status", "marker", "excluded")
"""Columns of `frames` that a time has also where there is no face."""

_OF_TRACK: Final = ("clip_id", "person_id", "name", "same_as", "person", "best_s", "thumbnail")
"""Columns of `people` that a track keeps whose face images count for another row."""


def apply_people(
    tables: "Tables", people: People, summary: Mapping[str, Any]
) -> "tuple[dict[str, pd.DataFrame], list[str]]":
    """Return a clip's tables with the ids and names of `people`, and what to know about that.

    Tracks of one person become one: gaps, smoothing, seconds, segments, and what is predicted of the person and the clip are
    made again from the rows of the face images. In `people`, the first of these tracks has the values of all; the others have
    none but those that say who they are.

    Args:
        tables: As analysed, see `build_tables`.
        people: Who is who in the run.
        summary: What the clip's `summary.json` holds.
    """
    first: dict[str, str] = {}  # of each id, the first track of this clip that has it
    seen = sorted(tables["frames"]["person_id"].dropna().unique(), key=number_of)
    tracks = {one: first.setdefault(people.of(one), one) for one in seen}
    found, notes = dict(tables), list[str]()
    if any(one != other for one, other in tracks.items()):
        found, notes = _merge(tables, tracks, summary)
    return {name: _named(name, rows, people) for name, rows in found.items()}, notes


def number_of(tracked: str) -> int:
    """Return a person's number in the clip."""
    return int(tracked.rpartition("#")[2])


def _named(table: str, rows: "pd.DataFrame", people: People) -> "pd.DataFrame":
    """Give rows with ids as tracked the ids of the run, and their names."""
    import pandas as pd

    if table == "people":
        keys = zip(rows["clip_id"], rows["person"], strict=True)
        links = [people.links.get(person_id(clip, number)) for clip, number in keys]
        rows = rows.assign(linked_to=pd.array(links, "string"))
    ids = rows["person_id"].map(people.of, na_action="ignore").astype("string")
    rows = rows.assign(person_id=ids)
    if "person_name" in rows:
        rows = rows.assign(person_name=ids.map(people.names.get, na_action="ignore").astype("string"))
    return rows


def _merge(
    tables: "Tables", tracks: Mapping[str, str], summary: Mapping[str, Any]
) -> "tuple[dict[str, pd.DataFrame], list[str]]":
    """Return a clip's tables in which each track has the id that `tracks` has for it, that of a track of the clip."""
    import pandas as pd

    settings, clip_id = summary["settings"], str(tables["clips"]["clip_id"].iloc[0])
    frames, twice = join_tracks(tables["frames"], tracks)
    frames = smooth_again(frames, settings["abstain"])
    before = tables["people"]
    trained = settings["faces"] == "trained"
    pooled, _ = repool({**tables, "frames": frames}, settings)
    people = _people(before, pooled["people"], tracks, settings["abstain"] if trained else None, trained=trained)
    number = frames["person_id"].map(number_of, na_action="ignore").astype("Int64")
    report = Report(
        summary,
        _of_schema("frames", frames).assign(person=number),
        _of_schema("people", people),
        _of_schema("windows", tables["windows"]),
        Pictures(dict.fromkeys(before["person"][before["thumbnail"].notna()], b"")),
    )
    built_with = summary.get("tables") or record()
    design = ClipDesign.recall(clip_id, built_with, tables["clips"])
    built = build_tables(report, clip_id, TableOptions(built_with["grid"], built_with["min_segment"]), design)
    absorbed = before[[one != tracks[one] for one in before["person_id"]]]
    kept = [*_OF_TRACK, *(name for name in design.study.kinds)]
    rows = pd.concat([built["people"], absorbed.assign(person_id=absorbed["person_id"].map(tracks))[kept]])
    clips = pooled["clips"]
    if trained or settings["fusion"] == "trained":
        ids = sorted(set(tracks.values()))
        alone = ids[0] if len(ids) == 1 else None
        clips = tables["clips"].assign(n_people=len(ids), person_id=pd.array([alone], "string"))
    return {
        **{name: built[name] for name in ("frames", "seconds", "segments", "windows")},
        "people": typed("people", rows.sort_values("person", kind="stable", ignore_index=True)),
        "clips": typed("clips", clips),
    }, _notes(clip_id, twice, trained=trained)


def _of_schema(table: str, rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return the columns that a report has, without those of a study or the run."""
    return rows[[column.name for column in TABLES[table] if column.name in rows]]


def _notes(clip_id: str, twice: int, *, trained: bool) -> list[str]:
    notes = []
    if twice:
        notes.append(
            f"{clip_id}: tracks that are said to be one person are seen at the same {twice} "
            f"time{'' if twice == 1 else 's'}: both rows stay"
        )
    if trained:
        notes.append(f"{clip_id}: the mean of the tracks, by their face images, stands for the faces model's answer")
    return notes


def _people(
    before: "pd.DataFrame",
    pooled: "pd.DataFrame",
    tracks: Mapping[str, str],
    abstain: float | None,
    *,
    trained: bool,
) -> "pd.DataFrame":
    """Return a row for each person: that of the one track as it was, or the pooled one."""
    import pandas as pd

    who = before["person_id"].map(tracks)
    joined = who[who.duplicated()].unique()
    new = pooled[pooled["person_id"].isin(joined)].copy()
    if trained:
        for row, person in new["person_id"].items():
            own = before[who == person]
            mean = np.average(probabilities(own), axis=0, weights=own["n_faces"].to_numpy(np.float64))
            new.loc[row, list(EMOTIONS)] = mean
            new.loc[row, ["predominant", "margin"]] = predominant(mean, abstain)
    return pd.concat([before[~who.isin(joined)], new]).sort_values("person", kind="stable", ignore_index=True)


def join_tracks(frames: "pd.DataFrame", tracks: Mapping[str, str]) -> "tuple[pd.DataFrame, int]":
    """Give the rows of tracks the ids that `tracks` has for them, and the panel its shape again; what is smoothed stays as it is.

    A row for each sampled time from a person's first face image to the last, for each person; a time of nobody has one row. Where
    two face images of one person are of one time, both stay; the number of these times is returned, too.
    """
    import pandas as pd

    times, place = np.unique(frames["frame"].to_numpy(int), return_inverse=True)
    ids = frames["person_id"].map(tracks, na_action="ignore")
    who, people = pd.factorize(ids)
    face = frames["x0"].notna().to_numpy()
    rows = pd.DataFrame({"row": np.arange(len(frames)), "who": who, "place": place, "face": face})
    seen = rows[rows["face"]].groupby("who")["place"]
    first, last = seen.min().to_numpy(), seen.max().to_numpy()
    persons, places = lay_out(first, last, len(times))
    images = rows[rows["face"]]
    gaps = rows[~rows["face"] & (rows["who"] != NOBODY)].drop_duplicates(["who", "place"])
    nobody = rows[rows["who"] == NOBODY]
    at = images.groupby(["who", "place"]).size()
    panel = pd.DataFrame({"who": persons, "place": places})
    found = panel.merge(images[["who", "place", "row"]], "left", ["who", "place"])
    own = found.merge(gaps[["who", "place", "row"]], "left", ["who", "place"])["row_y"]
    free = found.merge(nobody[["place", "row"]], "left", "place")["row_y"]
    other = found.merge(rows.drop_duplicates("place")[["place", "row"]], "left", "place")["row_y"]
    blank = found["row"].isna().to_numpy()
    source = found["row"].fillna(own).fillna(free).fillna(other).to_numpy(int)
    joined = frames.iloc[source].reset_index(drop=True)
    of_faces = [name for name in map(str, frames) if name not in _OF_TIME and not _is_constant(name)]
    joined[of_faces] = joined[of_faces].where(pd.Series(~blank))
    borrowed = blank & own.isna().to_numpy() & free.isna().to_numpy()
    joined.loc[borrowed & (joined["status"] != "too_dark").to_numpy(), "status"] = "no_face"
    joined["person_id"] = pd.array([None if one == NOBODY else people[one] for one in found["who"]], "string")
    return joined, int((at > 1).sum())


def _is_constant(name: str) -> bool:
    """Tell whether a column is one of a study, the same for all rows of the clip."""
    return name not in {column.name for column in TABLES["frames"]} and not name.startswith("baseline_")
