import shutil
from collections import Counter
from pathlib import Path

import pytest

from vidfer.datasets.ravdess import find_ravdess, parse_name
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
    clips, report = find_ravdess(root)
    assert report.dropped == {
        "name is none of RAVDESS": ["talk.wav"],
        "empty file": ["Actor_01/03-01-04-01-01-01-01.wav"],
    }
    assert report.noted == {
        "missing": ["03-01-05-01-01-01-03"],
        "copy of another clip": ["03-01-03-01-01-02-02.wav of 03-01-03-01-01-01-02.wav"],
    }
    assert (report.found, report.kept, len(clips)) == (3 * 16, 3 * 16 - 2, 3 * 16 - 2)
    assert {clip.person for clip in clips} == {"ravdess-1", "ravdess-2", "ravdess-3"}


def test_channels_and_modalities_are_chosen_and_a_take_counts_once(tree):
    root = tree(
        "Video_Speech_Actor_01/01-01-05-01-01-01-01.mp4",
        "Video_Speech_Actor_01/02-01-05-01-01-01-01.mp4",
        "Audio_Speech/Actor_01/03-01-05-01-01-01-01.wav",
        "Audio_Speech/Actor_02/03-01-08-01-01-01-02.wav",
        "Video_Song_Actor_01/01-02-03-01-01-01-01.mp4",
        "Video_Song_Actor_01/02-02-04-01-01-01-01.mp4",
    )

    def names(**choices):
        return {clip.name for clip in find_ravdess(root, **choices)[0]}

    speech, song = "01-01-05-01-01-01-01.mp4", "01-02-03-01-01-01-01.mp4"
    assert names() == {speech, song, "03-01-08-01-01-01-02.wav"}
    assert names(channel="song") == {song}
    assert names(channel="speech", modality="faces") == {speech}
    assert names(modality="faces") == {speech, song, "02-02-04-01-01-01-01.mp4"}
    assert names(modality="audio-only", channel="speech") == {"03-01-05-01-01-01-01.wav", "03-01-08-01-01-01-02.wav"}
    _, report = find_ravdess(root)
    assert report.dropped == {"another file of the same take": ["Actor_01/03-01-05-01-01-01-01.wav"]}
    (root / "Video_Speech_Actor_01/01-01-05-01-01-01-01.mp4").write_bytes(b"")
    assert "03-01-05-01-01-01-01.wav" in names()  # a broken video does not hide the sound
    with pytest.raises(VidferError, match="modality 'sounds' of RAVDESS is none of sound, faces"):
        find_ravdess(root, modality="sounds")


def test_unknown_codes_are_errors_and_impossible_songs_are_dropped(tree):
    songs = [f"03-02-0{emotion}-01-01-01-{actor:02d}.wav" for emotion in (3, 4) for actor in (16, 17)]
    root = tree(*songs, "03-02-08-01-01-01-01.wav", "03-01-03-01-01-01-18.wav")
    clips, report = find_ravdess(root)
    assert len(clips) == 5
    assert list(report.dropped) == ["a song, and the set has none with this expression"]
    assert report.noted == {}  # actor 18 never sang, so its songs are not missed
    tree("03-01-09-01-01-01-01.wav")
    with pytest.raises(
        VidferError, match=r"03-01-09-01-01-01-01.wav: emotion 09 is none of RAVDESS .*correct the name"
    ):
        find_ravdess(root)


def test_a_missing_folder_and_one_without_recordings_are_errors(tmp_path):
    with pytest.raises(VidferError, match="no folder"):
        find_ravdess(tmp_path / "none")
    with pytest.raises(VidferError, match=r"no recording .*expected names like"):
        find_ravdess(tmp_path)


def test_the_real_speech(data_dir):
    clips, report = find_ravdess(data_dir / "ravdess_speech")
    assert len(clips) == report.found == 1200
    assert report.dropped == {}
    assert report.noted == {"copy of another clip": ["03-01-03-01-02-02-07.flac of 03-01-03-01-02-01-07.flac"]}
    assert set(Counter(clip.person for clip in clips).values()) == {60}
    assert Counter(clip.label for clip in clips)["neutral"] == 240


def test_the_real_video(data_dir):
    clips, report = find_ravdess(data_dir / "ravdess_av", modality="faces")
    assert report.found == 18 + 52 + 2
    assert len({clip.path.stem[3:] for clip in clips}) == len(clips) == 53
    assert list(report.dropped) == ["another file of the same take"]
