import numpy as np
import pytest

from vidfer.media.audio import read_windows
from vidfer.media.audio_child import RATE, Listener
from vidfer.media.container import open_media
from vidfer.media.downmix import Downmix
from vidfer.media.vad import CHUNK, SPEECH_SHARE, SpeechMeter
from vidfer.types import Status


@pytest.fixture(scope="module")
def speech(data_dir):
    with open_media(str(data_dir / "clips/eamm_samples/M030_sad_3_001.mp4")) as container:
        return np.concatenate(list(Listener(container, Downmix()).samples()))


def notes(seconds):
    """Return three struck notes of a piano-like chord."""
    t = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * t) for hertz in (220.0, 277.2, 329.6))
    return (0.2 * chord * np.exp(-3 * (t % 1))).astype(np.float32)


@pytest.mark.parametrize("kind", ["noise", "tone", "notes"])
def test_nobody_speaks_in_noise_and_music(write_sound, kind):
    t = np.arange(3 * RATE) / RATE
    samples = {
        "noise": np.random.default_rng(0).normal(0, 0.1, 3 * RATE),
        "tone": 0.3 * np.sin(2 * np.pi * 220 * t),
        "notes": notes(3),
    }[kind]
    windows = read_windows(write_sound("a.wav", samples))
    assert windows.window_status == ["no_voice", "no_voice"]
    assert windows.status is Status.OK
    assert (windows.speech < 0.1).all()
    assert windows.vectors.any(axis=1).all()  # so that gating can be switched off


def test_someone_speaks_and_then_no_more(write_sound, speech):
    talk = speech[: 2 * RATE]
    parts = [talk, 0.3 * notes(2), np.zeros(2 * RATE)]
    windows = read_windows(write_sound("a.wav", np.concatenate(parts)), hop_dur=2.0)
    assert windows.window_status == ["ok", "no_voice", "silent"]
    assert windows.speech[0] > 0.9
    assert windows.speech[2] == 0
    assert windows.speech.dtype == np.float32


def test_quiet_speech_in_noise_is_heard(write_sound, speech):
    noisy = 0.2 * speech + np.random.default_rng(0).normal(0, 0.002, len(speech)).astype(np.float32)
    assert read_windows(write_sound("a.wav", noisy)).speech.min() > SPEECH_SHARE


def test_the_cut_of_the_stream_does_not_matter(speech):
    whole, pieces = SpeechMeter(), SpeechMeter()
    whole.add(speech)
    for piece in np.array_split(speech, 37):
        pieces.add(piece)
    ends = [(start, start + RATE) for start in range(0, len(speech) - RATE, 4000)]
    assert [pieces.share(*each) for each in ends] == [whole.share(*each) for each in ends]


def test_a_share_counts_whole_chunks_only():
    meter = SpeechMeter()
    meter.add(np.zeros(10 * CHUNK + 100, np.float32))
    meter._speaks = bytearray([0, 1, 1, 0, 0, 1, 1, 1, 0, 0])
    assert meter.share(0, 10 * CHUNK) == 0.5
    assert meter.share(CHUNK, 3 * CHUNK) == 1.0
    assert meter.share(CHUNK + 1, 4 * CHUNK + 5) == 0.5
    assert meter.share(5, CHUNK) == 0.0


def test_shouting_is_heard_at_a_softer_level(data_dir):
    shout = next((data_dir / "ravdess_speech").rglob("03-01-05-02-01-02-06.flac"))
    assert read_windows(shout).speech.max() > SPEECH_SHARE
