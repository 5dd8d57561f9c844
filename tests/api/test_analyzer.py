"""Many clips, threads and arrays by one Analyzer."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from vidfer import Analyzer, ClipResult, Status, UsageError, analyze
from vidfer.datasets.synthetic import write_sounds
from vidfer.media import audio
from vidfer.media.record import record_frames


@pytest.fixture(scope="module")
def files(tmp_path_factory, portrait):
    """Two short clips of the portrait, a text, and a name of nothing."""
    folder = tmp_path_factory.mktemp("clips")
    record_frames(portrait[:4], folder / "a.nut", fps=50)
    record_frames(portrait[60:66], folder / "b.nut", fps=50)
    (folder / "text.mp4").write_text("no video")
    return [folder / name for name in ("a.nut", "text.mp4", "missing.mp4", "b.nut")]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A short voice."""
    return next(write_sounds(tmp_path_factory.mktemp("sounds"), actors=(1,), seconds=0.3).rglob("*.wav"))


def numbers(result):
    return result.frames.drop(columns=["clip_id", "person_id"])


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_many_clips_come_in_order_with_their_faults_as_results(analyzer, files, jobs):
    results = list(analyzer.analyze_many([str(file) for file in files], jobs=jobs))
    assert all(type(result) is ClipResult for result in results)
    assert [result.status for result in results] == [Status.OK, Status.UNSUPPORTED, Status.UNREADABLE, Status.OK]
    assert [result.summary["clip"] for result in results] == [str(file) for file in files]
    assert [len(result.frames) for result in results] == [4, 0, 0, 6]


def test_a_folder_stands_for_its_clips_and_a_study_names_their_conditions(analyzer, files, tmp_path):
    sheet = tmp_path / "people.csv"
    sheet.write_text("clip,condition\na.nut,calm\ntext.mp4,loud\nb.nut,loud\n")
    study = Analyzer(every=1, audio_model="none", store=analyzer._store.root, participants=sheet)
    folder = files[0].parent
    results = {result.clip_id: result for result in study.analyze_many(folder)}
    assert list(results) == [f"{folder.name}/{name}" for name in ("a.nut", "b.nut", "text.mp4")]
    assert [set(result.clips["condition"]) for result in results.values()] == [{"calm"}, {"loud"}, {"loud"}]
    assert set(study.analyze(files[0]).frames["condition"]) == {"calm"}
    twice = [result.clip_id for result in analyzer.analyze_many([files[0], files[0], folder / "none" / "a.nut"])]
    assert twice == ["a.nut", "a.nut-2", "a.nut-3"]


def test_of_many_clips_only_those_asked_for_are_analysed(analyzer, tmp_path, portrait):
    found = analyzer.analyze_many(tmp_path / f"{number}.mp4" for number in range(1000))
    assert [result.status for result in islice(found, 2)] == [Status.UNREADABLE] * 2
    found.close()
    assert not multiprocessing.active_children()
    with pytest.raises(UsageError, match="jobs"):
        analyzer.analyze_many([], jobs=0)


def test_threads_that_share_an_analyzer_get_the_right_results(analyzer, files, sound, tmp_path):
    clips = [files[0], sound]
    alone = [analyzer.analyze(clip) for clip in clips]
    with Analyzer(every=1, audio_model="none", store=tmp_path) as shared, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.analyze, clips * 2))
        child = audio.CHILD._idle
        assert child.alive
    assert not child.alive  # the block has ended the process that reads sound
    for one, other in zip(alone * 2, together, strict=True):
        assert one.status == other.status
        pd.testing.assert_frame_equal(numbers(one), numbers(other))
        pd.testing.assert_frame_equal(one.windows, other.windows)
    assert [len(result.windows) > 0 for result in together] == [False, True] * 2


def test_arrays_and_pairs_give_the_numbers_of_the_file(analyzer, files, portrait):
    of_file = numbers(analyzer.analyze(files[0]))
    of_array = analyzer.analyze(portrait[:4], fps=50, name="array")
    of_pairs = analyzer.analyze(((number / 50, image) for number, image in enumerate(portrait[:4])), name="pairs")
    assert of_array.summary["clip"] == "array"
    for result in (of_array, of_pairs):
        pd.testing.assert_frame_equal(numbers(result), of_file)


def test_the_frame_rate_of_an_array_is_that_of_its_frames(portrait, tmp_path):
    result = analyze(np.zeros_like(portrait[:6]), fps=10, audio_model="none", store=tmp_path)
    assert result.frames["time_s"].tolist() == pytest.approx(np.arange(6) / 10)
    with pytest.raises(UsageError, match="own frame rate"):
        Analyzer().analyze("clip.mp4", fps=5)
    with pytest.raises(UsageError, match="give fps"):
        analyze(portrait)
    with pytest.raises(UsageError, match="analyze_many takes its clips"):
        analyze(tmp_path)
