"""A study laid over all tables of a clip."""

import numpy as np
import pandas as pd
import pytest

from tests.results.made import dtypes, faces_of, named, report_of, summary_of, times_of, windows_of
from vidfer.results.baseline import Baseline
from vidfer.results.design import ClipDesign, Design, StudyOptions, read_design
from vidfer.results.frames import build_frames
from vidfer.results.markers import Marker
from vidfer.results.schema import OPTIONAL, TABLES
from vidfer.results.study import Study
from vidfer.results.tables import NO_MEDIA, Report, build_tables
from vidfer.types import EMOTIONS, UsageError

SETTINGS = {
    **{"faces": "pool", "pool": "mean", "abstain": None, "sound": "pool", "fusion": "late"},
    **{"pooled_temperature": 1.0, "face_weight": 1.0, "sound_weight": 1.0},
}
STUDY = Study({"participant": "string", "age": "int"}, {"a": {"participant": "07", "age": 30}})


def report(seconds=4, sad_from=2.0, **changed):
    """One person at 5 faces a second, happy at first, then sad; windows of 2 s."""
    times = times_of(seconds)
    faces = faces_of(times, p1=list(range(len(times))))
    late = faces["time_s"] >= sad_from
    faces.loc[late, ["happy", "sad"]] = [0.1, 0.4]
    windows = windows_of(*((at, at + 2) for at in range(seconds - 1)))
    media = {**NO_MEDIA, "duration_s": float(seconds), "step_s": 0.2}
    return report_of(build_frames(times, faces, None), windows, settings=SETTINGS, media=media, **changed)


def whole(markers=None, study=STUDY, baseline=None, made=None):
    return build_tables(made or report(), "a", None, ClipDesign("a", study, markers, baseline))


def test_every_table_carries_the_columns_after_its_own():
    found = whole((Marker("film", 1, 2),), baseline=Baseline("first", 1.0))
    for name, rows in found.items():
        added = [c.name for c in OPTIONAL[name] if c.name not in ("condition", "stimulus", "participant")]
        assert list(rows.columns) == [*named(name), *added, "participant", "age"]
        assert rows["participant"].eq("07").all()
        assert rows["age"].eq(30).all()
        kinds = {c.name: c.kind for c in OPTIONAL[name]}
        short = {"string": "string", "float": "float64", "bool": "boolean", "int": "Int64"}
        assert all(str(rows[c].dtype) == short[kinds[c]] for c in added)


def test_types_are_the_same_for_a_clip_of_which_nothing_is_known():
    design = {"markers": (Marker("film", 1, 2),), "baseline": Baseline("neutral")}
    nothing = Report.empty(summary_of(settings=None))
    assert dtypes(whole(**design, made=nothing, study=Study(STUDY.kinds))) == dtypes(whole(**design))


def test_markers_without_an_exclusion_change_no_value():
    plain, found = whole(), whole((Marker("film", 1, 2),))
    for name, rows in plain.items():
        own = [column for column in rows if column != "warnings"]
        pd.testing.assert_frame_equal(found[name][own], rows[own])
    assert not found["frames"]["excluded"].any()
    assert found["frames"].loc[found["frames"]["marker"].notna(), "time_s"].tolist() == [1, 1.2, 1.4, 1.6, 1.8]


def test_what_is_excluded_counts_nowhere():
    """The last 2 s, sad, are excluded; all else is as in a clip of the first 2 s, but for the rows that stay."""
    found, short = whole((Marker("exclude", 2, 9, exclude=True),)), whole(made=report(2))
    frames, kept = found["frames"], found["frames"]["time_s"] < 2
    assert (frames["excluded"] == ~kept).all()
    smooth = [f"smooth_{name}" for name in EMOTIONS]
    assert frames.loc[~kept, [*smooth, "smooth_expression"]].isna().all(axis=None)
    assert frames.loc[~kept, list(EMOTIONS)].notna().all(axis=None)
    np.testing.assert_allclose(frames.loc[kept, smooth], short["frames"][smooth], atol=1e-12)
    own = named("segments")
    pd.testing.assert_frame_equal(found["segments"][own], short["segments"][own])
    seconds = found["seconds"]
    assert seconds["n_frames"].tolist() == [5, 5, 0, 0]
    assert seconds["usable_share"].tolist()[:2] == [1, 1]
    assert seconds.loc[2:, [*EMOTIONS, "usable_share", "sound_happy"]].isna().all(axis=None)
    np.testing.assert_allclose(seconds.loc[:1, list(EMOTIONS)], short["seconds"][list(EMOTIONS)], atol=1e-12)
    assert found["windows"]["excluded"].tolist() == [False, True, True]
    person, clip = found["people"].iloc[0], found["clips"].iloc[0]
    assert (person["predominant"], person["last_s"], person["n_faces"], clip["n_windows"]) == ("happy", 1.8, 10, 1)
    assert person["sad"] == pytest.approx(0.1)
    assert (clip["n_frames"], clip["faces_predominant"]) == (10, "happy")


