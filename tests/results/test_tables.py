"""All six tables of clips: they concatenate whatever was found, and are as long as the clip."""

import numpy as np
import pandas as pd
import pytest

from tests.results.made import dtypes, faces_of, named, report_of, summary_of, times_of, windows_of
from vidfer.results.frames import build_frames
from vidfer.results.repool import agreement
from vidfer.results.schema import TABLES
from vidfer.results.tables import NO_MEDIA, Report, TableOptions, build_tables, warnings
from vidfer.types import UsageError


def tables_of(windows=None, seconds=10, clip_id="a.mp4", **people):
    times = times_of(seconds)
    return build_tables(report_of(build_frames(times, faces_of(times, **people), None), windows), clip_id)


@pytest.fixture(scope="module")
def kinds():
    """Tables of clips of every kind, by name."""
    sound = windows_of((0, 2), (1, 3), (8, 10))
    failed = {"status": "corrupt", "message": "no frame can be decoded", "settings": None, "provenance": None}
    return {
        "one.mp4": tables_of(sound, p1=range(3, 40)),
        "two.mp4": tables_of(sound, p1=[3, 4], p2=range(10, 50)),
        "nobody.mp4": tables_of(sound),
        "mute.mp4": tables_of(p1=[5]),
        "sound.wav": build_tables(report_of(Report.empty(summary_of()).frames, sound), "sound.wav"),
        "broken.mp4": build_tables(Report.empty(summary_of(**failed, media=NO_MEDIA)), "broken.mp4"),
    }


def test_any_clips_tables_concatenate_and_keep_every_type(kinds):
    for name in TABLES:
        parts = [tables[name] for tables in kinds.values()]
        assert all(list(rows.columns) == named(name) for rows in parts)
        for some in (parts, parts[::-1], parts[-1:] + parts[:1]):
            assert pd.concat(some).dtypes.to_dict() == dtypes(kinds["one.mp4"])[name]
    assert pd.concat([tables["clips"] for tables in kinds.values()])["clip_id"].tolist()[-2:] == [
        "sound.wav",
        "broken.mp4",
    ]


def test_tables_survive_parquet(kinds, tmp_path):
    for name in TABLES:
        for clip in ("one.mp4", "broken.mp4"):
            kinds[clip][name].to_parquet(tmp_path / "t.parquet")
            pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), kinds[clip][name])


@pytest.mark.parametrize("people", [{}, {"p1": [7]}, {"p1": range(50)}])
def test_ten_seconds_have_fifty_frames_and_ten_seconds_whatever_was_found(people):
    tables = tables_of(**people)
    assert (len(tables["frames"]), len(tables["seconds"]), len(tables["clips"])) == (50, 10, 1)


def test_ids_name_clip_and_person(kinds):
    two = tables_of(p1=[0], p2=[1], clip_id="holiday/b.mp4")
    assert two["frames"]["person_id"].dropna().unique().tolist() == ["holiday/b.mp4#1", "holiday/b.mp4#2"]
    assert two["people"]["person_id"].tolist() == ["holiday/b.mp4#1", "holiday/b.mp4#2"]
    assert all((rows["clip_id"] == "holiday/b.mp4").all() for rows in two.values())
    assert two["clips"]["person_id"].isna().all()
    assert kinds["one.mp4"]["clips"]["person_id"].tolist() == ["a.mp4#1"]
    assert kinds["nobody.mp4"]["seconds"]["person_id"].isna().all()


def test_an_only_person_has_one_id_in_every_table(kinds):
    for name in ("frames", "seconds", "segments", "people", "clips"):
        assert set(kinds["one.mp4"][name]["person_id"]) == {"a.mp4#1"}


def test_sound_alone_has_seconds_without_anybody(kinds):
    seconds = kinds["sound.wav"]["seconds"]
    assert len(seconds) == 10
    assert (seconds["n_frames"] == 0).all()
    assert seconds["usable_share"].isna().all()
    assert seconds["sound_status"].isna().tolist() == [False] * 3 + [True] * 5 + [False] * 2


def test_a_clip_without_sound_says_so_in_each_second():
    times = times_of(1)
    frames = build_frames(times, faces_of(times, p1=[0]), None)
    sound = summary_of()["sound"] | {"status": "no_audio", "n_windows": 0}
    assert build_tables(report_of(frames, sound=sound), "a")["seconds"]["sound_status"].tolist() == ["no_audio"] * 10


@pytest.mark.parametrize(
    ("fused", "faces", "sound", "said"),
    [
        ("sad", "sad", "sad", "both"),
        ("sad", "sad", "angry", "faces"),
        ("sad", "fear", "sad", "sound"),
        ("neutral", "sad", "disgust", "neither"),
        ("uncertain", "sad", "uncertain", "sound"),
    ],
)
def test_agreement_says_whose_answer_it_is(fused, faces, sound, said):
    assert agreement(fused, faces, sound) == said
    assert agreement(fused, faces, None) is None


def test_warnings_are_of_the_clip_its_tracks_and_a_sound_that_failed():
    summary = summary_of(
        message="the file breaks off", media={**NO_MEDIA, "notes": ("two sound tracks: the first is used",)}
    )
    assert warnings(summary) == ["the file breaks off", "two sound tracks: the first is used"]
    summary["sound"] = {"status": "no_voice", "message": "nobody speaks", "n_windows": 0}
    assert "nobody speaks" not in warnings(summary)
    summary["sound"] = {"status": "corrupt", "message": "no sound can be decoded", "n_windows": 0}
    assert warnings(summary)[-1] == "no sound can be decoded"


def test_a_length_that_a_broken_file_names_makes_no_empty_seconds():
    times = times_of(4)
    media = {**NO_MEDIA, "duration_s": 600.0, "step_s": 0.2}
    frames = build_frames(times, faces_of(times, p1=[0]), None)
    assert len(build_tables(report_of(frames, status="partial", media=media), "a")["seconds"]) == 4
    assert len(build_tables(report_of(frames, media={**media, "duration_s": 1e9}), "a")["seconds"]) == 3604


@pytest.mark.parametrize(
    "wrong", [{"grid": 0}, {"grid": -1.0}, {"grid": np.inf}, {"grid": np.nan}, {"min_segment": -0.1}]
)
def test_a_senseless_option_is_refused_by_its_name(wrong):
    with pytest.raises(UsageError, match="--" + next(iter(wrong)).replace("_", "-")):
        TableOptions(**wrong)
