"""Odd sound files."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.clips import Kind
from tests.faults.odd.films import Edit, box, noise, sound, spot, tone, wav
from tests.faults.odd.videos import content, cut

PCM = tone(1.5)[0].tobytes()


def edited(name: str, suffix: str, edit: Edit, status: Any, samples: np.ndarray | None = None, **how: Any) -> Kind:
    """A tone whose bytes are changed."""

    def make(folder: Path) -> Path:
        path = sound(folder / f"{name}.{suffix}", tone(1.5) if samples is None else samples, **how)
        path.write_bytes(edit(path.read_bytes()))
        return path

    return Kind(name, make, status)


def _floats(*odd: float) -> bytes:
    samples = tone(1.5)[0].astype(np.float32) / 32768
    samples[:: 4000 // len(odd)] = odd[0]
    return samples.tobytes()


def _chained(data: bytes) -> bytes:
    return data + data


SOUNDS = (
    content("wav_says_too_much", "wav", wav(PCM, size=2**31), "no_video"),
    content("wav_says_nothing", "wav", wav(PCM, size=0), "no_video"),
    content("wav_unknown_length", "wav", wav(PCM, size=2**32 - 1), "no_video"),
    content("wav_empty", "wav", wav(b""), ("no_video", "corrupt")),
    content("wav_no_channels", "wav", wav(PCM, channels=0), "no_video"),
    content("wav_no_rate", "wav", wav(PCM, rate=0), "corrupt"),
    content("wav_no_bits", "wav", wav(PCM, bits=0), ("corrupt", "no_video")),
    content("wav_odd_bits", "wav", wav(PCM, bits=13), ("corrupt", "no_video")),
    content("wav_unknown_code", "wav", wav(PCM, code=0x7777), ("unsupported", "no_video")),
    content("wav_rate_of_2_ghz", "wav", wav(PCM, rate=2**31 - 1), "no_video"),
    content("wav_not_numbers", "wav", wav(_floats(float("nan")), code=3, bits=32), "no_video"),
    content("wav_infinite", "wav", wav(_floats(float("inf")), code=3, bits=32), "no_video"),
    content("wav_huge_values", "wav", wav(_floats(3e38), code=3, bits=32), "no_video"),
    content("au_lies", "au", b".snd" + struct.pack(">IIIII", 24, 2**32 - 2, 3, 16_000, 1) + PCM, "corrupt"),
    content("amr_noise", "amr", b"#!AMR\n" + noise(3_000), ("no_video", "corrupt")),
    content("aac_noise", "aac", b"\xff\xf1\x50\x80" + noise(3_000), ("no_video", "corrupt")),
    content("mp3_noise", "mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + noise(3_000), ("no_video", "corrupt")),
    content("boxes_of_sound", "m4a", box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", noise(300)), "corrupt"),
    edited("flac_truncated", "flac", cut(0.5), "no_video", codec="flac"),
    edited("flac_header_only", "flac", lambda data: data[:42], ("no_video", "corrupt"), codec="flac"),
    edited("flac_flipped", "flac", lambda data: data[:9000] + bytes(500) + data[9500:], "no_video", codec="flac"),
    edited("mp3_junk_before", "mp3", lambda data: noise(5_000) + data, ("no_video", "corrupt"), codec="libmp3lame"),
    edited("mp3_junk_within", "mp3", lambda d: d[:4000] + noise(2_000) + d[4000:], "no_video", codec="libmp3lame"),
    edited("ogg_chained", "ogg", _chained, "no_video", codec="libopus", rate=48_000, samples=tone(1.5, 48_000)),
    edited(
        "ogg_bad_sums",
        "ogg",
        lambda data: spot(data, b"OggS", 22, noise(4), last=True),
        "no_video",
        codec="libopus",
        rate=48_000,
        samples=tone(1.5, 48_000),
    ),
    edited("aiff_truncated", "aiff", cut(0.5), "no_video", codec="pcm_s16be"),
    edited("wav_8_bit", "wav", bytes, "no_video", codec="pcm_u8"),
    edited("wav_surround", "wav", bytes, "no_video", samples=tone(1.5, channels=6)),
    edited("wav_adpcm_cut", "wav", cut(0.5), "no_video", codec="adpcm_ima_wav"),
)
