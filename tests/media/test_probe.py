import struct

import av
import numpy as np
import pytest

from tests.media.conftest import numbered
from vidfer.media.container import recorded_at
from vidfer.media.decode import AudioInfo, measure, probe
from vidfer.types import ClipError, Status


def test_video(write_video):
    told = probe(write_video("a.mp4", numbered(20), rotation=90, options={"bf": "0"}))
    assert (told.video.codec, told.video.pix_fmt, told.video.width, told.video.height) == ("h264", "yuv420p", 64, 48)
    assert told.video.rotation == 90
    assert told.video.fps == pytest.approx(10, rel=0.1)
    assert told.duration == pytest.approx(2.0, abs=0.15)
    assert not told.video.interlaced
    assert not told.video.edit_list
    assert told.audio is None


def test_edit_list(write_video):
    assert probe(write_video("a.mp4", numbered(20), options={"bf": "2"})).video.edit_list


def test_sound(write_sound):
    told = probe(write_sound("a.wav", np.zeros((2, 24_000)), rate=48_000))
    assert told.video is None
    assert told.audio == AudioInfo("pcm_s16le", 48_000, 2)
    assert told.duration == pytest.approx(0.5)


def test_no_media(tmp_path):
    (tmp_path / "notes.txt").write_text("hello\n" * 100)
    with pytest.raises(ClipError) as caught:
        probe(tmp_path / "notes.txt")
    assert caught.value.status in {Status.UNSUPPORTED, Status.CORRUPT}


@pytest.mark.parametrize(
    ("metadata", "time"),
    [
        ({}, None),
        ({"creation_time": "2024-05-01T12:30:00.000000Z"}, "2024-05-01T12:30:00Z"),
        ({"com.apple.quicktime.creationdate": "2024-05-01T12:30:00+0200"}, "2024-05-01T10:30:00Z"),
        ({"creation_time": "2024-05-01 12:30:00"}, "2024-05-01T12:30:00Z"),
        ({"creation_time": "1904-01-01T00:00:00Z"}, None),
        ({"creation_time": "1970-01-01T00:00:00Z"}, None),
        ({"creation_time": "0001-01-01T00:00:00+14:00"}, None),
        ({"creation_time": "yesterday", "com.apple.quicktime.creationdate": "2024-05-01"}, "2024-05-01T00:00:00Z"),
    ],
)
def test_the_time_of_a_recording(metadata, time):
    assert recorded_at(metadata) == time


def test_a_container_with_a_clock(write_video, tmp_path):
    plain = write_video("a.mp4", numbered(3))
    assert probe(plain).recorded is None
    with av.open(str(plain)) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        target.metadata["creation_time"] = "2024-05-01T12:30:00Z"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert probe(tmp_path / "b.mp4").recorded == "2024-05-01T12:30:00Z"


def test_the_length_is_measured_whatever_is_announced(write_video, write_sound, tmp_path):
    whole = write_video("a.mp4", numbered(25))
    assert measure(whole)[1] == pytest.approx(2.5, abs=0.15)
    assert measure(whole)[0] == probe(whole)
    assert measure(write_sound("a.wav", np.zeros(24_000)))[1] == pytest.approx(1.5)
    recorded = write_video("a.webm", numbered(25), codec="libvpx", options={"deadline": "realtime"})
    content = recorded.read_bytes()
    at = content.index(b"\x44\x89\x88") + 3  # Matroska's duration, a double
    for announced in (b"\0" * 8, struct.pack(">d", 1.0), struct.pack(">d", 1e9)):
        lies = tmp_path / "lies.webm"
        lies.write_bytes(content[:at] + announced + content[at + 8 :])
        assert measure(lies)[1] == pytest.approx(2.5, abs=0.15)
