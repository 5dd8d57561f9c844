"""Generated clips: what is drawn is where it is said to be, and repeats without a seam."""

import av
import numpy as np
import pytest

from benchmarks.bench.clips import FPS, Clip, boxes, decoded, draw, samples, variants
from vidfer.pipeline.digest import file_digest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_BENCH_CLIPS", str(tmp_path / "clips"))


def test_a_clip_has_its_size_its_frames_at_their_times_and_is_made_once():
    clip = Clip(160, 120, 0.4, sound=False)
    path = clip.path()
    frames = list(decoded(path))
    assert len(frames) == 10
    assert [time for time, _ in frames] == pytest.approx(np.arange(10) / FPS)
    assert {image.shape for _, image in frames} == {(120, 160, 3)}
    made = path.stat().st_mtime_ns
    assert clip.path().stat().st_mtime_ns == made


def test_a_long_clip_repeats_the_encoded_frames(monkeypatch):
    monkeypatch.setattr("benchmarks.bench.clips._LOOP", 5)
    images = [image for _, image in decoded(Clip(96, 64, 0.6, sound=False).path())]
    assert len(images) == 15
    for number in range(10):
        assert np.array_equal(images[number], images[number + 5])
    assert not np.array_equal(images[0], images[1])


@pytest.mark.slow
def test_sound_is_as_long_as_the_pictures():
    path = Clip(96, 64, 12.0).path()
    assert len(samples(path)) / 16_000 == pytest.approx(12.0, abs=0.15)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 300


def test_faces_are_where_they_are_said_to_be():
    clip = Clip(640, 480, faces=3)
    for number in (0, 70):
        image = draw(clip, number).astype(int)
        for left, top, right, bottom in boxes(clip, number).round().astype(int):
            assert 0 <= left < right <= 640
            assert 0 <= top < bottom <= 480
            red, _, blue = image[top:bottom, left:right].reshape(-1, 3).mean(0)
            assert red > blue + 40
    assert not np.allclose(boxes(clip, 0), boxes(clip, 70))


def test_variants_are_other_files_with_the_same_frames(tmp_path):
    clip = Clip(96, 64, 0.2, sound=False).path()
    paths = variants(clip, 3, tmp_path / "many")
    assert len({file_digest(path) for path in paths}) == 3
    for path in paths:
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(decoded(clip), decoded(path), strict=True))
