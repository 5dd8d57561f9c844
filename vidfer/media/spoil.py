"""Recordings made worse on purpose, for training: noise, rooms, codecs, telephones and levels."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import av
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from vidfer.types import VidferError

Sound = NDArray[np.float32]

_PIECE: Final = 30  # s, spoilt together; longer recordings piece by piece, in bounded memory
_CODECS: Final = (("libopus", "ogg"), ("libmp3lame", "mp3"), ("aac", "adts"))
_RATES: Final = {"libopus": (6_000, 16_000), "libmp3lame": (8_000, 32_000), "aac": (12_000, 32_000)}  # bit/s
_MU: Final = 255.0  # of the companding in ITU-T G.711


def spoil(pieces: Iterator[Sound], how: str, rate: int) -> Iterator[Sound]:
    """Spoil a stream of mono samples in [-1, 1], in pieces of 30 s; how many there are does not change.

    What is drawn (noise level, reverberation, bit rate, ...) depends on the sound and on `how` alone, so that the same recording
    is always spoilt alike, and another one otherwise.

    Args:
        pieces: The samples.
        how: Names of `SPOILERS`, in order, such as `room+noise`; with a number, `room+noise:2`, it is drawn anew.
        rate: Sampling rate in Hz.
    """
    steps = require_spoiler(how)
    for piece in regroup(pieces, _PIECE * rate):
        drawn = blake3(how.encode() + np.round(piece * 2**15).astype("<i4").tobytes()).digest(length=8)
        rng = np.random.default_rng(int.from_bytes(drawn, "little"))
        for step in steps:
            piece = SPOILERS[step](piece, rate, rng)
        yield piece


def require_spoiler(how: str) -> list[str]:
    """Return the names of `SPOILERS` in what `spoil` takes.

    Raises:
        VidferError: There are others.
    """
    match = re.fullmatch(r"([a-z+]+)(?::[1-9]\d{0,3})?", how)
    steps = match[1].split("+") if match else []
    if not steps or set(steps) - set(SPOILERS):
        raise VidferError(f"augment '{how}' is none of {', '.join(SPOILERS)}, or some joined such as room+noise:2")
    return steps


def regroup(pieces: Iterator[Sound], size: int) -> Iterator[Sound]:
    """Yield a stream of samples in pieces of `size`, and what is left."""
    waiting: list[Sound] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count >= size:
            whole = np.concatenate(waiting)
            ends = range(size, count + 1, size)
            yield from (whole[end - size : end] for end in ends)
            waiting, count = [whole[ends[-1] :]], count - ends[-1]
    if count:
        yield np.concatenate(waiting)


def _noise(sound: Sound, rate: int, rng: np.random.Generator) -> Sound:
    """Add noise at 5 to 25 dB below the sound, between white and brown."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    spectrum /= np.maximum(np.arange(len(spectrum)) * rate / len(sound), 50.0) ** rng.uniform(0, 1)  # flat below 50 Hz
    noise = np.fft.irfft(spectrum, len(sound))
    wanted = np.sqrt(np.square(sound, dtype=np.float64).mean()) * 10 ** (-rng.uniform(5, 25) / 20)
    return np.asarray(sound + wanted * noise / max(np.sqrt(np.square(noise).mean()), 1e-12), np.float32)


def _room(sound: Sound, rate: int, rng: np.random.Generator) -> Sound:
    """Add reverberation, white noise that decays by 60 dB in 0.2 to 1 s, at 0 to 12 dB below the direct sound."""
    from scipy.signal import fftconvolve

    decay, level = rng.uniform(0.2, 1.0), 10 ** (-rng.uniform(0, 12) / 20)
    times = np.arange(round(decay * rate)) / rate
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay)
    tail[: round(rng.uniform(0.002, 0.02) * rate)] = 0.0  # until the first reflection
    tail *= level / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return fftconvolve(sound, tail)[: len(sound)].astype(np.float32)


def _phone(sound: Sound, rate: int, rng: np.random.Generator) -> Sound:
    """Keep the telephone's band, from about 300 to 3400 Hz, in 8 bits of the mu-law."""
    from scipy.signal import butter, sosfilt

    band = butter(4, (rng.uniform(200, 400), rng.uniform(3000, 3700)), "bandpass", fs=rate, output="sos")
    narrow = np.asarray(sosfilt(band, sound)).clip(-1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU) * 127) / 127
    return np.asarray(np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU, np.float32)


def _gain(sound: Sound, _rate: int, rng: np.random.Generator) -> Sound:
    """Make it 0 to 30 dB softer, in 16 bits; where loudness is normalised after, the coarser steps are all that stays."""
    softer = sound * 10 ** (-rng.uniform(0, 30) / 20)
    return np.asarray(np.round(softer * 2**15) / 2**15, np.float32)


def _codec(sound: Sound, rate: int, rng: np.random.Generator) -> Sound:
    """Encode and decode it by Opus, MP3 or AAC at a low bit rate."""
    codec, container = _CODECS[rng.integers(len(_CODECS))]
    bits = round(float(np.exp(rng.uniform(*np.log(_RATES[codec])))))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout="mono", bit_rate=bits)
        kind = "s16" if codec == "libopus" else "fltp"
        samples = sound.clip(-1, 1 - 2**-15)
        given = np.round(samples * 2**15).astype(np.int16) if kind == "s16" else samples.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(given[None], format=kind, layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r", format={"adts": "aac"}.get(container, container)) as read:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        parts = [each.to_ndarray()[0] for frame in read.decode(audio=0) for each in resampler.resample(frame)]
        parts += [each.to_ndarray()[0] for each in resampler.resample(None)]
    decoded = np.concatenate([*parts, np.zeros(len(sound), np.float32)])
    return decoded[: len(sound)].astype(np.float32)


SPOILERS: Final[dict[str, Callable[[Sound, int, np.random.Generator], Sound]]] = {
    "gain": _gain,
    "noise": _noise,
    "room": _room,
    "codec": _codec,
    "phone": _phone,
}
"""Ways to spoil a piece of sound, by the names that `spoil` takes."""
