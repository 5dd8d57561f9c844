import os
import signal
from pathlib import Path

import av
import numpy as np
import pytest

import vidfer.media.audio as audio
from vidfer.media import audio_child
from vidfer.media.audio import read_windows
from vidfer.media.audio_child import Listener, Windows
from vidfer.media.container import open_media
from vidfer.media.downmix import Downmix
from vidfer.types import ClipError, Status


def voice(seconds: float, rate: int = 16_000) -> np.ndarray:
    """Return something voice-like: a buzz of gliding pitch with a slow envelope."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.1 * buzz * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def test_vectors_equal_opensmiles_own_reading_of_the_file(write_sound):
    opensmile = pytest.importorskip("opensmile")
    path = write_sound("voice.wav", voice(2.0))
    smile = opensmile.Smile(opensmile.FeatureSet.IS10, opensmile.FeatureLevel.Functionals)
    reference = smile.process_file(str(path))
    windows = read_windows(path, loudness=None)
    assert windows.status is Status.OK
    assert windows.vectors.shape == (1, 1582)
    assert windows.vectors.dtype == np.float32
    np.testing.assert_allclose(windows.vectors[0], reference.to_numpy()[0], rtol=1e-5, atol=1e-6)


def test_channels_are_averaged_and_the_rate_is_brought_to_16_khz(write_sound):
    wave, other = voice(2.0, 48_000), 0.05 * np.sin(2 * np.pi * 300 * np.arange(96_000) / 48_000)
    stereo = read_windows(
        write_sound("stereo.wav", np.stack([wave + other, wave - other]), rate=48_000, codec="pcm_f32le")
    )
    mono = read_windows(write_sound("mono.wav", wave, rate=48_000, codec="pcm_f32le"))
    left = read_windows(write_sound("left.wav", wave + other, rate=48_000, codec="pcm_f32le"))
    assert np.isclose(stereo.vectors, mono.vectors, rtol=1e-2, atol=1e-3).mean() > 0.97
    assert np.isclose(stereo.vectors, left.vectors, rtol=1e-2, atol=1e-3).mean() < 0.8
    plain = read_windows(write_sound("plain.wav", voice(2.0), codec="pcm_f32le"))
    close = np.isclose(plain.vectors, mono.vectors, rtol=0.1, atol=1e-2).mean()
    assert close > 0.7  # the band edge differs, most features don't


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.1, [(0, 0.1)]),
        (1.5, [(0, 1.5)]),
        (2.0, [(0, 2)]),
        (2.4, [(0, 2)]),
        (2.5, [(0, 2), (0.5, 2.5)]),
        (4.0, [(0, 2), (1, 3), (2, 4)]),
        (4.75, [(0, 2), (1, 3), (2, 4), (2.75, 4.75)]),
    ],
)
def test_windows_cover_the_clip(write_sound, seconds, expected):
    shares = []
    windows = read_windows(write_sound("a.wav", voice(seconds)), progress=shares.append)
    np.testing.assert_allclose(windows.times, expected, atol=1e-4)
    np.testing.assert_allclose(shares, windows.times[:, 1] / 60, atol=1e-4)  # of a minute, until more has been measured
    assert "silent" not in windows.window_status
    assert np.isfinite(windows.vectors).all()


def test_windows_keep_a_bounded_buffer():
    samples = np.arange(100_000, dtype=np.float32)
    windows, seen = Windows(2000, 500), []
    for part in np.split(samples, 250):
        seen += [(start, float(window[0]), len(window)) for start, window in windows.add(part)]
        assert len(windows._buffer) <= 2000 + 500 + 400
    seen += [(start, float(window[0]), len(window)) for start, window in windows.end(100)]
    assert seen == [(k * 500, k * 500.0, 2000) for k in range(197)]


@pytest.mark.parametrize(
    ("samples", "status"),
    [
        (np.zeros(40_000), Status.SILENT),
        (np.full(40_000, 0.9e-4), Status.SILENT),
        (voice(0.05), Status.TOO_SHORT),
        (np.where(np.arange(40_000) == 30_000, np.nan, voice(2.5)), Status.INVALID_AUDIO),
        (np.where(np.arange(40_000) == 30_000, np.inf, voice(2.5)), Status.INVALID_AUDIO),
    ],
)
def test_sound_that_cannot_be_used(write_sound, samples, status):
    windows = read_windows(write_sound("a.wav", samples, codec="pcm_f32le"))
    assert windows.status is status
    assert windows.message
    assert set(windows.window_status) <= {"silent"}


def test_silent_windows_are_marked_and_not_heard(write_sound):
    windows = read_windows(write_sound("a.wav", np.concatenate([voice(2.0), np.zeros(48_000)])))
    assert windows.status is Status.OK
    assert [status == "silent" for status in windows.window_status] == [False, False, True, True]
    assert not windows.vectors[2:].any()


def test_files_without_sound(write_video, tmp_path):
    video = write_video("a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    assert read_windows(video).status is Status.NO_AUDIO
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(3000))
    assert read_windows(tmp_path / "noise.wav").status is Status.CORRUPT
    with pytest.raises(ClipError) as caught:
        read_windows(tmp_path / "missing.wav")
    assert caught.value.status is Status.UNREADABLE


def test_a_wav_that_breaks_off(write_sound):
    path = write_sound("a.wav", voice(6.0))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16_000 * 3])
    windows = read_windows(path)
    assert windows.status in {Status.PARTIAL, Status.OK}  # FFmpeg may shorten the announced length to the file's
    assert windows.times[-1, 1] == pytest.approx(3.0, abs=0.05)


def test_one_worker_serves_many_clips_and_is_replaced_when_it_dies(write_sound):
    path = write_sound("a.wav", voice(1.0))
    before = read_windows(path)
    worker = audio.CHILD._idle
    read_windows(path)
    assert audio.CHILD._idle is worker
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    after = read_windows(path)
    assert audio.CHILD._idle is not worker
    np.testing.assert_array_equal(before.vectors, after.vectors)


def test_a_clip_that_takes_too_long_fails_alone(write_sound):
    path = write_sound("a.wav", voice(1.0))
    read_windows(path)
    with pytest.raises(ClipError) as caught:
        read_windows(path, timeout=1e-6)
    assert caught.value.status is Status.TIMEOUT
    assert read_windows(path).status is Status.OK


@pytest.mark.parametrize("durations", [(0.05, 0.05), (2.0, 0.0), (1.0, 2.0), (float("nan"), 1.0)])
def test_senseless_durations_are_refused(durations):
    with pytest.raises(ValueError, match="win_dur"):
        read_windows("a.wav", win_dur=durations[0], hop_dur=durations[1])


def test_real_tracks(data_dir):
    clips = data_dir / "clips"
    assert read_windows(clips / "pyfeat_testdata/single_face.mp4").status is Status.OK  # MP3 in MP4
    assert read_windows(clips / "eamm_samples/sample2.mov").status is Status.OK  # a WAV by another name
    silent = next(Path(data_dir / "ravdess_av/actor01_mp4_360p").glob("02-*"))
    assert read_windows(silent).status is Status.SILENT


@pytest.mark.parametrize("augment", ["", "noise"])
def test_sound_that_is_kept_gives_what_sound_that_is_decoded_again_gives(write_sound, monkeypatch, augment):
    opened = []
    monkeypatch.setattr(audio_child, "open_media", lambda path: opened.append(path) or open_media(path))
    path = write_sound("voice.wav", np.stack([voice(3.0), 0.5 * voice(3.0)]), codec="pcm_f32le")
    request = {"path": str(path), "win_dur": 2.0, "hop_dur": 1.0, "speed": 1.0, "vad": True, "loudness": -23.0}

    def answers():
        opened.clear()
        return [(header, bytes(data or b"")) for header, data in audio_child.handle({**request, "augment": augment})]

    kept = answers()
    assert len(opened) == 1
    monkeypatch.setattr(audio_child, "_KEPT", 1.5)
    assert answers() == kept
    assert len(opened) == 2


def frames_of(rate, layout, kind, count, seed):
    """Return a decoder's frames of noise, of 1024 samples each."""
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    noise = 0.3 * np.random.default_rng(seed).standard_normal((count, channels, 1024)).astype(np.float32)
    for samples in noise if kind == "fltp" else noise.transpose(0, 2, 1).reshape(count, 1, -1):
        data = samples if kind != "s16" else np.round(samples * 9000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=kind, layout=layout)
        frame.sample_rate = rate
        yield frame


