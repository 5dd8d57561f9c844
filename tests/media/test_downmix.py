"""From several channels to one: the mean, bit by bit, unless channels cancel out."""

from itertools import product

import av
import numpy as np
import pytest

import vidfer.media.audio_child as child
from tests.media.test_audio import voice

SECONDS = 1.0


def write(path, channels, *, codec="pcm_f32le"):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    samples = np.asarray(channels, np.float32)
    if codec == "pcm_s16le":
        samples = np.round(samples * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout=layout)
        kind = "s16" if codec == "pcm_s16le" else "flt"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.reshape(1, -1)), format=kind, layout=layout)
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def heard(monkeypatch):
    """Return the samples that the windows of a file are cut from, what is said, and how often the file was decoded."""
    opened = []
    real = child.open_media
    monkeypatch.setattr(child, "open_media", lambda path: opened.append(path) or real(path))
    monkeypatch.setattr(child, "_describe", lambda _start, samples, *_: ({"status": "ok"}, samples))

    def hear(path, loudness=None):
        opened.clear()
        request = {"path": str(path), "win_dur": 0.5, "hop_dur": 0.5, "speed": 1.0, "vad": False}
        *windows, (end, _) = child.handle({**request, "loudness": loudness, "augment": ""})
        return np.concatenate([window for header, window in windows if window is not None]), end, len(opened)

    return hear


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s16le"])
@pytest.mark.parametrize("right", [1.0, 0.5, 0.0, -0.3, "other", "delayed"])
def test_ordinary_stereo_is_the_mean_bit_by_bit(tmp_path, heard, codec, right):
    left = voice(SECONDS)
    other = {"other": voice(SECONDS)[::-1], "delayed": np.roll(left, 5)}.get(right)
    stereo = np.stack([left, right * left if other is None else other])
    samples, end, _ = heard(write(tmp_path / "a.wav", stereo, codec=codec))
    if codec == "pcm_s16le":
        stereo = np.round(stereo * 32767).astype(np.int16) / 32768
    assert np.array_equal(samples, stereo.astype(np.float64).mean(0).astype(np.float32))
    assert end["notes"] == ""


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s16le"])
@pytest.mark.parametrize(("factor", "noise"), product([-1.0, -0.95, -0.8, -1.3], [0.0, 0.01]))
def test_stereo_in_antiphase_is_its_louder_channel_and_told(tmp_path, heard, codec, factor, noise):
    left = voice(SECONDS)
    stereo = np.stack([left, factor * left + noise * np.random.default_rng(0).standard_normal(len(left))])
    stereo = stereo.astype(np.float32)
    louder = int(np.square(stereo[1]).sum() > np.square(stereo[0]).sum())
    expected = np.round(stereo[louder] * 32767) / 32768 if codec == "pcm_s16le" else stereo[louder]
    samples, end, _ = heard(write(tmp_path / "a.wav", stereo, codec=codec))
    assert np.array_equal(samples, expected.astype(np.float32))
    assert end["notes"] == f"the mean of its 2 channels cancels out: number {louder + 1}, the loudest, is heard"


def test_five_channels_and_a_bass_are_their_mean_whatever_is_silent(tmp_path, heard):
    wave, rng = voice(SECONDS), np.random.default_rng(0)
    for kind in ("centre", "front", "all", "noise", "antiphase"):
        sound = np.zeros((6, len(wave)), np.float32)
        sound[2] = wave if kind == "centre" else 0
        sound[:2] = wave if kind == "front" else 0
        if kind in {"all", "noise"}:
            sound[:] = wave if kind == "all" else 0.1 * rng.standard_normal(sound.shape)
        if kind == "antiphase":
            sound[:2] = wave, -wave
        samples, end, _ = heard(write(tmp_path / "a.wav", sound))
        expected = sound[0] if kind == "antiphase" else sound.astype(np.float64).mean(0).astype(np.float32)
        assert np.array_equal(samples, expected), kind
        assert bool(end["notes"]) == (kind == "antiphase")


def test_the_loudness_is_that_of_what_is_heard(tmp_path, heard):
    left = voice(SECONDS)
    both = heard(write(tmp_path / "a.wav", np.stack([left, -left])), loudness=-23.0)
    mono = heard(write(tmp_path / "b.wav", left[None]), loudness=-23.0)
    assert np.array_equal(both[0], mono[0])
    assert both[1]["loudness"] == mono[1]["loudness"]
    assert (both[2], mono[2]) == (2, 1)
    assert heard(write(tmp_path / "c.wav", np.stack([left, left])), loudness=-23.0)[2] == 1


def test_silence_and_one_channel_say_nothing(tmp_path, heard):
    for channels in (1, 2, 6):
        assert heard(write(tmp_path / "a.wav", np.zeros((channels, 16_000))))[1]["notes"] == ""
