import numpy as np
import pytest

from tests.media.conftest import numbered
from vidfer.media.decode import AudioInfo, probe
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
