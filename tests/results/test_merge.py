"""Tracks that are said to be one person, against the tables of a clip in which they were one from the start."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.results.made import faces_of, report_of, times_of, windows_of
from vidfer.inference.decision import predominant
from vidfer.results.baseline import Baseline
from vidfer.results.design import ClipDesign
from vidfer.results.frames import build_frames
from vidfer.results.markers import Marker
from vidfer.results.merge import apply_people
from vidfer.results.people import People
from vidfer.results.repool import repool
from vidfer.results.schema import typed
from vidfer.results.study import Study
from vidfer.results.tables import TableOptions, build_tables
from vidfer.types import EMOTIONS

SETTINGS = {
    **{"abstain": None, "faces": "pool", "pool": "peaks", "pooled_temperature": 0.8, "fusion": "late"},
    **{"face_weight": 1.0, "sound_weight": 1.0, "sound": None},
}
CLIP = "holiday/a.mp4"
PLAIN = ClipDesign(CLIP)
MARKERS = (
    Marker("film", 1.0, 3.0),
    Marker("exclude: break", 4.0, 4.6, exclude=True),
    Marker("rest", 5.0, float("inf")),
)
FULL = ClipDesign(
    CLIP,
    Study({"condition": "string", "age": "int"}, {CLIP: {"condition": "calm", "age": 7}}),
    MARKERS,
    Baseline("neutral"),
)


def tracks_of(rng, *, overlap=False):
    """Make 2 to 5 tracks in a clip of 8 s, with random faces, and say which are the same person: the first one's number."""
    times, count = times_of(8), int(rng.integers(2, 6))
    free = rng.permutation(len(times))
    places = {}
    for number in range(1, count + 1):
        length = int(rng.integers(1, 9))
        places[number] = sorted(rng.permutation(len(times))[:length]) if overlap else sorted(free[:length])
        free = free[length:]
    order = sorted(places, key=lambda number: (places[number][0], number))
    faces = faces_of(times, **{f"p{at}": places[number] for at, number in enumerate(order, 1)})
    shares = rng.dirichlet(np.ones(7), len(faces))
    faces = faces.assign(weight=rng.choice([0.1, 0.5, 0.9], len(faces)), **dict(zip(EMOTIONS, shares.T, strict=True)))
    same = {number: int(rng.integers(1, number + 1)) for number in range(1, count + 1)}
    first = {}
    for number in same:
        first[number] = first.get(same[number], number)
    return times, faces, first


def tables_of(times, faces, design, settings, options):
    """Build a clip's tables, people and clip pooled from the frames, and the summary that its folder would have."""
    frames = build_frames(times, faces, settings["abstain"])
    report = report_of(frames, windows_of((0, 2), (2, 4)), settings=settings)
    report.summary["tables"] = {"grid": options.grid, "min_segment": options.min_segment, **design.record()}
    bare = build_tables(report, CLIP, options)
    pooled, _ = repool(bare, settings)
    people = pooled["people"][[*report.people.columns]]
    return build_tables(replace(report, people=people), CLIP, options, design), report.summary


def people_of(first):
    return People({f"{CLIP}#{one}": f"{CLIP}#{other}" for one, other in first.items() if one != other})


def equal(found, expected, but=()):
    found, expected = (rows.drop(columns=list(but)).reset_index(drop=True) for rows in (found, expected))
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9)


@pytest.mark.parametrize("design", [PLAIN, FULL], ids=["plain", "study"])
@pytest.mark.parametrize("seed", range(4))
def test_merged_tracks_are_as_if_they_had_been_one_from_the_start(seed, design):
    rng = np.random.default_rng(seed)
    times, faces, first = tracks_of(rng)
    settings = {**SETTINGS, "abstain": rng.choice([None, 0.3]), "faces": rng.choice(["pool", "vote"])}
    options = TableOptions(float(rng.choice([1.0, 0.5])), 0.1)
    tables, summary = tables_of(times, faces, design, settings, options)
    found, notes = apply_people(tables, people_of(first), summary)
    expected, _ = tables_of(times, faces.assign(person=faces["person"].map(first)), design, settings, options)
    for name in ("frames", "seconds", "segments", "windows"):
        equal(found[name], expected[name])
    counted = found["people"][found["people"]["n_faces"].notna()]
    equal(counted, expected["people"], but=("best_s", "thumbnail"))
    if any(one != other for one, other in first.items()):
        pooled, _ = repool(expected, settings)
        equal(found["clips"], pooled["clips"], but=("warnings",))
    assert {name: list(rows.dtypes) for name, rows in found.items()} == {
        name: list(rows.dtypes) for name, rows in tables.items()
    }
    assert notes == []


