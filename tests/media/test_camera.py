"""A camera, for which a file stands behind the same interface."""

import os
import re
import signal
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media.conftest import number, numbered
from vidfer.media import camera as cameras
from vidfer.media.camera import CameraInput, CameraSource, record_camera
from vidfer.media.decode import Frame, read_frames
from vidfer.media.record import record_frames
from vidfer.types import UsageError, VidferError


@pytest.fixture
def source(tmp_path):
    record_frames(((100 + k / 10, image) for k, image in enumerate(numbered(10))), tmp_path / "camera-7")
    return CameraInput(None, f"{tmp_path}/camera-{{name}}")


def test_frames_have_times_from_the_first(source):
    with CameraSource(7, source=source) as camera:
        frames = list(camera)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.pts for frame in frames] == pytest.approx(np.arange(10) / 10)
    assert [number(frame.image) for frame in frames] == list(range(10))


def test_seconds_and_stop_end_it(source):
    with CameraSource(7, seconds=0.45, source=source) as camera:
        assert len(list(camera)) == 5
    with CameraSource(7, source=source) as camera:
        seen = []
        for frame in camera:
            seen.append(frame)
            if len(seen) == 3:
                camera.stop()
        assert len(seen) == 3


@pytest.mark.parametrize("system", ["linux", "darwin", "win32", "plan9"])
def test_a_camera_that_cannot_be_used_is_one_sentence(monkeypatch, system):
    monkeypatch.setattr(cameras.sys, "platform", system)
    with pytest.raises(VidferError, match="camera") as told:
        CameraSource(99)
    assert "\n" not in str(told.value)


def test_a_missing_camera_and_one_without_pictures(tmp_path, write_sound):
    with pytest.raises(UsageError, match="there is no camera 7"):
        CameraSource(7, source=CameraInput(None, f"{tmp_path}/{{name}}"))
    write_sound("a.wav", np.zeros(8000))
    with pytest.raises(VidferError, match="gives no pictures"):
        CameraSource("a.wav", source=CameraInput(None, f"{tmp_path}/{{name}}"))


def test_damaged_pictures_are_left_out_and_what_ends_the_camera_is_told(source, monkeypatch):
    def packet(image, at):
        def decode():
            if image is None:
                raise av.error.InvalidDataError(1, "damaged")
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = at, Fraction(1, 10)
            return [picture]

        return SimpleNamespace(decode=decode)

    def unplugged(**_):
        images = numbered(4)
        yield from (packet(image, at) for at, image in enumerate([None, images[1], None, images[3]]))
        raise av.error.OSError(19, "No such device")

    frames = []
    with CameraSource(7, source=source) as camera:
        monkeypatch.setattr(camera, "_container", SimpleNamespace(demux=unplugged, close=lambda: None))
        with pytest.raises(VidferError, match="camera 7 gives no more pictures: No such device"):
            frames.extend(camera)
    assert [(number(frame.image), frame.pts) for frame in frames] == [(1, 0), (3, pytest.approx(0.2))]


def test_a_recording_ends_with_ctrl_c_and_is_a_clip(tmp_path):
    def presses_ctrl_c(*_):
        for k, image in enumerate(numbered(10)):
            if k == 4:
                os.kill(os.getpid(), signal.SIGINT)
            yield Frame(k, k / 10, image)
            if camera.stopped:
                return

    camera = type("Source", (), {"__iter__": presses_ctrl_c, "name": 0, "stopped": False,
                                 "stop": lambda self: setattr(self, "stopped", True)})()  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    path = record_camera(camera, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert re.fullmatch(r"camera-0-\d{8}T\d{6}Z", path.name)
    assert [number(frame.image) for frame in read_frames(path, fps=None)] == [0, 1, 2, 3, 4]
