"""Sound of every sort: lengths, rates, sample formats, channels, tracks, and samples that are no sound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.clips import Kind
from tests.faults.film import Film

CODECS = {
    "unsigned 8 bits": ("pcm_u8", "wav"),
    "16 bits": ("pcm_s16le", "wav"),
    "16 bits, big end first": ("pcm_s16be", "aiff"),
    "24 bits": ("pcm_s24le", "wav"),
    "32 bits": ("pcm_s32le", "wav"),
    "float": ("pcm_f32le", "wav"),
    "double": ("pcm_f64le", "wav"),
    "mu-law": ("pcm_mulaw", "wav"),
    "A-law": ("pcm_alaw", "wav"),
    "FLAC": ("flac", "flac"),
    "MP3": ("libmp3lame", "mp3"),
    "AAC": ("aac", "m4a"),
    "Opus": ("libopus", "ogg"),
}
"""Sample formats with their encoder and suffix."""

FLOATS = frozenset({"float", "double"})
CHANNELS = {"mono": 1, "stereo": 2, "5.1": 6}


def voice(seconds: float, rate: int) -> np.ndarray:
    """Return something voice-like: a buzz of gliding pitch with a slow envelope."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    buzz = sum((np.sin(k * phase) / k for k in range(1, 12)), np.zeros(len(t)))
    return np.asarray(0.1 * buzz * (1 + 0.5 * np.sin(2 * np.pi * 3 * t)))


def _at(place: int, value: float) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda wave, rate: np.where(np.arange(len(wave)) == place % max(len(wave), 1), value, wave)


CONTENTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "speech": lambda wave, rate: wave,
    "silence": lambda wave, rate: 0 * wave,
    "clipped": lambda wave, rate: np.clip(50 * wave, -1, 1),
    "constant": lambda wave, rate: np.full(len(wave), 0.9),
    "one sample": lambda wave, rate: np.where(np.arange(len(wave)) == len(wave) // 2, 1.0, 0.0),
    "noise": lambda wave, rate: np.random.default_rng(0).uniform(-1, 1, len(wave)),
    "square": lambda wave, rate: np.sign(np.sin(2 * np.pi * 100 * np.arange(len(wave)) / rate)),
    "highest pitch": lambda wave, rate: np.where(np.arange(len(wave)) % 2, 1.0, -1.0),
    "all but silent": lambda wave, rate: 1e-6 * wave,
}
BEYOND: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {  # what floating-point samples alone can hold
    "NaN": _at(-7, float("nan")),
    "infinite": _at(5, float("inf")),
    "minus infinite": _at(0, float("-inf")),
    "far too loud": lambda wave, rate: 30 * wave,
    "one huge": _at(9, 1e30),
    "denormal": lambda wave, rate: np.full(len(wave), 1e-40),
}


@dataclass(frozen=True)
class Sound:
    """One sound by its length in ms, its rate in Hz, sample format, channels and content, named as above."""

    length: int
    rate: int
    codec: str
    channels: str
    content: str


def write(folder: Path, sound: Sound) -> Path:
    """Write a sound into a file of its own."""
    codec, suffix = CODECS[sound.codec]
    wave = voice(sound.length / 1000, sound.rate)
    wave = {**CONTENTS, **BEYOND}[sound.content](wave, sound.rate).astype(np.float32)
    film = Film(folder / f"sound.{suffix}")
    film.sound(
        [(0.0, np.stack([wave] * CHANNELS[sound.channels]))], codec=codec, rate=sound.rate, layout=sound.channels
    )
    return film.save()


@dataclass(frozen=True)
class Track:
    """A track of sound: what each of its channels has of the voice, whether it is flagged, and its language."""

    channels: Sequence[float]
    default: bool | None = None
    language: str | None = None


def tracks(folder: Path, form: str, several: Sequence[Track], *, seconds: float = 2.0, rate: int = 16_000) -> Path:
    """Write several tracks of 16 bits; track k speaks k semitones higher than the first."""
    layouts = {1: "mono", 2: "stereo", 6: "5.1"}
    film = Film(folder / f"tracks.{form}")
    for k, track in enumerate(several):
        shares = np.array(track.channels)[:, None]
        film.sound(
            [(0.0, shares * voice(seconds * 2 ** (k / 12), rate)[: round(seconds * rate)])],
            rate=rate,
            layout=layouts[len(track.channels)],
            default=track.default,
            language=track.language,
        )
    return film.save()


KINDS: tuple[Kind, ...] = (
    Kind("sound_60_ms", partial(write, sound=Sound(60, 16_000, "16 bits", "mono", "speech")), "no_video"),
    Kind("sound_nan", partial(write, sound=Sound(500, 48_000, "float", "stereo", "NaN")), "no_video"),
    Kind("sound_mu_law", partial(write, sound=Sound(500, 8000, "mu-law", "mono", "speech")), "no_video"),
    Kind("sound_24_bits", partial(write, sound=Sound(500, 96_000, "24 bits", "5.1", "clipped")), "no_video"),
    Kind("sound_8_bits", partial(write, sound=Sound(500, 44_100, "unsigned 8 bits", "stereo", "noise")), "no_video"),
    Kind("sound_silent", partial(write, sound=Sound(500, 44_100, "16 bits", "stereo", "silence")), "no_video"),
    Kind(
        "sound_default_second", partial(tracks, form="mkv", several=(Track((0,), False), Track((1,), True))), "no_video"
    ),
    Kind("sound_antiphase", partial(tracks, form="mov", several=(Track((1, -1)),)), "no_video"),
)
"""Files of odd sound, at least one of each sort."""