def test_sound_that_is_excluded_as_a_whole_is_said():
    """Windows of 2 s begin at 0, 1 and 2 s."""
    said = "the sound does not count: all of its windows reach into excluded times"
    for start, end, all_gone in ((1.5, 2.5, True), (0.5, 0.9, False), (2.5, 3.5, False)):
        warnings = whole((Marker("exclude", start, end, exclude=True),))["clips"]["warnings"].fillna("").iloc[0]
        assert (said in warnings) == all_gone


def test_a_person_seen_in_excluded_times_only_is_no_person_and_named():
    times = times_of(4)
    made = report_of(
        build_frames(times, faces_of(times, p1=[*range(10)], p2=[*range(10, 20)]), None), settings=SETTINGS
    )
    found = whole((Marker("exclude", 2, 9, exclude=True),), made=made)
    assert found["people"]["person_id"].tolist() == ["a#1"]
    assert found["clips"]["warnings"].iloc[0].endswith("seen in excluded times only: a#2")
    assert found["clips"][["person_id", "n_people"]].to_numpy().tolist() == [["a#1", 1]]
    assert "a#2" in set(found["frames"]["person_id"])


def test_warnings_say_what_does_not_fit_after_what_was_said():
    made = report(message="the file breaks off")
    design = ClipDesign("b", Study(STUDY.kinds, {}, (), frozenset({"b"})), (Marker("x", 50, 60),), Baseline("neutral"))
    said = build_tables(made, "b", None, design)["clips"]["warnings"].iloc[0].split("; ")
    assert said[0] == "the file breaks off"
    assert [word in text for word, text in zip(("participants", "x (50 s)", "b#1"), said[1:], strict=True)]
    assert whole()["clips"]["warnings"].isna().all()


def test_a_baseline_of_an_excluded_rest_is_the_reference_all_the_same():
    rest = (Marker("rest", 0, 2, exclude=True),)
    found = whole(rest, baseline=Baseline("marker", marker="rest"))
    assert found["people"]["n_baseline"].tolist() == [10]
    assert found["people"]["predominant"].tolist() == ["sad"]
    odds = 0.4 / 0.1, 0.1 / 0.4
    assert found["people"]["baseline_sad"].iloc[0] == pytest.approx(odds[0] / (sum(odds) + 5))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "v").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "v" / name).write_bytes(b"")
    return tmp_path, {f"v/{name}": tmp_path / "v" / name for name in ("a.mp4", "b.mp4")}


def test_the_design_of_a_run_is_read_from_the_files_that_are_named_or_lie_there(files):
    root, clips = files
    (root / "v" / "participants.csv").write_text("clip,condition\na,x\nb,y\n")
    (root / "m.csv").write_text("clip,name,start,end\nb,film,1,2\n")
    told = []
    design = read_design(StudyOptions(markers=root / "m.csv", baseline="marker film"), [root / "v"], clips, told.append)
    assert told == [f"{root / 'v' / 'participants.csv'} is used for 2 clips: --participants names another file"]
    one = design.of("v/b.mp4")
    assert (one.study.values, one.markers) == ({"v/b.mp4": {"condition": "y"}}, (Marker("film", 1, 2),))
    assert design.of("v/a.mp4").markers == ()
    told.clear()
    (root / "mine.csv").write_text("clip,group\na,g\n")
    design = read_design(StudyOptions(participants=root / "mine.csv"), [root / "v"], clips, told.append)
    assert list(design.study.kinds) == ["group"]
    assert told == [f"{root / 'mine.csv'}: no row for v/b.mp4; columns of the study are missing there"]
    assert read_design(StudyOptions(), [root / "v" / "a.mp4"], {}) == Design()


def test_a_baseline_needs_its_marker(files):
    root, clips = files
    with pytest.raises(UsageError, match="--markers has to name"):
        StudyOptions(baseline="marker rest")
    (root / "m.csv").write_text("clip,name,start,end\nb,film,1,2\n")
    with pytest.raises(UsageError, match=r"m.csv has no marker rest for --baseline, but film"):
        read_design(StudyOptions(markers=root / "m.csv", baseline="marker:rest"), [], clips)


def test_optional_columns_are_no_others():
    for table, columns in OPTIONAL.items():
        names = [column.name for column in (*TABLES[table], *columns)]
        assert len(set(names)) == len(names)
        assert not {column.name for column in columns} & set(dir(pd.DataFrame))
