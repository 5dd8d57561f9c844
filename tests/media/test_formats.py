"""Every suffix of docs/how-to/input.md is read, and is what `find_clips` knows."""

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vidfer.media import audio_child, decode_child, find
from vidfer.media.container import open_media
from vidfer.types import ClipError

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "input.md").read_text()
ROWS = {
    row.split("|")[1].strip(): re.findall(r"`(\w+)`", row.split("|")[2]) for row in PAGE.splitlines() if "| `" in row
}

VIDEOS = {
    **dict.fromkeys(("mp4", "m4v", "mov", "qt", "mkv", "nut"), (None, "mpeg4")),
    **dict.fromkeys(("avi", "mkv"), (None, "mpeg4")),
    **dict.fromkeys(("3gp", "3g2"), (None, "mpeg4")),
    **dict.fromkeys(("mpg", "mpeg", "vob", "ts", "mxf"), (None, "mpeg2video")),
    **dict.fromkeys(("m2ts", "mts"), ("mpegts", "mpeg2video")),
    **dict.fromkeys(("wmv", "asf"), ("asf", "wmv2")),
    "qt": ("mov", "mpeg4"),
    "webm": (None, "libvpx"),
    "ivf": (None, "libvpx"),
    "flv": (None, "flv1"),
    "ogv": ("ogg", "libvpx"),
    "dv": (None, "dvvideo"),
    "y4m": ("yuv4mpegpipe", "rawvideo"),
    **dict.fromkeys(("h264", "264", "avc"), ("h264", "libx264")),
    **dict.fromkeys(("h265", "265", "hevc"), ("hevc", "libx265")),
}
SOUNDS = {
    **dict.fromkeys(("wav", "w64"), (None, "pcm_s16le")),
    **dict.fromkeys(("aif", "aiff", "caf", "au"), (None, "pcm_s16be")),
    **dict.fromkeys(("ogg", "oga"), ("ogg", "libopus")),
    "aif": ("aiff", "pcm_s16be"),
    "flac": (None, "flac"),
    "mp3": (None, "libmp3lame"),
    "aac": ("adts", "aac"),
    "m4a": ("mp4", "aac"),
    "opus": ("ogg", "libopus"),
    "wma": ("asf", "wmav2"),
}
PICTURES = {"png": "PNG", "apng": "PNG", "webp": "WEBP", "gif": "GIF"} | dict.fromkeys(
    ("jpg", "jpeg", "jpe", "jfif"), "JPEG"
)


def test_the_page_names_what_is_found():
    named = set(re.search(r"\((.*)\)", find._NAMED.pattern, re.DOTALL)[1].replace("\n", "").split("|"))
    rows = ["videos", "streams outside any container", "sound", "pictures and animations"]
    assert {suffix for row in rows for suffix in ROWS[row]} == named | {"ts"}


def write_video(path, container, codec):
    width, height = (720, 576) if codec == "dvvideo" else (64, 48)
    options = {"x265-params": "log-level=error"} if codec == "libx265" else {}
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        rng = np.random.default_rng(0)
        for k in range(3):  # of noise: a transport stream of a few packets is not known as one
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            file.mux(stream.encode(frame.reformat(format="yuv420p")))
        file.mux(stream.encode(None))


def write_sound(path, container, codec):
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        tone = np.sin(np.arange(24_000) / 20).astype(np.float32)
        frames = av.AudioResampler(stream.format, "mono", 48_000, stream.codec_context.frame_size or 960)
        for at in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 960], format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
            for each in frames.resample(frame):
                file.mux(stream.encode(each))
        file.mux(stream.encode(None))


def frames_of(path):
    request = {"op": "frames", "path": str(path), "fps": None, "every": None, "decoder": "auto", "max_pixels": 10**6}
    return [header for header, payload in decode_child.handle(request) if payload is not None]


@pytest.mark.parametrize("suffix", ROWS["videos"] + ROWS["streams outside any container"])
def test_a_video_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix in {"mjpg", "mjpeg"}:
        for _ in range(3):
            Image.new("RGB", (64, 48)).save(tmp_path / "one.jpg")
            path.write_bytes((path.read_bytes() if path.exists() else b"") + (tmp_path / "one.jpg").read_bytes())
    else:
        write_video(path, *VIDEOS[suffix])
    assert len(frames_of(path)) == 3


@pytest.mark.parametrize("suffix", ROWS["sound"])
def test_a_sound_is_heard(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(audio_child, "_describe", lambda *_: ({}, None))
    path = tmp_path / f"a.{suffix}"
    if suffix == "amr":  # no encoder: frames of 12.2 kbit/s and of nothing but zeros
        path.write_bytes(b"#!AMR\n" + 25 * (b"\x3c" + bytes(31)))
    else:
        write_sound(path, *SOUNDS[suffix])
    request = {"path": str(path), "win_dur": 0.2, "hop_dur": 0.2, "speed": 1.0, "vad": False}
    *_, (end, _) = audio_child.handle({**request, "loudness": None, "augment": ""})
    assert end["seconds"] == pytest.approx(0.5, abs=0.06)
    assert end["end"] == ""


@pytest.mark.parametrize("suffix", ROWS["pictures and animations"])
def test_a_picture_is_read(tmp_path, suffix):
    Image.new("RGB", (64, 48)).save(tmp_path / f"a.{suffix}", format=PICTURES[suffix])
    assert len(frames_of(tmp_path / f"a.{suffix}")) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"Dear all,\n", "a text, not a video"),
        ("Größe: fünf\n".encode() * 500, "a text, not a video"),
        (b"ab\xe2\x82", "a text, not a video"),  # a character that is cut
        (b"Gr\xf6\xdfe: " * 500, "cannot be opened"),
        (b"moov\x00\x00 text" * 500, "cannot be opened"),
    ],
)
def test_a_text_is_told_from_a_damaged_file(content, sentence, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=sentence):
        open_media(str(path))