def test_frames_that_are_joined_give_the_samples_of_each_by_itself(write_sound, monkeypatch):
    kinds = [(44_100, "stereo", "fltp"), (44_100, "mono", "fltp"), (44_100, "5.1", "fltp"), (22_050, "5.1", "flt"),
             (16_000, "mono", "s16"), (48_000, "stereo", "s16")]  # fmt: skip
    expected = []
    for number, (rate, *kind) in enumerate(kinds):
        if number in {0, 3, 5}:  # a resampler goes on while the rate is the same
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        for frame in frames_of(rate, *kind, 100, number):
            data = frame.to_ndarray() if kind[1] == "fltp" else frame.to_ndarray().reshape(1024, -1).T
            mono = (data.mean(0, dtype=np.float64) / (32768 if kind[1] == "s16" else 1)).astype(np.float32)[None]
            if rate == 16_000:
                expected.append(mono)
                continue
            alone = av.AudioFrame.from_ndarray(mono, format="fltp", layout="mono")
            alone.sample_rate = rate
            expected += [out.to_ndarray() for out in resampler.resample(alone)]
        if number in {2, 3, 5}:
            expected += [out.to_ndarray() for out in resampler.resample(None)]
    with open_media(str(write_sound("a.wav", voice(0.2)))) as container:
        listener = Listener(container, Downmix())
        frames = (frame for number, kind in enumerate(kinds) for frame in frames_of(*kind, 100, number))
        monkeypatch.setattr(listener._reader, "frames", lambda: frames)
        pieces = list(listener.samples())
    assert np.array_equal(np.concatenate(pieces), np.concatenate(expected, axis=1)[0])
    assert len(pieces) < 40  # of 600 frames
