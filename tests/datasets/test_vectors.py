import wave

import numpy as np
import pytest

from vidfer.datasets.vectors import VectorReader
from vidfer.types import ClipError, Status


def write_tone(path, hertz, seconds=0.4, rate=16000):
    time = np.arange(round(seconds * rate)) / rate
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.sin(2 * np.pi * hertz * time) * 9000).astype("<i2").tobytes())
    return path


def test_vectors_equal_the_chains_and_are_computed_once(tmp_path, monkeypatch):
    from vidfer.media import audio

    clip = write_tone(tmp_path / "a.wav", 200)
    reader = VectorReader(str(tmp_path / "store"), gate=False)
    first = reader(clip)
    np.testing.assert_array_equal(first, audio.read_windows(clip).vectors)
    monkeypatch.setattr(audio, "read_windows", None)  # a second computation would fail
    np.testing.assert_array_equal(reader(clip.rename(tmp_path / "b.wav")), first)


def test_speed_raises_the_pitch(tmp_path):
    slow = VectorReader(str(tmp_path / "store"), speed=1.25, gate=False)(write_tone(tmp_path / "a.wav", 200, 0.5))
    fast = VectorReader(str(tmp_path / "store"), gate=False)(write_tone(tmp_path / "b.wav", 250, 0.4))
    assert slow.shape == fast.shape
    assert np.corrcoef(slow[0], fast[0])[0, 1] > 0.99


def test_silence_is_an_error_with_its_status(tmp_path):
    with pytest.raises(ClipError) as caught:
        VectorReader(str(tmp_path / "store"))(write_tone(tmp_path / "a.wav", 0))
    assert caught.value.status == Status.SILENT


def test_windows_without_a_voice_are_left_out_unless_told_otherwise(tmp_path, data_dir):
    tone, store = write_tone(tmp_path / "a.wav", 200), str(tmp_path / "store")
    with pytest.raises(ClipError) as caught:
        VectorReader(store)(tone)
    assert caught.value.status == Status.NO_VOICE
    assert VectorReader(store, gate=False)(tone).shape == (1, 1582)
    talk = data_dir / "clips/eamm_samples/M030_sad_3_001.mp4"
    np.testing.assert_array_equal(VectorReader(store)(talk), VectorReader(store, gate=False)(talk))
