"""Files with several streams, in any order, of any kind, and with pauses."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media.conftest import number, numbered
from vidfer.media.audio import read_windows
from vidfer.media.decode import probe, read_frames
from vidfer.media.reader import Clock
from vidfer.types import Status

RATE = 16_000
MS = Fraction(1, 1000)


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


class Film:
    """Write streams in the order in which they are added; packets are interleaved by the muxer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = av.open(str(path), "w")
        self.parts = []

    def pictures(self, images, *, fps=10, codec="libx264", default=None, repeats=()):
        """Add a track; after the frames in `repeats` follow packets without data, one for each missing time."""
        stream = self.container.add_stream(codec, rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        self._flag(stream, default)
        self.parts.append(lambda: self._pictures(stream, images, fps, repeats))

    def sound(self, pieces, *, rate=RATE, codec="pcm_s16le", default=None):
        """Add a track of `(start in s, samples)`."""
        stream = self.container.add_stream(codec, rate=rate, layout="mono")
        self._flag(stream, default)
        self.parts.append(lambda: self._sound(stream, pieces, rate))

    def data(self, seconds):
        """Add a track of something else, with a packet a second."""
        stream = self.container.add_data_stream("bin_data")
        self.parts.append(lambda: self._data(stream, seconds))

    def save(self) -> Path:
        """Write all packets in the order of their times."""
        packets = [packet for part in self.parts for packet in part()]
        for packet in sorted(packets, key=lambda each: float((each.dts or 0) * each.time_base)):
            self.container.mux(packet)
        self.container.close()
        return self.path

    def _flag(self, stream, default):
        if default is not None:
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)

    def _pictures(self, stream, images, fps, repeats):
        position = 0
        for k, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = position, Fraction(1, fps)
            yield from stream.encode(frame)
            position += 1
            if k in repeats:
                empty = av.Packet(0)
                empty.stream, empty.time_base = stream, Fraction(1, fps)
                empty.pts = empty.dts = position
                empty.duration = 1
                yield empty
                position += 1
        yield from stream.encode(None)

    def _sound(self, stream, pieces, rate):
        for start, samples in pieces:
            packed = np.round(samples * 32767).astype(np.int16)[None]
            for at in range(0, packed.shape[1], 1600):
                frame = av.AudioFrame.from_ndarray(packed[:, at : at + 1600], format="s16", layout="mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(start * rate) + at
                yield from stream.encode(frame)
        yield from stream.encode(None)

    def _data(self, stream, seconds):
        for second in range(seconds):
            packet = av.Packet(b"\x00\x01\x02\x03")
            packet.stream, packet.time_base = stream, MS
            packet.pts = packet.dts = 1000 * second
            packet.duration = 1000
            yield packet


@pytest.fixture
def film(tmp_path):
    return lambda name: Film(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["dpa", "pda", "pad", "dap", "ddpada", "apdd", "ap", "pa"])
def test_streams_of_any_kind_and_order_do_not_touch_pictures_and_sound(film, order):
    make = film("a.ts")
    for kind in order:
        if kind == "p":
            make.pictures(numbered(12))
        elif kind == "a" and not any(stream.type == "audio" for stream in make.container.streams):
            make.sound([(0.0, tone(1.2, 48_000))], rate=48_000, codec="mp2")
        else:
            make.data(2)
    path = make.save()
    assert [number(frame.image) for frame in read_frames(path, fps=None)] == list(range(12))
    assert read_windows(path).status is Status.OK


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("fps", [1, 2, 25])
@pytest.mark.parametrize("sound_first", [False, True])
def test_the_last_frames_come_whatever_the_order_of_the_streams(film, name, fps, sound_first):
    make = film(name)
    parts = [
        lambda: make.pictures(numbered(6), fps=fps),
        lambda: make.sound([(0.0, tone(6 / fps, 48_000))], rate=48_000, codec="aac"),
    ]
    for part in parts[::-1] if sound_first else parts:
        part()
    assert [number(frame.image) for frame in read_frames(make.save(), fps=None)] == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("pause", [0.5, 7.0, 90.0])
def test_sound_after_a_pause_has_its_own_times_and_the_pause_is_silent(film, pause, rate):
    make = film("a.mkv")
    begin = 4.0 + pause
    make.sound([(0.0, tone(4.0, rate)), (begin, tone(4.0, rate))], rate=rate)
    windows = read_windows(make.save())
    assert windows.status is Status.OK
    assert windows.times[-1, 1] == pytest.approx(begin + 4.0, abs=0.6)
    assert np.diff(windows.times[:, 0]).max() <= 1.0 + 1e-6  # no second is left out
    for (start, stop), status in zip(windows.times, windows.window_status, strict=True):
        heard = max(4.0 - start, stop - begin)
        assert (status != "silent") == (heard > 0.05), (start, stop)


def test_stamps_that_jump_by_hours_do_not_fill_the_memory_but_are_told(film):
    make = film("a.mkv")
    make.sound([(0.0, tone(4.0)), (90_000.0, tone(4.0))])
    windows = read_windows(make.save())
    assert windows.status is Status.PARTIAL
    assert "jumps by 25.0 h" in windows.message
    assert len(windows.times) < 10
    assert windows.times[-1, 1] == pytest.approx(90_004.0, abs=0.1)


@pytest.mark.parametrize("flagged", [0, 1, 2, None])
def test_the_track_flagged_as_default_is_used_and_the_choice_is_told(film, flagged):
    make = film("a.mkv")
    for k in range(3):
        make.pictures([np.full((48, 64, 3), 60 + 60 * k, np.uint8)] * 12, default=k == flagged)
        make.sound([(0.0, (0.0 if k != (flagged or 0) else 1.0) * tone(1.2))], default=k == flagged)
    path = make.save()
    used = flagged or 0
    assert [round(float(frame.image.mean()), -1) for frame in read_frames(path)] == [60 + 60 * used] * 6
    windows, told = read_windows(path), probe(path)
    assert windows.status is Status.OK
    for message in (windows.message, told.audio.choice, told.video.choice):
        assert f"number {used + 1} is used" in message
        assert ("default" in message) == (flagged is not None)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg", "ffv1"])
@pytest.mark.parametrize("repeats", [{2}, {1, 4, 9}, {11}])
def test_a_packet_without_data_repeats_the_frame_and_is_no_damage(film, codec, repeats):
    make = film("a.nut")
    make.pictures(numbered(12), codec=codec, repeats=repeats)
    path = make.save()
    with av.open(str(path)) as container:
        assert sum(packet.pts is not None and not packet.size for packet in container.demux()) == len(repeats)
    frames = list(read_frames(path, fps=None))  # raises where the file counts as damaged
    assert [number(frame.image) for frame in frames] == list(range(12))
    position = [k + sum(repeat < k for repeat in repeats) for k in range(12)]
    assert [frame.pts for frame in frames] == pytest.approx([each / 10 for each in position], abs=2e-3)


def test_a_frame_that_is_repeated_to_the_end_leaves_nothing_missing():
    stream = SimpleNamespace(time_base=MS, frames=9000, start_time=0, type="video")
    tracks = SimpleNamespace(video=[], audio=[])
    container = SimpleNamespace(start_time=0, duration=9_000_000, format=SimpleNamespace(name="avi"), streams=tracks)
    for repeats, missing in ((True, 0.0), (False, 8.0)):
        clock = Clock(container, stream, step=1.0)
        clock.time(0, 1.0)
        clock.read(SimpleNamespace(pts=8000, duration=1000, time_base=MS), repeats=repeats)
        assert clock.missing(whole=True) == missing
