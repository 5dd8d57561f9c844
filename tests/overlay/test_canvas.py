"""What is drawn on brightness and colours, and what is left of faces."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.overlay.conftest import people_of, write_clip_file
from vidfer.overlay import write_overlay
from vidfer.overlay.canvas import Canvas, Colours, Painter, Stamp

RED, PALE = (213, 94, 0), (86, 180, 233)


def gray(height=120, width=160, value=100):
    planes = [np.full((height, width), value, np.uint8), *np.full((2, height // 2, width // 2), 128, np.uint8)]
    return Canvas(planes, Colours(1, 1))


@pytest.mark.parametrize(("matrix", "number"), [(1, 1), (5, 5), (6, 5)])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_those_that_ffmpeg_makes_of_rgb(matrix, number, full):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:16], image[16:, :16], image[16:, 16:] = RED, PALE, (255, 255, 255)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    meant = frame.reformat(format="yuv444p", dst_colorspace=number, dst_color_range=2 if full else 1).to_ndarray()
    made = Colours(matrix, 2 if full else 1).planes(image, hd=False)
    assert np.abs(made.astype(int) - np.moveaxis(meant, 0, -1) if meant.shape[0] == 3 else made - meant).max() <= 2


def test_a_stamp_changes_nothing_beside_itself_and_half_of_what_it_half_covers():
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., :3], rgba[:, :14, 3], rgba[:, 14:, 3] = 255, 255, 128
    canvas = gray()
    Stamp(rgba, canvas.colours, hd=False).put(canvas, 40, 50)
    whole = np.full((120, 160), 100)
    whole[50:70, 40:54], whole[50:70, 54:70] = 235, 168
    assert np.abs(canvas.planes[0].astype(int) - whole).max() <= 1
    assert (canvas.planes[1] == 128).all()


@pytest.mark.parametrize("seed", range(8))
def test_drawing_beyond_the_picture_is_cut_off(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        canvas = gray()
        x0, y0 = rng.uniform(-200, 300, 2)
        box = (x0, y0, x0 + rng.uniform(0, 200), y0 + rng.uniform(0, 200))
        canvas.fill(box, RED)
        canvas.blur(box)
        inside = np.zeros((120, 160), bool)
        inside[max(round(y0), 0) : max(round(box[3]) + 1, 0), max(round(x0), 0) : max(round(box[2]) + 1, 0)] = True
        far = canvas.planes[0][~inside]
        assert np.abs(far.astype(int) - 100).max(initial=0) < 30  # the blur reaches a little farther


def noise(seed, height=240, width=320):
    rng = np.random.default_rng(seed)
    shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    return [rng.integers(16, 235, shape).astype(np.uint8) for shape in shapes]


def test_a_blurred_box_is_gone_with_a_margin_and_the_rest_stays():
    planes = noise(0)
    canvas = Canvas([plane.copy() for plane in planes], Colours(1, 1))
    canvas.blur((100.0, 80.0, 160.0, 150.0))
    before, after = planes[0].astype(int), canvas.planes[0].astype(int)
    assert np.abs(np.diff(after[68:162, 88:172][10:-10, 10:-10], axis=1)).max() < 12
    assert (after[:, :70] == before[:, :70]).all()
    assert (after[:50] == before[:50]).all()
    for plane in canvas.planes[1:]:
        assert plane[42:73, 52:78].std() < 25


def test_a_blur_cannot_be_undone():
    """Images with the same means of blocks give the same: what tells them apart is nowhere in the result."""
    one = Canvas(noise(1), Colours(1, 1))
    other = Canvas([plane.copy() for plane in one.planes], Colours(1, 1))
    rng = np.random.default_rng(2)
    for plane, by in zip(other.planes, (1, 2, 2), strict=True):
        edge = 18 // by
        for row in range(6):
            for column in range(6):
                y, x = (56 // by + row * edge, 76 // by + column * edge)
                block = plane[y : y + edge, x : x + edge]
                block[:] = rng.permutation(block.ravel()).reshape(block.shape)
    assert np.abs(one.planes[0].astype(int) - other.planes[0]).mean() > 2
    for canvas in (one, other):
        canvas.blur((100.0, 80.0, 160.0, 140.0))  # its surroundings are 108 px wide and high, in blocks of 18
    rows, columns = np.ogrid[:240, :320]
    inside = ((columns + 0.5 - 130) / 53) ** 2 + ((rows + 0.5 - 110) / 53) ** 2 < 1
    np.testing.assert_allclose(one.planes[0][inside].astype(int), other.planes[0][inside], atol=1)


@pytest.mark.parametrize("size", [(161, 121), (64, 33), (33, 64), (40, 40)])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "rgb24"])
def test_canvases_are_upright_and_of_even_size(size, rotation, name):
    width, height = size
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 2, : width // 2] = 200
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=name)

    class Turned:
        """A frame with a rotation, which cannot be set on a real one."""

        def __init__(self):
            cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[rotation // 90]
            self.side_data = {"DISPLAYMATRIX": struct.pack("=9i", cos, -sin, 0, sin, cos, 0, 0, 0, 1)}

        def __getattr__(self, asked):
            return getattr(frame, asked)

    painter = Painter(None)
    painter._reformatter = SimpleNamespace(reformat=lambda _, *sizes, **how: frame.reformat(*sizes, **how))
    canvas, scale, x, y = painter.canvas(Turned())
    upright = np.rot90(image, rotation // 90)
    meant = upright.shape[0] + upright.shape[0] % 2, upright.shape[1] + upright.shape[1] % 2
    assert (canvas.height, canvas.width) == meant == canvas.planes[0].shape
    assert (scale, x, y) == (1.0, 0.0, 0.0)
    bright = canvas.planes[0][: upright.shape[0], : upright.shape[1]] > 115
    assert (bright == (upright[..., 0] > 100)).mean() > 0.93
    assert canvas.frame().width == canvas.width


def test_frames_of_another_size_are_fitted_in():
    painter = Painter(Fraction(1))
    painter.canvas(av.VideoFrame.from_ndarray(np.full((100, 200, 3), 99, np.uint8), format="rgb24"))
    canvas, scale, x, y = painter.canvas(
        av.VideoFrame.from_ndarray(np.full((100, 100, 3), 200, np.uint8), format="rgb24")
    )
    assert canvas.planes[0].shape == (100, 200)
    assert (scale, x, y) == (1.0, 50.0, 0.0)
    assert canvas.planes[0][:, :49].max() == 16
    assert canvas.planes[0][:, 52:148].min() > 150


@pytest.mark.parametrize(
    ("tags", "meant"),
    [
        ({"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1}, (1, 1, 1, 1)),
        ({"color_range": 2, "colorspace": 5}, (2, 5, 2, 2)),
        ({}, (0, 2, 2, 2)),
    ],
)
def test_range_matrix_and_values_are_kept(tmp_path, in_process, tags, meant):
    times = [k / 10 for k in range(4)]
    clip = write_clip_file(tmp_path / "a.mkv", times, rate=10, colours=tags, sound=None, options={"crf": "1"})
    tables, summary = people_of({}, times=times, sound="no_audio")
    write_overlay(clip, tables, summary, tmp_path / "overlay.mp4")
    shown = []
    for path in (clip, tmp_path / "overlay.mp4"):
        with av.open(str(path)) as container:
            shown.append(next(container.decode(video=0)))
    source, made = shown
    found = [int(getattr(made, name)) for name in ("color_range", "colorspace", "color_primaries", "color_trc")]
    assert found[1:] == list(meant[1:])
    assert (found[0] == 2) == (meant[0] == 2)
    planes = [np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size) for frame in shown]
    difference = planes[0][: source.height, : source.width].astype(int) - planes[1][: source.height, : source.width]
    assert np.abs(difference).mean() < 2
