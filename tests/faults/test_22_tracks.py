"""Several tracks and channels: what a player lets be heard is heard, and the choice is told."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.faults.clips.sound import Track, tracks, voice
from tests.faults.film import Film
from tests.faults.look import windows
from vidfer.media import audio_child

RATE = 16_000


@pytest.fixture
def samples(monkeypatch):
    """Return the samples that windows of 0.5 s are cut from, in place of vectors, and what is said."""
    monkeypatch.setattr(audio_child, "_describe", lambda _start, wave, *_: ({"status": "ok"}, wave.tobytes()))

    def hear(path: Path) -> tuple[np.ndarray, str]:
        found, end = windows(path, win_dur=0.5, hop_dur=0.5)
        return np.concatenate([np.frombuffer(wave, np.float32) for _, wave in found]), str(end["notes"])

    return hear


def spoken(track: int, seconds: float = 2.0) -> np.ndarray:
    """Return what `tracks` writes into a track, at 16 bits."""
    wave = voice(seconds * 2 ** (track / 12), RATE)[: round(seconds * RATE)]
    return np.round(wave * 32767) / 32768


def is_heard(wave: np.ndarray, track: int) -> bool:
    """Whether samples are those of a track, however loud."""
    return bool(np.corrcoef(wave, spoken(track)[: len(wave)])[0, 1] > 0.999)


FLAGS = {
    "none": (None, None, None),
    "first": (True, False, False),
    "second": (False, True, False),
    "third": (False, False, True),
    "last two": (False, True, True),
    "all": (True, True, True),
}
EXPECTED = {"none": 0, "first": 0, "second": 1, "third": 2, "last two": 1, "all": 0}


@pytest.mark.parametrize("form", ["mkv", "mov"])
@pytest.mark.parametrize("flags", FLAGS)
def test_the_flagged_track_is_heard_else_the_first(tmp_path, samples, form, flags):
    languages = ("eng", "ger", "fra")
    several = [Track((1.0,), flag, language) for flag, language in zip(FLAGS[flags], languages, strict=True)]
    wave, notes = samples(tracks(tmp_path, form, several))
    assert is_heard(wave, EXPECTED[flags])
    assert f"of 3 audio tracks, number {EXPECTED[flags] + 1} is used" in notes
    assert f"(language {languages[EXPECTED[flags]]})" in notes
    alone = sum(map(bool, FLAGS[flags])) == 1 or (form, flags) == (
        "mov",
        "none",
    )  # of whose tracks one is always flagged
    assert ("flagged" in notes) == alone


@pytest.mark.parametrize("kind", ["comment", "hearing_impaired", "visual_impaired"])
def test_a_comment_is_not_taken_for_the_sound(tmp_path, samples, kind):
    import av

    film = Film(tmp_path / "a.mkv")
    for k in range(2):
        stream = film.sound([(0.0, spoken(k))], rate=RATE, default=False)
        if k == 0:
            stream.disposition = av.stream.Disposition[kind]
    wave, notes = samples(film.save())
    assert is_heard(wave, 1)
    assert "number 2 is used" in notes


def test_a_silent_first_track_is_what_players_play_and_that_is_told(tmp_path):
    found, end = windows(tracks(tmp_path, "mkv", [Track((0.0,)), Track((1.0,))]))
    assert {header["status"] for header, _ in found} == {"silent"}
    assert "of 2 audio tracks, number 1 is used: the first that a player takes" in str(end["notes"])


CHANNELS = {
    "mono in stereo": (1, 1),
    "left alone": (1, 0),
    "right alone": (0, 1),
    "antiphase": (1, -1),
    "all but antiphase": (1, -0.9),
    "5.1": (0.5, 0.5, 1, 0.1, 0.3, 0.3),
    "centre alone": (0, 0, 1, 0, 0, 0),
    "fronts in antiphase": (1, -1, 0, 0, 0, 0),
    "surround in antiphase": (0, 0, 1, 0, 1, -1),
    "one behind": (0, 0, 0, 0, 1, 0),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_speech_in_any_channel_is_heard(tmp_path, samples, kind):
    wave, notes = samples(tracks(tmp_path, "mov", [Track(CHANNELS[kind])]))
    assert is_heard(wave * np.sign(np.dot(wave, spoken(0)[: len(wave)])), 0)
    assert np.square(wave).mean() > 0.02 * np.square(spoken(0)).mean()
    assert ("cancels out" in notes) == ("antiphase" in kind and "surround" not in kind)


def parts(folder: Path, shares: list[tuple[float, ...]], form: str = "mov") -> Path:
    """Write a second of each share of the voice in the channels."""
    whole = spoken(0, len(shares))
    pieces = [np.array(each)[:, None] * whole[k * RATE : (k + 1) * RATE] for k, each in enumerate(shares)]
    film = Film(folder / f"parts.{form}")
    layout = {2: "stereo", 6: "5.1"}[len(shares[0])]
    film.sound([(0.0, np.concatenate(pieces, axis=1))], rate=RATE, layout=layout)
    return film.save()


@pytest.mark.parametrize("cancelling", [(1,), (0, 1), (3,), (0, 3)])
def test_stereo_that_cancels_out_in_places_is_heard_there(tmp_path, samples, cancelling):
    shares = [(1.0, -1.0) if k in cancelling else (1.0, 1.0) for k in range(4)]
    wave, notes = samples(parts(tmp_path, shares))
    assert np.corrcoef(wave, spoken(0, 4))[0, 1] > 0.999
    assert "cancels out in places: number" in notes


def test_two_speakers_in_two_channels_are_both_heard(tmp_path, samples):
    wave, notes = samples(parts(tmp_path, [(1, 0), (0, 1), (1, 0.2), (0.1, 1)]))
    power = np.square(wave).reshape(4, -1).mean(1)
    assert power.min() > 0.15 * np.square(spoken(0, 4)).mean()
    assert notes == ""


@pytest.mark.slow
def test_tracks_and_channels_combined(tmp_path, samples, figure):
    tried = 0
    for form, (kind, shares), flags in product(("mkv", "mov"), CHANNELS.items(), ("none", "second", "third")):
        chosen = EXPECTED[flags]
        several = [Track(shares if k == chosen else (0.0, 0.0), flag) for k, flag in enumerate(FLAGS[flags])]
        wave, notes = samples(tracks(tmp_path, form, several))
        assert is_heard(wave * np.sign(np.dot(wave, spoken(chosen)[: len(wave)])), chosen), (form, kind, flags)
        assert f"number {chosen + 1} is used" in notes
        tried += 1
    figure(f"{tried} combinations of flags and channels: the flagged speech heard in all, the choice told in all")
