import resource
from itertools import count

import numpy as np
import pytest

from tests.media.conftest import numbered
from vidfer.media.decode import probe, read_frames
from vidfer.media.record import record_frames, recorded
from vidfer.types import UsageError, VidferError


@pytest.mark.parametrize(("height", "width"), [(48, 64), (47, 33), (1, 1), (3, 130)])
def test_pixels_come_back_exactly_and_times_to_a_millisecond(tmp_path, height, width):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (7, height, width, 3), dtype=np.uint8)
    times = 1_700_000_000 + np.array([0, 1 / 3, 0.4, 0.400002, 7, 7.04, 3600.5])
    assert record_frames(zip(times.tolist(), images, strict=True), tmp_path / "a.nut") == 7
    frames = list(read_frames(tmp_path / "a.nut", fps=None))
    assert np.array_equal([frame.image for frame in frames], images)
    assert [frame.pts for frame in frames] == pytest.approx(times - times[0], abs=1e-6)
    record_frames(zip((times - 1000).tolist(), images, strict=True), tmp_path / "b.nut")
    assert (tmp_path / "a.nut").read_bytes() == (tmp_path / "b.nut").read_bytes()


def test_an_array_has_the_times_of_its_rate_and_so_have_images_one_by_one(tmp_path):
    images = np.stack(numbered(10))
    record_frames(images, tmp_path / "a.nut", fps=29.97)
    record_frames(iter(images), tmp_path / "b.nut", fps=29.97)
    assert (tmp_path / "a.nut").read_bytes() == (tmp_path / "b.nut").read_bytes()
    assert [frame.pts for frame in read_frames(tmp_path / "a.nut", fps=None)] == pytest.approx(
        np.arange(10) / 29.97, abs=1e-6
    )
    about = probe(tmp_path / "a.nut")
    assert about.audio is None
    assert about.video.fps == pytest.approx(29.97, abs=0.01)
    record_frames(images[:, ::-1, ::-1, ::-1], tmp_path / "c.nut", fps=10)  # as a view, backwards in every axis
    assert np.array_equal(
        [frame.image for frame in read_frames(tmp_path / "c.nut", fps=None)], images[:, ::-1, ::-1, ::-1]
    )


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    image = np.zeros((480, 640, 3), np.uint8)
    with recorded((k / 25, image) for k in range(5)) as path:
        assert path.exists()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record_frames(((k / 25, image) for k in range(150)), tmp_path / "a.nut")  # 132 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
    assert not path.parent.exists()


_FRAME = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), 25, "float32: give uint8 .* 255"),
        (np.zeros((4, 8, 8, 3), np.int64), 25, "int64: give uint8"),
        (np.zeros((4, 3, 8, 8), np.uint8), 25, r"transpose\(1, 2, 0\)"),
        (np.zeros((4, 8, 8), np.uint8), 25, r"\(T, H, W, 3\)"),
        (np.zeros((4, 8, 8, 4), np.uint8), 25, "RGB"),
        (np.zeros((4, 0, 8, 3), np.uint8), 25, r"\(4, 0|\(0, 8"),
        (np.zeros((0, 8, 8, 3), np.uint8), 25, "no frames"),
        (np.zeros((4, 8, 8, 3), np.uint8), None, "give fps"),
        (np.zeros((4, 8, 8, 3), np.uint8), 0, "above 0"),
        (np.zeros((4, 8, 8, 3), np.uint8), float("nan"), "above 0"),
        ([(0.0, _FRAME)], 25, "give no fps"),
        ([(0.0, _FRAME), (0.0, _FRAME)], None, "increase"),
        ([(1.0, _FRAME), (0.5, _FRAME)], None, "frame 1 is at 0.5 s"),
        ([(0.0, _FRAME), (float("nan"), _FRAME)], None, "nan"),
        ([(float("inf"), _FRAME)], None, "inf|nan"),
        ([(0.0, _FRAME), (1.0, np.zeros((8, 10, 3), np.uint8))], None, "10x8, the first 8x8: give frames of one size"),
        ([(0.0, "frame")], None, "no array"),
        ([0.0, 1.0], None, "no array"),
        ([], None, "no frames"),
        ([(0.0, np.zeros((5000, 7000, 3), np.uint8))], None, "scale it down"),
    ],
)
def test_wrong_frames_are_refused_with_the_remedy_and_leave_nothing(tmp_path, frames, fps, message):
    with pytest.raises(UsageError, match=message):
        record_frames(frames, tmp_path / "a.nut", fps=fps)
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_callers_own_and_a_missing_folder(tmp_path):
    def broken():
        for k in count():
            if k == 3:
                raise KeyError("mine")
            yield k / 10, _FRAME

    with pytest.raises(KeyError, match="mine"):
        record_frames(broken(), tmp_path / "a.nut")
    assert not list(tmp_path.iterdir())
    with pytest.raises(VidferError, match="cannot be written: No such file"):
        record_frames([(0.0, _FRAME)], tmp_path / "missing" / "a.nut")
