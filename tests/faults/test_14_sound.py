"""Sound of every length, rate, sample format and content: a typed status, or 1582 finite values a window.

How far the values hang on the sampling rate is measured against the same speech at 16 kHz, brought there by SciPy.
"""

import random
import re
from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tests.faults.clips.sound import BEYOND, CHANNELS, CODECS, CONTENTS, FLOATS, Sound, voice, write
from tests.faults.film import Film
from tests.in_process import in_process
from vidfer.api.result import ClipResult
from vidfer.cli.main import main
from vidfer.media import audio, audio_child, decode_child
from vidfer.media.audio import AudioWindows, read_windows
from vidfer.results.tables import warnings
from vidfer.types import ClipError, Status

LENGTHS = (0, 1, 10, 59, 60, 61, 70, 80, 99, 100, 101, 150, 500, 2300)
RATES = (8000, 16_000, 22_050, 44_100, 48_000, 96_000)
SOUNDS = [
    Sound(length, rate, codec, channels, content)
    for length, rate, codec, channels, content in product(LENGTHS, RATES, CODECS, CHANNELS, (*CONTENTS, *BEYOND))
    if (codec in FLOATS or content not in BEYOND) and (codec != "MP3" or (rate <= 48_000 and channels != "5.1"))
    if codec != "Opus" or rate in {8000, 16_000, 48_000}
]
NO_WINDOWS = {Status.TOO_SHORT, Status.INVALID_AUDIO, Status.CORRUPT, Status.NO_AUDIO}


@pytest.fixture(autouse=True)
def same_process(monkeypatch):
    monkeypatch.setattr(audio.CHILD, "lend", partial(in_process(audio_child.handle), ""))


def hold_typed(path: Path, sound: Sound) -> Status:
    """Assert that a sound has a status with its reason, or finite vectors."""
    found = read_windows(path, vad=False)
    if found.status in NO_WINDOWS:
        assert found.message, sound
        assert not len(found.vectors), sound
        return found.status
    assert found.status in {Status.OK, Status.SILENT}, (sound, found.message)
    assert found.vectors.shape == (len(found.times), audio.FEATURES), sound
    assert len(found.times), sound
    assert np.isfinite(found.vectors).all(), sound
    assert np.isfinite(found.gain), sound
    assert all(
        bool(vector.any()) == (status != "silent")
        for vector, status in zip(found.vectors, found.window_status, strict=True)
    )
    plain = sound.codec not in {"MP3", "AAC", "Opus"}
    if plain:
        assert sound.length >= 99, sound
    if sound.content in {"NaN", "infinite", "minus infinite"}:
        pytest.fail(f"{sound} was heard")
    if plain and sound.content in {"speech", "clipped", "far too loud", "noise"}:
        assert found.status is Status.OK, sound
    return found.status


@pytest.mark.parametrize(
    "sound",
    [
        Sound(60, 48_000, "16 bits", "mono", "speech"),
        Sound(100, 8000, "mu-law", "mono", "speech"),
        Sound(150, 96_000, "24 bits", "5.1", "clipped"),
        Sound(150, 44_100, "float", "stereo", "NaN"),
        Sound(150, 44_100, "unsigned 8 bits", "mono", "square"),
        Sound(150, 16_000, "double", "mono", "one huge"),
    ],
)
def test_a_sound_has_a_status_or_finite_values(tmp_path, sound):
    hold_typed(write(tmp_path, sound), sound)


@pytest.mark.slow
def test_sounds_of_every_kind_have_a_status_or_finite_values(tmp_path, figure):
    states = Counter(hold_typed(write(tmp_path, sound), sound) for sound in random.Random(14).sample(SOUNDS, 250))
    assert len(states) >= 4
    told = ", ".join(f"{count} {status.value}" for status, count in states.most_common())
    figure(f"{states.total()} of {len(SOUNDS)} sounds: {told}; no other")


BANDS = (  # encoder, suffix, and rates in Hz that its files keep
    ("pcm_s16le", "wav", (8000, 11_025, 15_999, 16_000, 22_050, 44_100)),
    ("pcm_mulaw", "wav", (8000, 16_000)),
    ("pcm_mulaw", "mov", (8000, 48_000)),
    ("pcm_mulaw", "au", (8000, 16_000)),
    ("pcm_alaw", "mov", (8000, 16_000)),
    ("pcm_alaw", "avi", (8000, 11_025, 44_100)),
    ("pcm_alaw", "flv", (8000,)),
    ("adpcm_ima_wav", "avi", (8000, 16_000)),
    ("adpcm_ms", "wav", (8000, 44_100)),
    ("libopencore_amrnb", "3gp", (8000,)),
    ("libopencore_amrnb", "mov", (8000,)),
    ("libopencore_amrnb", "amr", (8000,)),
    ("libmp3lame", "mp3", (8000, 11_025, 16_000, 44_100)),
    ("aac", "mp4", (8000, 11_025, 12_000, 16_000, 44_100)),
    ("aac", "ts", (8000, 16_000)),
    ("nellymoser", "flv", (8000, 11_025, 16_000)),
)


def write_band(folder: Path, codec: str, suffix: str, rate: int, seconds: float = 0.5) -> Path:
    """Write something voice-like."""
    film = Film(folder / f"{codec}-{rate}.{suffix}")
    film.sound([(0.0, voice(seconds, rate))], codec=codec, rate=rate)
    return film.save()


