import gc
import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.conftest import number, numbered, status_of
from vidfer.media.audio import read_windows
from vidfer.media.decode import read_frames
from vidfer.media.decode_child import Sampler
from vidfer.types import ClipError, Status


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.ts", "libx264"), ("a.webm", "libvpx-vp9"), ("a.mp4", "libsvtav1")],
)
def test_every_frame_of_common_formats(write_video, name, codec):
    path = write_video(name, numbered(12, 64, 96), codec=codec)
    frames = list(read_frames(path, fps=None))
    assert [number(frame.image) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[0].image.shape == (64, 96, 3)


def test_times_are_the_containers_not_index_over_rate(write_video):
    times = [0.0, 0.05, 0.4, 0.41, 1.0, 1.7]
    frames = list(read_frames(write_video("vfr.mkv", numbered(6), times=times), fps=None))
    assert [frame.pts for frame in frames] == pytest.approx(times, abs=1e-3)


def test_sampling_by_time_takes_the_first_frame_at_or_after_each_tick(write_video):
    times = [0.0, 0.1, 0.19, 0.21, 0.35, 0.4, 0.75, 0.8, 1.3]
    path = write_video("vfr.mkv", numbered(9), times=times)
    assert [frame.index for frame in read_frames(path, fps=5)] == [0, 3, 5, 6, 7, 8]
    assert [number(frame.image) for frame in read_frames(path, fps=None, every=4)] == [0, 4, 8]


def test_sampler_forgives_the_clocks_rounding():
    sampler = Sampler(3, None, 0.0005)
    assert [sampler.take(k, round(k / 24, 3)) for k in range(17)] == [k % 8 == 0 for k in range(17)]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(write_video, rotation):
    rng = np.random.default_rng(0)
    upright = np.kron(rng.integers(0, 256, (3, 4, 1), np.uint8), np.ones((16, 16, 3), np.uint8))
    stored = np.rot90(upright, -rotation // 90)
    path = write_video("turned.mp4", [np.ascontiguousarray(stored)] * 3, rotation=rotation, options={"crf": "1"})
    plain = write_video("plain.mp4", [upright] * 3, options={"crf": "1"})
    turned, straight = (next(read_frames(clip)).image for clip in (path, plain))
    assert turned.shape == straight.shape
    assert np.abs(turned.astype(int) - straight).mean() < 3


def test_pixels_become_square(write_video):
    path = write_video("anamorphic.mp4", numbered(2, 48, 64), aspect=Fraction(3, 2))
    assert next(read_frames(path)).image.shape == (48, 96, 3)


def test_a_file_that_breaks_off_gives_its_frames_and_then_says_so(write_video):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(40)]
    path = write_video("whole.mkv", images, options={"g": "5", "bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    status, frames = status_of(path, fps=None)
    assert status is Status.PARTIAL
    assert 10 < len(frames) < 30


def test_a_damaged_middle_is_partial_and_the_rest_is_read(write_video):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(40)]
    path = write_video("a.mp4", images, options={"g": "5", "bf": "0", "movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    status, frames = status_of(path, fps=None)
    assert status is Status.PARTIAL
    assert frames[-1].index == len(frames) - 1
    assert frames[-1].pts > 3.0


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("empty.mp4", b"", Status.CORRUPT),
        ("noise.mp4", np.random.default_rng(0).bytes(5000), Status.CORRUPT),
        ("text.mp4", b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n", Status.UNSUPPORTED),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n", Status.UNSUPPORTED),
    ],
)
def test_what_is_no_video(tmp_path, name, content, status):
    (tmp_path / name).write_bytes(content)
    assert status_of(tmp_path / name) == (status, [])


def test_a_script_that_names_another_file_is_not_followed(write_video, tmp_path):
    write_video("other.mp4", numbered(3))
    (tmp_path / "innocent.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    assert status_of(tmp_path / "innocent.mp4") == (Status.UNSUPPORTED, [])


def test_only_readable_regular_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", tmp_path, tmp_path / "missing.mp4", Path("/dev/zero")):
        with pytest.raises(ClipError) as caught:
            read_frames(path)
        assert caught.value.status is Status.UNREADABLE


def test_sound_only_is_no_video(write_sound):
    assert status_of(write_sound("a.wav", np.zeros(8000))) == (Status.NO_VIDEO, [])


def test_pixel_limit_holds_before_decoding(write_video):
    path = write_video("a.mp4", numbered(2, 48, 64))
    assert status_of(path, max_pixels=48 * 64 - 1) == (Status.TOO_LARGE, [])
    assert status_of(path, max_pixels=48 * 64)[0] is Status.OK


@pytest.mark.parametrize(
    "name",
    ["concat:a|b.mp4", "fr%03d.mp4", "ünïcode 'quoted'.mp4", "-rf.mp4", "a?b#c.mp4", os.fsdecode(b"\xff\xfe.mp4")],
)
def test_names_are_taken_literally(write_video, tmp_path, name):
    path = write_video("a.mp4", numbered(2)).rename(tmp_path / name)
    assert status_of(path)[0] is Status.OK


@pytest.mark.parametrize(
    "choice", [{"fps": 0.0}, {"fps": 5.0, "every": 2}, {"fps": None, "every": 0}, {"fps": float("nan")}]
)
def test_senseless_sampling_is_refused(choice, tmp_path):
    with pytest.raises(ValueError, match="fps"):
        read_frames(tmp_path, **choice)


def test_closing_the_iterator_ends_the_child(write_video):
    path = write_video("a.mp4", numbered(50, 480, 640))
    frames = read_frames(path, fps=None)
    next(frames)
    children = set(_children())
    frames.close()
    gc.collect()
    assert len(children - set(_children())) == 1


def test_the_child_does_not_import_torch(write_video):
    frames = read_frames(write_video("a.mp4", numbered(50, 480, 640)), fps=None)
    next(frames)
    mapped = [Path(f"/proc/{child}/maps").read_text() for child in _children()]
    frames.close()
    assert any("libavcodec" in text for text in mapped)
    assert not any("libtorch" in text for text in mapped if "decode_child" in text or "libopensmile" not in text)


def test_memory_limit_is_a_transient_status(write_video):
    status, _ = status_of(write_video("a.mp4", numbered(3)), memory=100 << 20)
    assert status in {Status.OUT_OF_MEMORY, Status.CRASHED}


def test_a_busy_parent_does_not_use_up_the_childs_time(write_video):
    seen = 0
    for _ in read_frames(write_video("a.mp4", numbered(30, 480, 640)), fps=None, timeout=10):
        time.sleep(0.02)
        seen += 1
    assert seen == 30


def test_real_odd_files(data_dir):
    clips = data_dir / "clips/decord_testdata"
    status, frames = status_of(clips / "corrupted.mp4")
    assert status is Status.PARTIAL
    assert frames
    assert len(status_of(clips / "unordered.mov", fps=None)[1]) == 4
    shapes = [next(read_frames(clips / f"video_{angle}.mov")).image.shape for angle in (0, 90, 180, 270)]
    assert shapes == [(320, 568, 3), (568, 320, 3), (320, 568, 3), (568, 320, 3)]


def _children() -> list[int]:
    return [int(child) for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]


def test_a_picture_is_decoded_in_the_child(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((24, 40, 3), 51, np.uint8)).save(tmp_path / "a.png")
    (frame,) = read_frames(tmp_path / "a.png")
    assert (frame.image == 51).all()
    assert status_of(tmp_path / "a.png", max_pixels=24 * 40 - 1) == (Status.TOO_LARGE, [])


def write_both(path, codec, sounds, **options):
    """Write 40 numbered frames, 10 a second, and 4 s of sound."""
    with av.open(str(path), "w", **options) as container:
        pictures, sound = container.add_stream(codec, rate=10), container.add_stream(sounds, rate=48_000, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for k, image in enumerate(numbered(40)):
            heard = av.AudioFrame.from_ndarray(
                np.full((1, 4800), 999 * (-1) ** k, np.int16), format="s16", layout="mono"
            )
            heard.sample_rate, heard.pts = 48_000, 4800 * k
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image)))
            container.mux(sound.encode(heard))
        for stream in (pictures, sound):
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
@pytest.mark.parametrize(("share", "status"), [(1.0, Status.OK), (0.5, Status.PARTIAL), (0.2, Status.PARTIAL)])
def test_a_stretch_of_a_broadcast_that_holds_no_packets_is_passed_over(tmp_path, filling, share, status):
    path = write_both(tmp_path / "a.ts", "mpeg2video", "mp2")
    whole, heard = path.read_bytes(), read_windows(path, vad=False)
    cut = (
        int(len(whole) * share) // 188 * 188
    )  # a recorder keeps room at the end, a damaged disk loses what lay between
    path.write_bytes(whole[:cut] + filling * 1_000_000 + whole[cut:])
    found, frames = status_of(path, fps=None)
    assert (found, len(frames)) == (status, 40)
    assert len(read_windows(path, vad=False).vectors) == len(heard.vectors) > 2


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_encrypted_tracks_are_called_so(tmp_path, codec):
    secret = {"encryption_key": "76a6c65c5ea762046bd749a2e632ccbb", "encryption_kid": "0" * 32}
    path = write_both(tmp_path / "a.mp4", codec, "aac", options={"encryption_scheme": "cenc-aes-ctr", **secret})
    with pytest.raises(ClipError, match=r"the video is encrypted \(DRM\)") as refused:
        list(read_frames(path))
    heard = read_windows(path)
    assert refused.value.status is heard.status is Status.UNSUPPORTED
    assert "the sound is encrypted (DRM)" in heard.message
