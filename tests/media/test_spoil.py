import numpy as np
import pytest

from tests.media.test_audio import voice
from vidfer.media.audio import read_windows
from vidfer.media.spoil import SPOILERS, require_spoiler, spoil
from vidfer.types import Status, VidferError

RATE = 16_000


def spoilt(sound, how, cuts=()):
    parts = list(spoil(iter(np.split(np.asarray(sound, np.float32), cuts)), how, RATE))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def power(sound, low, high):
    """Return the power between two frequencies in Hz."""
    spectrum = np.square(np.abs(np.fft.rfft(sound)))
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    return spectrum[(low <= frequency) & (frequency < high)].sum()


@pytest.mark.parametrize("how", SPOILERS)
@pytest.mark.parametrize("seconds", [0.0, 0.05, 2.3, 61.0])
def test_every_way_keeps_the_length_and_says_the_same_again(how, seconds):
    sound = voice(seconds)
    found = spoilt(sound, how)
    assert (len(found), found.dtype) == (len(sound), np.float32)
    assert np.isfinite(found).all()
    cuts = [100, 101, 7000] if seconds > 1 else []
    np.testing.assert_array_equal(spoilt(sound, how, cuts), found)  # whatever pieces it comes in
    if seconds > 1:
        assert not np.allclose(found, sound, atol=1e-4)
        assert not np.array_equal(spoilt(sound, f"{how}:2"), found)
        assert not np.array_equal(spoilt(0.5 * sound, how), 0.5 * found)


def test_noise_is_5_to_25_db_below_the_sound():
    sound = voice(3.0)
    for number in range(1, 9):
        noise = spoilt(sound, f"noise:{number}") - sound
        assert 4.9 < 10 * np.log10(np.square(sound).mean() / np.square(noise).mean()) < 25.1


def test_a_telephone_has_no_bass_and_no_treble():
    white = 0.05 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    found = spoilt(white, "phone")
    kept = power(found, 500, 2800) / power(white, 500, 2800)
    assert 0.8 < kept < 1.2
    assert power(found, 0, 100) / power(white, 0, 100) < 0.05 * kept
    assert power(found, 5000, 8000) / power(white, 5000, 8000) < 0.05 * kept


def test_a_room_goes_on_after_the_sound_and_keeps_what_was_said():
    sound = np.concatenate([voice(1.0), np.zeros(RATE)])
    for number in range(1, 5):
        found = spoilt(sound, f"room:{number}")
        early, late = np.square(found[RATE : RATE + 1600]).mean(), np.square(found[-1600:]).mean()
        assert early > 100 * late
        assert np.corrcoef(found[:RATE], sound[:RATE])[0, 1] > 0.4


def test_codecs_lose_something_and_keep_most():
    """All three of them: told apart by what they leave of the samples."""
    sound = voice(2.0)
    alike = []
    for number in range(1, 13):
        found = spoilt(sound, f"codec:{number}")
        lag = np.fft.irfft(np.fft.rfft(found) * np.conj(np.fft.rfft(sound)))
        alike.append(lag.max() / np.linalg.norm(found) / np.linalg.norm(sound))
    assert all(0.8 < each < 0.9999 for each in alike), alike
    assert len(set(np.round(alike, 6))) == 12


def test_ways_are_joined_in_order():
    sound = voice(2.0)
    found = spoilt(sound, "phone+noise")
    assert power(found, 5000, 8000) > 10 * power(spoilt(sound, "phone"), 5000, 8000)  # the noise came after
    for wrong in ("", "echo", "noise+", "noise:0", "noise:x", "none"):
        with pytest.raises(VidferError, match="is none of gain, noise, room, codec, phone"):
            require_spoiler(wrong)


@pytest.mark.parametrize("how", ["noise", "room+codec:3", "gain"])
def test_loudness_is_that_of_the_spoilt_sound(write_sound, how):
    """So it is the same in the end, and what a gain did is undone."""
    path = write_sound("a.wav", 0.1 * voice(3.0), codec="pcm_f32le")
    plain, found = read_windows(path), read_windows(path, augment=how)
    assert found.status is Status.OK
    assert found.loudness != plain.loudness
    assert found.loudness + found.gain == pytest.approx(plain.loudness + plain.gain, abs=1e-3)
    assert not np.array_equal(found.vectors, plain.vectors)
    np.testing.assert_array_equal(found.vectors, read_windows(path, augment=how).vectors)
    if how == "gain":
        np.testing.assert_allclose(found.vectors[:, 2], plain.vectors[:, 2], rtol=0.02)  # the mean loudness
