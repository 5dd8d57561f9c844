"""decord gives what PyAV gives wherever it is let, and is not let anywhere else."""

import importlib.util
import itertools
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from tests.faults.clips.odd import KINDS
from tests.faults.odd.films import film
from vidfer.media import decode_child
from vidfer.media.decode import read_frames
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import ClipError, Status

pytestmark = pytest.mark.skipif(  # imported here, it would bring its own zlib to all tests
    importlib.util.find_spec("decord") is None, reason="decord has wheels for x86_64 Linux and Windows only"
)

CODECS = (
    ("mp4", "libx264", "yuv420p"),
    ("mkv", "libx264", "yuv420p"),
    ("mkv", "libx264", "yuvj420p"),
    ("mov", "libx264", "yuv420p"),
    ("flv", "libx264", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("mkv", "libvpx-vp9", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("mkv", "mjpeg", "yuvj420p"),
    ("avi", "mjpeg", "yuvj420p"),
)
SIZES = ((64, 64), (160, 120), (176, 98), (130, 66), (320, 180), (128, 128), (66, 640))
GAPS = (1, 4, 12, 250)
RATES = (1.0, 5.0, 12.5, 24_000 / 1001, 25.0, 30.0, 60.0)
CHOICES = ({"fps": None}, {"fps": 5.0}, {"fps": None, "every": 3}, {"fps": 2.0})


def clip(folder: Path, dice: random.Random, number: int) -> tuple[Path, dict[str, object]]:
    """Write a clip of the class that decord is let, and choose which frames to read."""
    suffix, codec, pix_fmt = CODECS[number % len(CODECS)]
    h264 = codec == "libx264"
    options = {"g": str(dice.choice(GAPS)), "bf": str(dice.choice((0, 2))) if suffix == "mkv" and h264 else "0"}
    rate = dice.choice(RATES)
    times = [k / rate for k in range(dice.choice((1, 2, 9, 24)))]
    if suffix in {"mkv", "webm"} and len(times) > 2 and dice.random() < 0.4:  # of variable frame rate
        times = list(itertools.accumulate(dice.choice((0.02, 0.1, 0.4)) for _ in times))
        times = [time - times[0] for time in times]
    rotation = dice.choice((0, 0, 90, 180, 270)) if suffix in {"mp4", "mov"} else 0
    clock = 1000 if suffix != "avi" and codec != "mpeg4" else 600
    if suffix == "avi":
        times = [k / 25 for k in range(len(times))]
        clock = 25
    path = film(
        folder / f"{number}.{suffix}",
        codec=codec,
        pix_fmt=pix_fmt,
        size=dice.choice(SIZES),
        times=times,
        clock=clock,
        rotation=rotation,
        options=options,
    )
    return path, dice.choice(CHOICES)


def compared(folder: Path, dice: random.Random, numbers: range) -> tuple[int, int, list[str]]:
    """Compare clips; return how many were compared, how many frames, and why others were refused."""
    clips = frames = 0
    refused = []
    for number in numbers:
        path, choice = clip(folder, dice, number)
        one = list(read_frames(path, decoder="pyav", **choice))
        try:
            other = list(read_frames(path, decoder="decord", **choice))
        except ClipError as error:
            refused.append(f"{path.name}, {error.status}: {error.message}")
            continue
        assert [frame.index for frame in one] == [frame.index for frame in other], path.name
        np.testing.assert_allclose([f.pts for f in one], [f.pts for f in other], atol=1e-3, err_msg=path.name)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.image, b.image, err_msg=f"{path.name}, frame {a.index}")
        clips, frames = clips + 1, frames + len(one)
    return clips, frames, refused


def test_some_clips_of_the_class_are_alike(tmp_path):
    clips, frames, refused = compared(tmp_path, random.Random(1), range(3))
    assert clips == 3, refused
    assert frames


@pytest.mark.slow
def test_clips_of_the_class_are_alike(tmp_path, figure):
    clips, frames, refused = compared(tmp_path, random.Random(10), range(121))
    assert len(refused) <= 12, refused
    assert all(Status.UNSUPPORTED in told for told in refused)
    figure(f"{frames} frames of {clips} clips equal in pixels and times; {len(refused)} of the class refused")


@pytest.fixture
def spy(monkeypatch):
    """Take decord's place: keep which files it is asked to open, and open none."""
    opened = []

    def reader(path, **_):
        opened.append(Path(path).name)
        raise RuntimeError("a spy opens nothing")

    monkeypatch.setitem(
        sys.modules, "decord", SimpleNamespace(VideoReader=reader, DECORDError=RuntimeError, __spec__=1)
    )
    return opened


def asked(path: Path, decoder: str) -> Status:
    request = {"op": "frames", "path": str(path), "fps": 5.0, "every": None, "decoder": decoder, "max_pixels": 10**8}
    try:
        return Status.OK if "end" in list(decode_child.handle(request))[-1][0] else Status.CRASHED
    except ClipError as error:
        return error.status


def in_class(path: Path) -> bool:
    """Whether a file is of the class that the documentation names, by what FFmpeg says of it."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            (stream,) = container.streams.video
            codec = stream.codec_context
            return (
                container.format.name.split(",")[0] in {"mov", "matroska", "avi", "flv"}
                and codec.name in {"h264", "vp9", "libvpx-vp9", "mpeg4", "mjpeg"}
                and codec.pix_fmt in {"yuv420p", "yuvj420p"}
                and min(codec.width, codec.height) >= 64
            )
    except (av.error.FFmpegError, ValueError, AttributeError):
        return False


def outside(folder: Path) -> list[Path]:
    """Clips that differ from those of the class in one thing."""
    return [
        film(folder / "b_frames.mp4", options={"bf": "2"}),  # with an edit list
        film(folder / "interlaced.mkv", options={"x264-params": "tff=1:threads=1", "flags": "+ilme+ildct"}),
        film(folder / "narrow.mkv", sample_aspect_ratio=2),
        film(folder / "far.mkv", times=(0.0, 400_000.0)),
        *(film(folder / f"{fmt}.mkv", pix_fmt=fmt) for fmt in ("yuv422p", "yuv444p", "yuv420p10le")),
        film(folder / "tiny.mkv", codec="mpeg4", size=(62, 80)),
        film(folder / "a.ts"),
        film(folder / "a.nut", codec="mpeg4"),
        film(folder / "vp8.webm", codec="libvpx"),
        film(folder / "hevc.mp4", codec="libx265"),
    ]


def test_what_is_outside_the_class_never_reaches_decord(tmp_path, spy, figure):
    refused = outside(tmp_path)
    assert {asked(path, "decord") for path in refused} == {Status.UNSUPPORTED}
    assert not spy
    kinds = [kind for number, kind in enumerate(KINDS) if number % 6 == 0]
    figure(f"{len(refused) + _spied(kinds, tmp_path, spy)} clips outside the class: none reached decord")


@pytest.mark.slow
def test_no_odd_file_outside_the_class_reaches_decord(tmp_path, spy, figure):
    figure(f"{_spied(KINDS, tmp_path, spy)} odd files outside the class: none reached decord")


def _spied(kinds, folder: Path, spy: list[str]) -> int:
    outsiders = 0
    for kind in kinds:
        path = kind.make(folder)
        assert asked(path, "decord") is not Status.OK
        outsiders += not in_class(path)
        assert in_class(path) or path.name not in spy
    return outsiders


def test_a_film_that_breaks_off_is_not_given_to_decord_which_would_not_say_so(tmp_path, spy):
    path = film(tmp_path / "a.mkv", options={"bf": "0", "g": "2"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert asked(path, "decord") is Status.UNSUPPORTED
    assert not spy


def test_pictures_are_read_in_a_child_that_has_loaded_decord_and_its_zlib(tmp_path):
    path = film(tmp_path / "a.mkv", options={"bf": "0"}, times=(0.0,))
    assert len(list(read_frames(path, decoder="decord"))) == 1
    for kind in ("PNG", "GIF", "JPEG", "WEBP"):
        Image.new("RGB", (32, 24), (9, 9, 9)).save(tmp_path / "a.png", kind)
        (frame,) = read_frames(tmp_path / "a.png")
        assert abs(int(frame.image.max()) - 9) < 3


def test_decord_is_used_only_when_it_is_asked_for(tmp_path, spy):
    path = film(tmp_path / "a.mkv", options={"bf": "0"})
    assert [asked(path, decoder) for decoder in ("auto", "pyav", "decord")] == [Status.OK, Status.OK, Status.CORRUPT]
    assert spy == ["a.mkv"]
    chosen = {name: _decoder(name) for name in ("auto", "pyav", "decord")}
    assert chosen == {"auto": "pyav", "pyav": "pyav", "decord": "decord"}


def _decoder(name: str) -> str:
    (faces,) = [stage for stage in build_chain(ChainOptions(decoder=name)) if stage.name == "faces"]
    return faces.decoder
