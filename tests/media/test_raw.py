"""Streams outside any container, which have no time stamps."""

from fractions import Fraction

import av
import pytest
from PIL import Image

from tests.media.conftest import number, numbered
from vidfer.media.decode import probe, read_frames
from vidfer.media.find import find_clips
from vidfer.types import ClipError

QUIET = {"x265-params": "log-level=error"}
UNTIMED = {"x265-params": "log-level=error:vui-timing-info=0"}

pytestmark = pytest.mark.usefixtures("in_process")


def write(path, codec, rate, options):
    with av.open(str(path), "w", format={"libx264": "h264", "libx265": "hevc"}[codec]) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k, image in enumerate(numbered(12)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate", "options"),
    [
        ("a.h264", "libx264", 30, {"bf": "2"}),
        ("a.264", "libx264", Fraction(30000, 1001), {"bf": "0"}),
        ("a.bin", "libx264", 10, {"bf": "3"}),
        ("a.hevc", "libx265", 50, QUIET),
    ],
)
def test_frames_come_at_the_rate_that_the_stream_names(tmp_path, name, codec, rate, options):
    path = write(tmp_path / name, codec, rate, options)
    frames = list(read_frames(path, fps=None))
    assert [number(frame.image) for frame in frames] == list(range(12))
    assert [frame.pts for frame in frames] == pytest.approx([float(k / rate) for k in range(12)], abs=1e-6)
    about = probe(path)
    assert (about.video.fps, about.video.choice) == (pytest.approx(float(rate)), "")
    assert [file for file, _ in find_clips([tmp_path])] == [path]


def test_without_a_rate_25_are_assumed_and_told(tmp_path):
    path = write(tmp_path / "a.h265", "libx265", 30, UNTIMED)
    assert [frame.pts for frame in read_frames(path, fps=None)] == pytest.approx([k / 25 for k in range(12)])
    assert probe(path).video.choice.endswith("25 frames a second are assumed")


def test_jpegs_one_after_the_other_are_a_video_by_their_name(tmp_path):
    for image in numbered(5):
        Image.fromarray(image).save(tmp_path / "one.jpg", quality=95)
        with (tmp_path / "a.mjpeg").open("ab") as file:
            file.write((tmp_path / "one.jpg").read_bytes())
    assert [number(frame.image) for frame in read_frames(tmp_path / "a.mjpeg", fps=None)] == list(range(5))


def test_bytes_like_a_start_code_are_no_stream(tmp_path):
    (tmp_path / "a.h264").write_bytes(b"\0\0\0\1\x67" + bytes(3000))
    with pytest.raises(ClipError):
        list(read_frames(tmp_path / "a.h264"))


@pytest.mark.parametrize(
    ("rate", "height", "pixels"), [(Fraction(25), 576, "yuv420p"), (Fraction(30000, 1001), 480, "yuv411p")]
)
@pytest.mark.parametrize("ending", ["dv", "mov", "avi", "mxf"])
def test_the_rate_of_dv_is_told_in_any_container(tmp_path, rate, height, pixels, ending):
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("dvvideo", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 720, height, pixels
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(720, height, pixels)))
        container.mux(stream.encode(None))
    assert probe(path).video.fps == pytest.approx(float(rate), rel=1e-3)
    assert [frame.pts for frame in read_frames(path, fps=None)] == pytest.approx(
        [k / float(rate) for k in range(5)], abs=1e-3
    )