def told_of_band(summary: dict[str, object]) -> tuple[float, float] | None:
    """Return the rate and the upper end of the band that a clip's warnings tell, in kHz; None where they tell nothing."""
    found = re.search(
        r"sampled at (\S+) kHz and has nothing above (\S+) kHz: .* not comparable", "; ".join(warnings(summary))
    )
    return (float(found[1]), float(found[2])) if found else None


@pytest.mark.parametrize(
    ("codec", "suffix", "rates"),
    [
        ("pcm_s16le", "wav", (8000, 11_025, 15_999, 16_000, 44_100)),
        ("pcm_mulaw", "mov", (8000, 48_000)),
        ("libopencore_amrnb", "3gp", (8000,)),
        ("aac", "mp4", (8000, 16_000)),
    ],
)
def test_sound_of_a_narrow_band_is_told_from_its_file(tmp_path, codec, suffix, rates):
    for rate in rates:
        (about,) = decode_child.handle({"op": "probe", "path": str(write_band(tmp_path, codec, suffix, rate, 0.1))})
        summary = ClipResult.failed("a", ClipError(Status.OK, "")).summary
        summary["media"]["sampling_rate"] = about[0]["audio"]["sampling_rate"]
        assert told_of_band(summary) is None, "there is no window of it"
        summary["sound"]["n_windows"] = 1
        assert told_of_band(summary) == ((rate / 1000, rate / 2000) if rate < 16_000 else None)


@pytest.mark.slow
def test_a_run_tells_which_clips_have_sound_of_a_narrow_band(tmp_path, capsys, figure):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    made = [(codec, suffix, of[0]) for codec, suffix, of in BANDS] + [
        ("pcm_s16le", "wav", rate) for rate in BANDS[0][2][1:5]
    ]
    rates = {f"clips/{write_band(clips, *each).name}": each[2] for each in made}
    main(["analyze", str(clips), "--out", str(out), "--store", str(tmp_path / "store"), "--voice", "off"])
    said = " ".join(capsys.readouterr().out.split())
    rows = pd.read_csv(out / "clips.csv").set_index("clip_id")
    assert set(rows.index) == set(rates)
    narrow = [name for name, rate in rates.items() if rate < 16_000]
    assert set(rows.index[rows["warnings"].fillna("").str.contains("not comparable")]) == set(narrow)
    for rate in {rates[name] for name in narrow}:
        count = sum(each == rate for each in rates.values())
        assert f"In {count} of {len(rates)} clips the sound was sampled at {rate / 1000:g} kHz" in said
    assert "16 kHz and has" not in said
    figure(
        f"{len(narrow)} of {len(rates)} clips of {len(BANDS)} codecs in containers below 16 kHz: these alone are told"
    )


def speech(data_dir: Path | None) -> list[np.ndarray]:
    """Return recordings at 16 kHz: real speech of the folder, else generated voices above a floor of noise."""
    from scipy.signal import resample_poly

    paths = sorted((data_dir or Path("nowhere")).glob("ravdess_av/actor*/01-*.mp4"))[:6]
    waves = []
    for path in paths:
        with av.open(str(path)) as container:
            track = container.streams.audio[0]
            wave = np.concatenate([frame.to_ndarray() for frame in container.decode(track)], axis=1)[0]
            waves.append(resample_poly(wave.astype(np.float64), 16_000, track.rate))
    if not waves:
        rng = np.random.default_rng(0)
        waves = [voice(3.0 + k, 16_000) + 1e-3 * rng.standard_normal(round((3.0 + k) * 16_000)) for k in range(3)]
    return waves


def moved(one: AudioWindows, other: AudioWindows) -> list[float]:
    """Return for each window in which there is sound the share of values that differ by more than 10 %."""
    both = zip(one.vectors, other.vectors, one.window_status, strict=False)  # a rate may round the last window away
    return [float((np.abs(b - a) > 0.1 * np.abs(a)).mean()) for a, b, status in both if status != "silent"]


@pytest.mark.slow
def test_other_rates_give_the_features_of_16_khz(tmp_path, figure):
    """In float, so that only the rate differs: openSMILE rounds to 16 bits, and 24 bits alone already move a tenth."""
    from scipy.signal import resample_poly

    real = Path(__file__).parents[2] / "data"
    waves = speech(real if real.is_dir() else None)
    kind = "real" if (real / "ravdess_av").is_dir() else "generated"

    def hear(wave: np.ndarray, rate: int) -> AudioWindows:
        film = Film(tmp_path / "a.wav")
        film.sound([(0.0, wave.astype(np.float32))], rate=rate, codec="pcm_f32le")
        return read_windows(film.save(), vad=False)

    shares: dict[int, list[float]] = {}
    for wave in waves:
        base = hear(wave, 16_000)
        for rate in (8000, 44_100, 48_000, 96_000):
            other = hear(resample_poly(wave, rate // 100, 160), rate)
            shares.setdefault(rate, []).extend(moved(base, other))
    mean = {rate: float(np.mean(each)) for rate, each in shares.items()}
    told = ", ".join(f"{rate / 1000:g} kHz {100 * share:.1f} %" for rate, share in mean.items() if rate > 16_000)
    number = len(shares[48_000])
    figure(f"features moved over 10 % against 16 kHz: {told} ({len(waves)} {kind} recordings, {number} windows)")
    figure(f"at 8 kHz {100 * mean[8000]:.0f} %: the upper half of the band is not in the file")
    assert all(share <= 0.15 for rate, share in mean.items() if rate > 16_000), mean
