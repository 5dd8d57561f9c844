"""One time line for faces and sound: a flash and a beep at the same true time come out together, or the result says why not."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from vidfer.media.audio import read_windows
from vidfer.media.audio_child import RATE, Listener
from vidfer.media.container import open_media
from vidfer.media.decode_child import handle
from vidfer.media.downmix import Downmix
from vidfer.media.timeline import seconds

FPS, HZ = 20, 48_000


def write(
    path, *, seconds=3.0, marks=(1.0,), video=(0.0, 3.0), sound=(0.0, 3.0), video_map=None, sound_map=None, offset=0
):
    """Write a white frame and a beep at each of `marks`; `video` and `sound` say from when to when there are any.

    The maps turn true times into stamps, both in s; all stamps are shifted by `offset` s.
    """
    codecs = ("mpeg2video", "mp2") if path.suffix in {".ts", ".mpg"} else ("mpeg4", "pcm_s16le")
    codecs = ("mpeg4", "aac") if path.suffix == ".mp4" else codecs
    with av.open(str(path), "w", options={"output_ts_offset": str(offset)} if offset else {}) as container:
        pictures = container.add_stream(codecs[0], rate=FPS, options={"g": "5", "bf": "0"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        voice = container.add_stream(codecs[1], rate=HZ, layout="mono")
        packets = []
        for k in range(round(video[0] * FPS), round(video[1] * FPS)):
            bright = any(abs(k / FPS - mark) < 0.5 / FPS for mark in marks)
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 235 if bright else 30, np.uint8), format="rgb24")
            frame.pts = round((video_map or float)(k / FPS) * FPS)
            frame.time_base = Fraction(1, FPS)
            packets += [(k / FPS, packet) for packet in pictures.encode(frame)]
        packets += [(seconds, packet) for packet in pictures.encode(None)]
        time = np.arange(round(seconds * HZ)) / HZ
        wave = sum(np.sin(2 * np.pi * 1000 * time) * ((time >= mark) & (time < mark + 0.1)) for mark in marks)
        samples = np.round(12_000 * wave).astype(np.int16)
        step = voice.codec_context.frame_size or 960
        for at in range(round(sound[0] * HZ), round(sound[1] * HZ), step):
            piece = np.ascontiguousarray(samples[None, at : at + step])
            frame = av.AudioFrame.from_ndarray(piece.astype(np.float32) / 32768 if codecs[1] == "aac" else piece,
                                               format="fltp" if codecs[1] == "aac" else "s16", layout="mono")  # fmt: skip
            frame.sample_rate, frame.time_base = HZ, Fraction(1, HZ)
            frame.pts = round((sound_map or float)(at / HZ) * HZ)
            packets += [(at / HZ, packet) for packet in voice.encode(frame)]
        packets += [(seconds, packet) for packet in voice.encode(None)]
        for _, packet in sorted(packets, key=lambda each: each[0]):
            container.mux(packet)
    return path


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes(path):
    """Return when white frames begin; in this process, since a child takes longer to start than to decode."""
    request = {"op": "frames", "path": str(path), "fps": None, "every": None, "decoder": "auto", "max_pixels": 10**6}
    messages = [(header, payload) for header, payload in handle(request) if "index" in header]
    bright = [(header["pts"], np.frombuffer(payload, np.uint8).mean() > 130) for header, payload in messages]
    return [pts for (_, before), (pts, now) in pairwise(bright) if now and not before]


def listen(path):
    """Return when beeps begin, by the samples that windows are cut from, and what is said of the time line."""
    times, count = [np.zeros(0)], 0
    with open_media(str(path)) as container:
        listener = Listener(container, Downmix())
        for samples in listener.samples():
            times.append((count + np.flatnonzero(np.abs(samples) > 0.05)) / RATE + listener.offset)
            count += len(samples)
    found = np.concatenate(times)
    return [*found[:1].tolist(), *found[1:][np.diff(found) > 0.3].tolist()], listener.line.doubt()


def assert_together(path, count):
    seen, (heard, doubt) = flashes(path), listen(path)
    assert len(seen) == len(heard) == count, (seen, heard)
    assert seen == pytest.approx(heard, abs=0.05)
    assert doubt == ""
    return seen


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.mpg", "a.nut"])
@pytest.mark.parametrize(
    ("video", "sound"), [((0, 3), (0, 3)), ((0.6, 3), (0, 3)), ((0, 3), (0.7, 2.5)), ((0.6, 2), (0.2, 3))]
)
@pytest.mark.slow
def test_streams_that_start_and_end_at_different_times(tmp_path, name, video, sound):
    path = write(tmp_path / name, video=video, sound=sound)
    assert assert_together(path, 1)[0] == pytest.approx(1.0 - min(video[0], sound[0]), abs=0.1)


SPANS = [
    ((0, 3), (0, 3)),
    ((0.5, 3), (0, 3)),
    ((0, 3), (0.5, 3)),
    ((0, 2), (0, 3)),
    ((0, 3), (0, 2)),
    ((0.5, 3), (0, 2)),
]


@pytest.mark.parametrize("name", ["a.ts", pytest.param("a.mpg", marks=pytest.mark.slow)])
def test_stamps_that_start_anew_shift_both_streams_alike(tmp_path, name):
    for number, ((video, sound), (video2, sound2)) in enumerate(zip(SPANS, SPANS[2:] + SPANS[:2], strict=True)):
        first = write(tmp_path / f"1{name}", video=video, sound=sound)
        second = write(tmp_path / f"2{name}", video=video2, sound=sound2)
        path = joined(tmp_path / f"{number}{name}", first, second, first)
        times = assert_together(path, 3)
        assert np.all(np.diff(times) > 1.0)


def test_parts_whose_stamps_jump_ahead_or_back_by_much(tmp_path):
    parts = [write(tmp_path / f"{offset}.ts", offset=offset) for offset in (500, 30, 60, 5000, 10)]
    path = joined(tmp_path / "a.ts", *parts)
    assert_together(path, 5)
    message = read_windows(path, vad=False).message
    assert "jumps by" in message
    assert "apart" not in message


def test_the_33_bits_of_a_transport_stream_run_over(tmp_path):
    how = {"seconds": 5, "marks": (0.5, 3.5), "video": (0, 5), "sound": (0, 5)}
    for offset in (95_442.0, 95_443.0, 95_443.717):
        assert_together(write(tmp_path / f"{offset}.ts", offset=offset, **how), 2)


def pause(at, by):
    return lambda time: time + by * (time >= at)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.nut"])
def test_a_pause_of_the_clock_in_both_streams_is_no_matter(tmp_path, name):
    path = write(tmp_path / name, marks=(0.5, 2.5), video_map=pause(1.5, 7.0), sound_map=pause(1.5, 7.0))
    assert assert_together(path, 2) == pytest.approx([0.5, 9.5], abs=0.1)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.nut"])
@pytest.mark.parametrize("which", ["video_map", "sound_map"])
def test_a_clock_that_jumps_in_one_stream_alone_is_told(tmp_path, name, which):
    path = write(tmp_path / name, marks=(0.5, 2.5), **{which: pause(1.5, 7.0)})
    seen, (heard, doubt) = flashes(path), listen(path)
    assert seen[0] == pytest.approx(heard[0], abs=0.05)
    assert abs(seen[1] - heard[1]) == pytest.approx(7, abs=0.1)
    what = "pictures" if which == "video_map" else "sound"
    assert f"the time stamps of the {what} alone jump ahead by 7.0 s" in doubt
    assert "may lie apart" in doubt


@pytest.mark.parametrize("name", ["a.mkv", "a.nut"])
def test_a_pause_of_one_stream_alone_is_no_matter(tmp_path, name):
    """Nobody speaks, or the picture stands still: the other stream goes on, and both end together."""
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=FPS)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        voice = container.add_stream("pcm_s16le", rate=HZ, layout="mono")
        for k in range(12 * FPS):
            if not 40 <= k < 140:
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, FPS)
                container.mux(pictures.encode(frame))
            if not 100 <= k < 200:
                frame = av.AudioFrame.from_ndarray(np.full((1, HZ // FPS), 99, np.int16), format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = HZ, k * HZ // FPS, Fraction(1, HZ)
                container.mux(voice.encode(frame))
        container.mux(pictures.encode(None))
    assert listen(path)[1] == ""


def test_stamps_that_start_anew_in_one_stream_alone_are_told(tmp_path):
    """A recorder whose pictures were restarted: the first part has no sound stamps of its own."""
    silent = write(tmp_path / "2.ts", sound=(0, 0.0))
    path = joined(tmp_path / "a.ts", write(tmp_path / "1.ts"), silent)
    message = read_windows(path, vad=False).message
    assert "time stamps start anew 1 times in the pictures and 0 times in the sound" in message


def test_seconds_are_those_of_fractions_in_every_bit():
    rng = np.random.default_rng(0)
    for base in (Fraction(1, 90_000), Fraction(1, 44_100), Fraction(1001, 30_000), Fraction(1, 10**9)):
        for stamp in (-1, 0, 2**33 - 1, 2**62 + 1, *rng.integers(-(2**53), 2**53, 50).tolist()):
            assert seconds(stamp, base) == float(stamp * base)
