"""Clips that break off or cannot be drawn on, disks that are full, and runs that are ended."""

import json
import shutil
import subprocess

import av
import numpy as np
import pytest

from tests.overlay.conftest import InProcess, number_of, people_of, read_back, write_clip_file
from vidfer.overlay import write, write_overlay
from vidfer.types import ClipError, Status

BOXES = {1: [(at / 5, (90, 60, 120, 100)) for at in range(8)]}


def steady(count):
    return [number / 25 for number in range(count)]


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_a_clip_that_breaks_off_has_an_overlay_up_to_there(tmp_path, in_process, share):
    whole = write_clip_file(tmp_path / "whole.ts", steady(60), options={"g": "5"}).read_bytes()
    (tmp_path / "clip.ts").write_bytes(whole[: int(share * len(whole))])
    write_overlay(tmp_path / "clip.ts", *people_of(BOXES), tmp_path / "overlay.mp4")
    made = read_back(tmp_path / "overlay.mp4")
    there = [number_of(frame.to_ndarray(format="rgb24")) for frame in read_back(tmp_path / "clip.ts")["frames"]]
    assert 5 < len(there) < 60
    strip = made["frames"][0].height - 144
    assert [number_of(frame.to_ndarray(format="rgb24")[:-strip]) for frame in made["frames"]] == there


@pytest.mark.parametrize("share", [0.35, 0.7])
def test_damage_is_told(tmp_path, in_process, share):
    whole = write_clip_file(tmp_path / "whole.mkv", steady(60), options={"g": "5"}, sound=None).read_bytes()
    (tmp_path / "clip.mkv").write_bytes(whole[: int(share * len(whole))])
    written = write_overlay(tmp_path / "clip.mkv", *people_of(BOXES), tmp_path / "overlay.mp4")
    assert len(read_back(tmp_path / "overlay.mp4")["frames"]) == written.n_frames > 5
    assert f"it has {written.n_frames} frames, since the video breaks off" in written.notes[0]


def test_what_has_no_moving_pictures_has_no_overlay_and_a_sentence(tmp_path, in_process):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    for name in ("picture.png", "sound.wav"):
        with pytest.raises(ClipError, match="no overlay") as error:
            write_overlay(tmp_path / name, *people_of(BOXES), tmp_path / "overlay.mp4")
        assert error.value.status is Status.NO_VIDEO
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picture.png", "sound.wav"]


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path, monkeypatch):
    class Full(InProcess):
        def send(self, request):
            super().send({**request, "out": "/dev/full"})

    monkeypatch.setattr(write, "Child", Full)
    clip = write_clip_file(tmp_path / "a.mp4", steady(10))
    (tmp_path / "overlay.mp4").write_bytes(b"before")
    with pytest.raises(OSError, match="No space left") as error:
        write_overlay(clip, *people_of(BOXES), tmp_path / "overlay.mp4")
    assert error.value.filename == str(tmp_path / "overlay.mp4")
    assert (tmp_path / "overlay.mp4").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_run_leaves_no_half_file_and_a_real_child_draws(tmp_path):
    clip = write_clip_file(tmp_path / "film.mp4", steady(30))

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_overlay(clip, *people_of(BOXES), tmp_path / "overlay.mp4", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    shares = []
    write_overlay(clip, *people_of(BOXES, duration=1.2), tmp_path / "overlay.mp4", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] > 0.5
    assert len(read_back(tmp_path / "overlay.mp4")["frames"]) == 30


def test_a_child_that_hangs_is_stopped(tmp_path):
    clip = write_clip_file(tmp_path / "film.mp4", steady(10))
    with pytest.raises(ClipError) as error:
        write_overlay(clip, *people_of(BOXES), tmp_path / "overlay.mp4", timeout=0.001)
    assert error.value.status is Status.TIMEOUT
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("name", ["film.mp4", "uneven.mp4", "rotated.mov"])
def test_ffprobe_counts_the_same(tmp_path, in_process, name):
    from tests.overlay.test_write import CLIPS

    clip = write_clip_file(tmp_path / name, **CLIPS[name])
    write_overlay(clip, *people_of(BOXES), tmp_path / "overlay.mp4")
    assert_probed_alike(clip, tmp_path / "overlay.mp4")


def assert_probed_alike(clip, overlay):
    """Compare frame counts, durations and sound by ffprobe."""
    asked = "stream=codec_type,codec_name,nb_read_frames,duration,sample_rate,channels,width,height"
    source, made = (
        json.loads(
            subprocess.run(
                ["ffprobe", "-v", "error", "-count_frames", "-show_entries", asked, "-of", "json", str(path)],
                check=True,
                capture_output=True,
            ).stdout
        )["streams"]
        for path in (clip, overlay)
    )
    for one, other in zip(source, made, strict=True):
        assert one["codec_type"] == other["codec_type"]
        assert one["nb_read_frames"] == other["nb_read_frames"]
        assert float(one["duration"]) == pytest.approx(float(other["duration"]), abs=2e-3)
        if one["codec_type"] == "audio":
            assert [one[key] for key in ("codec_name", "sample_rate", "channels")] == [
                other[key] for key in ("codec_name", "sample_rate", "channels")
            ]
        else:
            assert other["codec_name"] == "h264"
            assert other["width"] % 2 == other["height"] % 2 == 0