@pytest.mark.parametrize("seed", range(2))
def test_every_track_keeps_a_row_by_which_it_can_be_parted_again(seed):
    rng = np.random.default_rng(50 + seed)
    times, faces, first = tracks_of(rng, overlap=True)
    tables, summary = tables_of(times, faces, FULL, SETTINGS, TableOptions())
    found, _ = apply_people(tables, people_of(first), summary)
    rows = found["people"]
    assert rows["person"].tolist() == tables["people"]["person"].tolist()
    assert rows["person_id"].tolist() == [f"{CLIP}#{first[number]}" for number in rows["person"]]
    gone = rows["person"].map(first) != rows["person"]
    assert rows.loc[gone, ["n_faces", "predominant", *EMOTIONS]].isna().all(axis=None)
    assert (rows["condition"] == "calm").all()
    assert found["clips"]["n_people"].item() == len(set(first.values()))
    same, notes = apply_people(tables, People(), summary)
    assert notes == []
    for name, before in tables.items():
        equal(same[name], before)


@pytest.mark.parametrize("seed", range(2))
def test_face_images_of_one_time_both_stay_and_a_note_says_so(seed):
    rng = np.random.default_rng(80 + seed)
    times, faces, first = tracks_of(rng, overlap=True)
    tables, summary = tables_of(times, faces, PLAIN, SETTINGS, TableOptions())
    found, notes = apply_people(tables, people_of(first), summary)
    before, after = (rows["frames"][rows["frames"]["x0"].notna()] for rows in (tables, found))
    kept = ["time_s", *EMOTIONS]
    equal(*(rows[kept].sort_values(kept) for rows in (after, before)))
    twice = faces.assign(person=faces["person"].map(first)).duplicated(["person", "frame"], keep=False)
    count = faces[twice].assign(person=faces["person"].map(first)).groupby(["person", "frame"]).ngroups
    assert notes == (
        [
            f"{CLIP}: tracks that are said to be one person are seen at the same {count} "
            f"time{'' if count == 1 else 's'}: both rows stay"
        ]
        if count
        else []
    )
    gaps = found["frames"][found["frames"]["x0"].isna() & found["frames"]["person_id"].notna()]
    assert not gaps.duplicated(["person_id", "time_s"]).any()
    assert found["seconds"]["usable_share"].dropna().between(0, 1).all()


def test_what_a_faces_model_said_is_averaged_by_face_images():
    times = times_of(4)
    faces = faces_of(times, p1=[0, 1, 2], p2=[10])
    settings = {**SETTINGS, "faces": "trained"}
    tables, summary = tables_of(times, faces, PLAIN, settings, TableOptions())
    said = np.array([[0.7, 0.1, 0.1, 0.1, 0, 0, 0], [0, 0, 0, 0, 0, 0.2, 0.8]])
    tables["people"] = tables["people"].assign(**dict(zip(EMOTIONS, said.T, strict=True)))
    found, notes = apply_people(tables, people_of({1: 1, 2: 1}), summary)
    mean = (3 * said[0] + said[1]) / 4
    row = found["people"].iloc[0]
    np.testing.assert_allclose([row[name] for name in EMOTIONS], mean)
    assert (row["predominant"], row["margin"]) == predominant(mean)
    assert row["n_faces"] == 4
    equal(found["clips"], typed("clips", tables["clips"].assign(n_people=1, person_id=f"{CLIP}#1")))
    assert notes == [f"{CLIP}: the mean of the tracks, by their face images, stands for the faces model's answer"]


def test_ids_and_names_reach_every_table():
    times = times_of(4)
    tables, summary = tables_of(times, faces_of(times, p1=[0, 1, 2, 3, 4, 5, 6]), PLAIN, SETTINGS, TableOptions())
    other = "b.mp4#2"
    found, _ = apply_people(tables, People({f"{CLIP}#1": other}, {other: "Ann"}, {f"{CLIP}#1": other}), summary)
    for name in ("frames", "seconds", "segments", "people", "clips"):
        assert len(found[name])
        assert set(found[name]["person_id"]) == {other}
        assert set(found[name]["person_name"]) == {"Ann"}
    assert found["people"]["linked_to"].tolist() == [other]
    assert tables["people"]["person_id"].tolist() == [f"{CLIP}#1"]
