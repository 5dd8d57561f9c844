import shutil
from pathlib import Path

import pytest

from vidfer.datasets.ravdess import find_recordings, parse_name
from vidfer.types import EMOTIONS, VidferError


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("03-01-02-01-01-02-16.flac", "neutral"),
        ("01-01-08-02-02-01-01.mp4", "surprise"),
        ("03-01-05-01-01-01-24.wav", "angry"),
    ],
)
def test_names_tell_the_class(name, emotion):
    recording = parse_name(Path(name))
    assert recording is not None
    assert EMOTIONS[recording.target] == emotion
    assert recording.actor == int(name[18:20])


@pytest.mark.parametrize(
    "name",
    [
        "03-01-09-01-01-01-01.wav",  # no such emotion
        "03-01-01-02-01-01-01.wav",  # neutral has one intensity
        "03-01-03-01-01-01-25.wav",  # no such actor
        "03-01-03-01-01-01.wav",
        "3-1-3-1-1-1-1.wav",
        "speech.wav",
    ],
)
def test_other_names_are_refused(name):
    assert parse_name(Path(name)) is None


def test_faults_are_listed(sounds_root, tmp_path):
    root = tmp_path / "r"
    shutil.copytree(sounds_root, root)
    one = root / "Actor_02/03-01-03-01-01-01-02.wav"
    shutil.copy(one, root / "Actor_02/03-01-03-01-01-02-02.wav")
    shutil.copy(one, root / "Actor_02/talk.wav")
    (root / "Actor_01/03-01-04-01-01-01-01.wav").write_bytes(b"")
    (root / "Actor_03/03-01-05-01-01-01-03.wav").unlink()
    kept, report = find_recordings(root)
    assert report.dropped == {
        "name is none of RAVDESS": ["talk.wav"],
        "empty file": ["03-01-04-01-01-01-01.wav"],
        "copy of another recording": ["03-01-03-01-01-02-02.wav"],
    }
    assert report.noted == {"missing": ["03-01-05-01-01-01-03"]}
    assert len(kept) == report.kept == 3 * 16 - 3
    untouched, noted = find_recordings(root, {2}, drop_copies=False)
    assert len(untouched) == 16
    assert noted.noted["copy of another recording"] == ["03-01-03-01-01-02-02.wav"]


def test_actors_are_filtered_and_missing_ones_named(sounds_root, tmp_path):
    kept, _ = find_recordings(sounds_root, {1, 3})
    assert {r.actor for r in kept} == {1, 3}
    with pytest.raises(VidferError, match="of actors 17"):
        find_recordings(sounds_root, {17})
    with pytest.raises(VidferError, match="no folder"):
        find_recordings(tmp_path / "none")


def test_the_real_sets_copy_is_reported(data_dir):
    kept, report = find_recordings(data_dir / "ravdess_speech", {7})
    assert report.dropped == {"copy of another recording": ["03-01-03-01-02-02-07.flac"]}
    assert len(kept) == 59
