"""The overlay is the clip: frame by frame, at the same times, with the same sound."""

from fractions import Fraction

import numpy as np
import pytest

from tests.overlay.conftest import number_of, people_of, read_back, write_clip_file
from vidfer.overlay import write_overlay

SLIP = 48
"""Samples: Matroska rounds times to 1 ms, and with them where Opus begins."""

ADTS = (b"\xff\xf1", b"\xff\xf9")
"""What a header of 7 bytes begins with, which AAC has before each packet in MPEG-TS."""

FILM = Fraction(24_000, 1001)


def steady(count, rate, start=0.0):
    return [start + number / float(rate) for number in range(count)]


def uneven(count, seed=0):
    steps = np.random.default_rng(seed).integers(12, 120, count - 1) / 1000
    return [0.0, *np.cumsum(steps).round(3).tolist()]


CLIPS = {
    "film.mp4": {"times": steady(30, FILM), "rate": FILM, "base": 1 / FILM},
    "uneven.mp4": {"times": uneven(25)},
    "uneven.mkv": {"times": uneven(25, 1), "sound": "flac", "sampling": 44_100},
    "rotated.mov": {"times": steady(12, 30), "rate": 30, "rotation": 90},
    "rotated270.mp4": {"times": steady(8, 30), "rate": 30, "rotation": -90, "sound": None},
    "late.mkv": {"times": steady(12, 25, 3.0), "sound": "libopus"},
    "late.ts": {"times": steady(12, 25, 1.0)},
    "sound_later.mp4": {"times": steady(15, 25), "sound_start": 0.2, "seconds": 0.8},
    "odd.mkv": {
        "times": steady(6, 10),
        "rate": 10,
        "size": (161, 121),
        "codec": "ffv1",
        "pix_fmt": "yuv444p",
        "sound": None,
    },
    "wide.mp4": {"times": steady(6, 10), "rate": 10, "aspect": Fraction(4, 3), "sound": "libmp3lame"},
    "ten_bits.mkv": {
        "times": steady(8, 25),
        "codec": "ffv1",
        "pix_fmt": "yuv420p10le",
        "sound": "pcm_s16le",
        "layout": "stereo",
    },
    "full_range.avi": {
        "times": steady(8, 25),
        "base": Fraction(1, 25),
        "codec": "mjpeg",
        "pix_fmt": "yuvj422p",
        "sound": "pcm_s16le",
    },
    "five_one.mkv": {"times": steady(8, 25), "sound": "pcm_s16le", "layout": "5.1"},
    "odd_layout.mkv": {"times": steady(8, 25), "sound": "pcm_s16le", "layout": "2.1", "sampling": 11_000},
    "vp9.webm": {"times": steady(8, 25), "codec": "libvpx-vp9", "sound": "libopus"},
}

FIRST = ("film.mp4", "uneven.mp4", "rotated.mov", "late.ts", "odd.mkv", "wide.mp4", "ten_bits.mkv")
"""Those that are tried each time."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in CLIPS]
)
def test_every_frame_and_the_sound_are_those_of_the_clip(tmp_path, in_process, name):
    clip = write_clip_file(tmp_path / name, **CLIPS[name])
    tables, summary = people_of({1: [(at / 5, (90 + at, 60, 120 + at, 100)) for at in range(8)]})
    written = write_overlay(clip, tables, summary, tmp_path / "overlay.mp4")
    source, made = read_back(clip), read_back(tmp_path / "overlay.mp4")
    count = len(CLIPS[name]["times"])
    upright = [np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)) for frame in source["frames"]]
    if not CLIPS[name].get("rotation"):
        assert [number_of(image) for image in upright] == list(range(count))
    strip = made["frames"][0].height - 2 * -(-upright[0].shape[0] // 2)
    assert strip > 0
    assert written.n_frames == len(made["frames"]) == count
    seen = [frame.to_ndarray(format="rgb24")[:-strip] for frame in made["frames"]]
    back = [np.rot90(image, -round(source["frames"][0].rotation / 90)) for image in seen]
    assert [number_of(image) for image in back] == list(range(count))
    assert np.diff(made["times"]) == pytest.approx(np.diff(source["times"]), abs=2e-4)
    assert made["times"][0] == pytest.approx(source["times"][0], abs=1e-3)
    if source["frames"][-1].duration:
        assert made["end"] == pytest.approx(source["end"], abs=2e-3)
    assert made["frames"][0].rotation == 0
    check_sound(source, made, written.notes)


def check_sound(source, made, notes):
    if not source["packets"]:
        assert not made["packets"]
        return
    if not notes:
        assert made["packets"] == [each[7:] if each[:2] in ADTS else each for each in source["packets"]]
        assert abs(made["sound"].shape[1] - source["sound"].shape[1]) <= 1024
    else:
        assert "AAC" in notes[0]
        assert made["sound"].shape[1] >= source["sound"].shape[1] * 0.99
    assert made["first"] == pytest.approx(source["first"], abs=2e-3)
    heard, meant = (each["sound"].mean(axis=0) for each in (made, source))
    if made["rate"] == source["rate"]:
        shifts = range(-SLIP, SLIP + 1) if made["codec"] == "opus" else (0,)
        alike = [np.corrcoef(heard[3000 + shift : 6000 + shift], meant[3000:6000])[0, 1] for shift in shifts]
        assert max(alike) > 0.99
