"""Labels and the strip can be read at any size, and no text breaks them."""

import numpy as np
import pytest

from vidfer.overlay.draw import Label, Strip, fitted, font, text_size
from vidfer.overlay.moments import Moment
from vidfer.results.colours import COLOURS
from vidfer.types import EMOTIONS

SIZES = [(320, 240), (240, 320), (640, 480), (1080, 1920), (1920, 1080), (3840, 2160)]
HEARD = {"start": 0.0, "end": 1.0, "status": "ok", "word": "surprise", "probability": 1.0, "speech": 1.0}


def moment(word="happy", **shares):
    values = {**dict.fromkeys(EMOTIONS, 0.0), **(shares or {word: 1.0})}
    return Moment((0.0, 0.0, 1.0, 1.0), tuple(values.values()), word)


def rgb(name):
    return np.array([int(COLOURS[name][at : at + 2], 16) for at in (1, 3, 5)])


@pytest.mark.parametrize("size", SIZES)
def test_text_is_a_share_of_the_picture_and_never_too_small(size):
    text = text_size(*size)
    assert text >= 9
    assert text == pytest.approx(min(size) / 42, abs=0.5) or text == 9
    label = Label(text)
    assert label.sizes[0][0] < size[0]
    assert label.sizes[0][1] < size[1]
    assert all(edge % 2 == 0 for each in label.sizes for edge in each)
    bold = font(text, bold=True)
    for kind in label.sizes:
        for name in EMOTIONS:  # nothing of what is shown is cut
            assert fitted(f"{name} 100 %", kind[0] - 2 * round(0.55 * text), bold) == f"{name} 100 %"


@pytest.mark.parametrize("size", [9, 24])
def test_bars_are_as_long_as_the_probabilities(size):
    label = Label(size)
    shares = dict(zip(EMOTIONS, (0.05, 0.1, 0.15, 0.4, 0.2, 0.03, 0.07), strict=True))
    image = label.draw(0, "person 1", moment("happy", **shares)).astype(int)
    room = np.abs(label.draw(0, "person 1", moment("happy")).astype(int)[..., :3] - rgb("happy")).sum(-1) < 8
    whole = room.sum(axis=1).max()
    for name, share in shares.items():
        length = (np.abs(image[..., :3] - rgb(name)).sum(axis=-1) < 8).sum(axis=1).max()
        assert length == pytest.approx(share * whole, abs=2.5), name


def test_a_small_label_has_all_seven_in_one_bar():
    label = Label(20)
    image = label.draw(1, "person 1", moment("happy", **dict.fromkeys(EMOTIONS, 1 / 7))).astype(int)
    lengths = [(np.abs(image[..., :3] - rgb(name)).sum(axis=-1) < 8).sum(axis=1).max() for name in EMOTIONS]
    assert np.ptp(lengths) <= 3
    assert sum(lengths) > 0.85 * image.shape[1]


@pytest.mark.parametrize(
    "name",
    [
        "Анна",
        "Ζωή",
        "محمد",
        "שרה",
        "王小明",
        "สมชาย",
        "👩‍👩‍👧",
        "a\x00b\nc\td",
        "\u202etxt",
        "",
        "x" * 5000,
        "\ud800",
        "Ünï ©",
    ],
)
def test_any_name_can_be_drawn(name):
    for size in (9, 30):
        label = Label(size)
        assert fitted(name, 100, font(size)) is not None
        for kind in (0, 1):
            image = label.draw(kind, name, moment())
            assert image.shape == (label.sizes[kind][1], label.sizes[kind][0], 4)
        strip = Strip(320, size, sound=True, people=1)
        assert strip.draw(0.0, None, [(name, moment())]).shape == (strip.height, 320, 4)


@pytest.mark.parametrize("width", [48, 160, 320, 640, 1920])
@pytest.mark.parametrize("sound", [True, False])
def test_the_legend_shows_every_colour_once_and_inside(width, sound):
    strip = Strip(width, text_size(width, width * 3 // 4), sound=sound, people=0)
    image = strip.draw(3725.5, None, []).astype(int)
    assert image.shape[:2] == (strip.height, width)
    assert strip.height % 2 == 0
    for name in EMOTIONS:
        rows, columns = np.nonzero(np.abs(image[..., :3] - rgb(name)).sum(axis=-1) < 8)
        assert np.ptp(rows) <= 1.2 * text_size(width, width * 3 // 4)
        assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=1)


@pytest.mark.parametrize("width", [320, 640, 1920])
def test_what_was_heard_does_not_run_into_the_legend(width):
    strip = Strip(width, text_size(width, width * 3 // 4), sound=True, people=0)
    silent, loud = (strip.draw(35_999.9, heard, []).astype(int) for heard in (None, HEARD))
    legend = np.abs(silent[..., :3] - rgb("fear")).sum(axis=-1) < 8
    left = np.nonzero((np.abs(silent[..., :3] - rgb("sad")).sum(axis=-1) < 8).any(axis=0))[0].min()
    changed = np.abs(silent - loud).sum(axis=-1) > 0
    assert changed.any()
    one_row = np.nonzero(legend.any(axis=1))[0].max() < strip.height / 2 or strip.height < 3 * text_size(width, width)
    if one_row and strip.height < 2.2 * text_size(width, width * 3 // 4):
        assert not changed[:, left:].any()
    assert not changed[:, -2:].any()
