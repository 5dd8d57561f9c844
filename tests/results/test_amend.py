"""A summary after an exclusion says what the clip's stage would have said of the rest."""

import numpy as np
import pytest

from tests.results.made import faces_of, report_of, times_of, windows_of
from tests.results.test_design import SETTINGS
from vidfer.results.amend import amended
from vidfer.results.design import ClipDesign
from vidfer.results.frames import build_frames
from vidfer.results.markers import Marker
from vidfer.results.tables import build_tables
from vidfer.types import EMOTIONS


def made(markers, abstain=None):
    """Two people, happy and then sad, with sound."""
    times = times_of(4)
    faces = faces_of(times, p1=[*range(20)], p2=[*range(6, 9)])
    faces.loc[faces["time_s"] >= 2, ["happy", "sad"]] = [0.1, 0.4]
    report = report_of(
        build_frames(times, faces, abstain), windows_of((0, 2), (1, 3), (2, 4), sad=0.5), settings=SETTINGS
    )
    tables = build_tables(report, "a", None, ClipDesign("a", markers=markers))
    return report.summary, tables


def test_without_an_exclusion_nothing_changes():
    for markers in (None, (), (Marker("film", 1, 2),)):
        summary, tables = made(markers)
        assert amended(summary, tables) == summary


def test_predictions_and_counts_are_those_of_the_tables():
    summary, tables = made((Marker("exclude", 2, 9, exclude=True),))
    found, clip = amended(summary, tables), tables["clips"].iloc[0]
    for part, prefix in (("fused", ""), ("faces", "faces_"), ("sound", "sound_")):
        shares = [clip[f"{prefix}{name}"] for name in EMOTIONS]
        np.testing.assert_allclose(list(found[part]["distribution"].values()), shares, atol=1e-6)
        assert found[part]["predominant"] == clip[f"{prefix}predominant"]
        assert found[part]["status"] == "ok"
    assert found["predominant"] == clip["predominant"]
    assert (found["fused"]["method"], found["modalities"]) == ("late", ["faces", "sound"])
    assert (found["faces"]["n_frames"], found["faces"]["n_faces"], found["sound"]["n_windows"]) == (10, 13, 1)
    assert found["faces"]["vote"]["predominant"] == "happy"
    assert [(one["person"], one["n_faces"], one["last_s"]) for one in found["people"]] == [(1, 10, 1.8), (2, 3, 1.6)]
    assert found["people"][0]["distribution"]["sad"] == pytest.approx(0.1)


def test_where_all_is_excluded_there_is_no_prediction():
    summary, tables = made((Marker("exclude", 0, 9, exclude=True),))
    found = amended(summary, tables)
    assert (found["predominant"], found["modalities"], found["people"]) == (None, [], [])
    for part in ("faces", "sound", "fused"):
        assert (found[part]["predominant"], found[part]["distribution"]) == (None, None)
    assert (found["fused"]["method"], found["faces"]["vote"]) == (None, None)
