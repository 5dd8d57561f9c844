"""Every choice of frames is held against all frames as PyAV alone decodes them."""

import av
import numpy as np
import pytest

from tests.media.conftest import status_of
from vidfer.media import decode_child
from vidfer.media.decode import read_frames
from vidfer.media.sparse import SparseReader
from vidfer.types import Status

pytestmark = pytest.mark.usefixtures("in_process")

COUNT = 72
CHOICES = ({"fps": 0.3}, {"fps": 1.0}, {"fps": 4.0}, {"fps": None, "every": 7}, {"fps": None, "every": 2})
CODECS = {
    "b_frames.mp4": ("libx264", {"g": "12", "bf": "3"}),
    "open_groups.mkv": ("libx264", {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:scenecut=0"}),
    "pyramid.mkv": ("libx264", {"x264-params": "keyint=24:bframes=5:b-pyramid=normal:b-adapt=2:ref=4"}),
    "refresh.mkv": ("libx264", {"x264-params": "keyint=12:intra-refresh=1:bframes=0"}),
    "slices.mov": ("libx264", {"x264-params": "keyint=12:slices=4:bframes=2"}),
    "no_groups.mp4": ("libx264", {"g": "500", "bf": "2"}),
    "stream.ts": ("libx264", {"g": "12", "bf": "2"}),
    "alt_ref.webm": ("libvpx-vp9", {"g": "12", "lag-in-frames": "8", "auto-alt-ref": "1", "cpu-used": "8"}),
    "h265.mp4": ("libx265", {"x265-params": "keyint=12:min-keyint=12:bframes=3:log-level=none"}),
    "h265_open.mkv": ("libx265", {"x265-params": "keyint=12:min-keyint=12:bframes=3:open-gop=1:log-level=none"}),
    "old.avi": ("mpeg4", {"g": "12", "bf": "2"}),
}
SKIPS = {"b_frames.mp4", "pyramid.mkv", "slices.mov", "alt_ref.webm", "h265.mp4"}


def moving(count=COUNT):
    """Return noise that moves over a gradient, so that every frame differs and refers to others."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 96 + 3 * count), np.uint8)
    return [np.stack([noise[:, 3 * k : 3 * k + 96]] * 3, 2) // 2 + np.uint8(k) for k in range(count)]


@pytest.fixture
def readers(monkeypatch):
    """Collect the readers that were made."""
    made = []

    class Noted(SparseReader):
        def __init__(self, *args, **how):
            super().__init__(*args, **how)
            made.append(self)

    monkeypatch.setattr(decode_child, "SparseReader", Noted)
    return made


def all_frames(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        start = (container.start_time or 0) / 1e6
        frames: list[tuple[float, np.ndarray]] = []
        for frame in container.decode(stream):
            time = float(frame.pts * stream.time_base) - start
            if frames:  # none comes before another
                time = max(time, frames[-1][0] + 1e-6)
            frames.append((time, frame.to_ndarray(format="rgb24")))
        return frames, float(stream.time_base)


def choose(times, base, fps, every=1):
    """Return the numbers of the frames that are wanted, by the words of `read_frames`."""
    if fps is None:
        return list(range(0, len(times), every))
    ticks = np.arange(0, times[-1] - times[0] + 1, 1 / fps) + times[0] - base / 2 - 1e-6
    firsts = [next((k for k, time in enumerate(times) if time >= tick), None) for tick in ticks]
    return sorted({first for first in firsts if first is not None})


def hold_against_all(path, choices=CHOICES):
    frames, base = all_frames(path)
    times = [time for time, _ in frames]
    for how in choices:
        got, wanted = list(read_frames(path, **how)), choose(times, base, **how)
        assert [frame.index for frame in got] == wanted
        assert [frame.pts for frame in got] == pytest.approx([times[k] for k in wanted], abs=2e-6)
        for frame in got:
            np.testing.assert_array_equal(frame.image, frames[frame.index][1])
    return len(frames)


@pytest.mark.parametrize("name", CODECS)
def test_chosen_frames_are_those_of_the_whole(write_video, readers, name):
    codec, options = CODECS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    path = write_video(name, moving(), codec=codec, options=options)
    assert hold_against_all(path) == COUNT
    sent = [reader.decoded for reader in readers]
    if name != "h265_open.mkv":  # whose encoder now and then closes a group
        assert sent[0] < COUNT / 2 if name in SKIPS else sent[0] > 2 / 3 * COUNT


def test_frames_at_uneven_times(write_video):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.choice([0.01, 0.04, 0.3], COUNT)).round(3).tolist()
    for name in ("vfr.mkv", "vfr.mp4"):
        path = write_video(name, moving(), times=times, options={"g": "10", "bf": "2"})
        assert hold_against_all(path) == COUNT


def test_a_clip_that_was_cut_between_key_frames(write_video, tmp_path):
    """Its edit list hides the frames from the key frame to the cut."""
    whole, cut = write_video("a.mp4", moving(), options={"g": "12", "bf": "2"}), tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w", options={"avoid_negative_ts": "disabled"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size and packet.pts * packet.time_base >= 1.2:
                shift = round(1.7 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    with av.open(str(cut)) as container:
        assert any(packet.is_discard for packet in container.demux(video=0))
    assert COUNT // 2 < hold_against_all(cut) < COUNT - 12


def test_a_change_of_size_is_not_missed(write_video, tmp_path):
    """The parameters of the new size come with one packet alone, which no chosen frame needs."""
    small, large = (
        write_video(f"{k}.mp4", np.tile(moving(24), (1, 1 + k, 1, 1)), options={"g": "6", "bf": "0"}) for k in (0, 1)
    )
    path = tmp_path / "both.mkv"
    with av.open(str(path), "w") as target:
        stream = None
        for number, part in enumerate((small, large)):
            with av.open(str(part)) as source:
                template = source.streams.video[0]
                stream = stream or target.add_stream_from_template(template)
                sets = list(_parameter_sets(template.codec_context.extradata))
                first = True
                for packet in source.demux(template):
                    if not packet.size:
                        continue
                    data = b"".join(len(unit).to_bytes(4) + unit for unit in sets) * first + bytes(packet)
                    made = av.Packet(data)
                    made.pts = made.dts = packet.pts + round(2.4 * number / packet.time_base)
                    made.time_base, made.stream, made.is_keyframe = packet.time_base, stream, packet.is_keyframe
                    target.mux(made)
                    first = False
    assert hold_against_all(path, [{"fps": 1.0}, {"fps": 0.35}, {"fps": None, "every": 40}]) == 48


def _parameter_sets(avcc):
    at = 8
    length = int.from_bytes(avcc[6:8])
    yield avcc[at : at + length]
    at += length + 1
    yield avcc[at + 2 : at + 2 + int.from_bytes(avcc[at : at + 2])]


def test_damage_that_no_chosen_frame_needs_is_reported_all_the_same(write_video):
    path = write_video("a.mp4", moving(), options={"g": "6", "bf": "0"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][50]
    data = bytearray(path.read_bytes())
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    for how in ({"fps": 0.3}, {"fps": 1.0}, {"fps": None, "every": 4}):
        status, frames = status_of(path, **how)
        assert status is Status.PARTIAL
        assert frames[-1].pts > 6.0


def test_a_damaged_key_picture_is_made_up_as_where_all_is_decoded(write_video):
    """The decoder fills in what an earlier picture showed, here of a group that otherwise is not decoded to its end."""
    path = write_video("a.mp4", moving(), options={"g": "12", "bf": "2"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][24]
    assert packet.is_keyframe
    data, middle = bytearray(path.read_bytes()), packet.pos + packet.size // 2
    data[middle : middle + 30] = bytes(range(60, 90))
    path.write_bytes(data)
    every, frames = list(read_frames(path, fps=None)), list(read_frames(path, fps=None, every=4))
    assert [frame.index for frame in frames] == list(range(0, COUNT, 4))
    for frame in frames:
        np.testing.assert_array_equal(frame.image, every[frame.index].image)


def test_times_that_ignore_the_order_of_pictures(write_video, tmp_path):
    """As of a stream without times that was put into a container: each packet has its place's."""
    pyramid = {"x264-params": "keyint=24:bframes=3:b-adapt=0:scenecut=0"}
    whole, flat = write_video("a.mp4", moving(), options=pyramid), tmp_path / "flat.mp4"
    with av.open(str(whole)) as source, av.open(str(flat), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts, packet.stream = packet.dts, stream
                target.mux(packet)
    assert hold_against_all(flat) >= COUNT - 3  # some have the time of another


def test_a_recording_that_breaks_off(write_video):
    path = write_video("a.mkv", moving(), options={"g": "6", "bf": "2"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    every = status_of(path, fps=None)
    assert every[0] is Status.PARTIAL
    status, frames = status_of(path, fps=None, every=3)
    assert status is Status.PARTIAL
    known = [frame for frame in every[1] if frame.index % 3 == 0]
    assert len(known) <= len(frames) <= len(known) + 1
    for one, other in zip(known, frames, strict=False):
        assert (one.index, one.pts) == (other.index, other.pts)
        np.testing.assert_array_equal(one.image, other.image)
