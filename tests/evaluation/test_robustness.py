import numpy as np
import pytest

from vidfer.evaluation.robustness import CORRUPTIONS, ELECTRONS, NOISES, choose_corruptions, corrupt, to_gray
from vidfer.types import UsageError


@pytest.fixture
def faces():
    """Smooth faces of full contrast."""
    y, x = np.mgrid[:48, :48] / 47
    waves = [np.sin(5 * x + k) * np.cos(4 * y - k) for k in range(6)]
    return np.rint(127.5 + 110 * np.array(waves)).astype(np.uint8)


@pytest.fixture
def digests():
    return [f"{k:032x}" for k in range(6)]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_is_the_same_in_any_order_and_leaves_its_input_alone(name, faces, digests):
    before, severe = faces.copy(), CORRUPTIONS[name].severities[-1]
    together = corrupt(name, faces, severe, digests)
    np.testing.assert_array_equal(faces, before)
    assert together.dtype == np.uint8
    assert together.shape == (*faces.shape, 3) if name in NOISES else faces.shape
    order = [4, 1]
    np.testing.assert_array_equal(corrupt(name, faces[order], severe, [digests[i] for i in order]), together[order])
    assert corrupt(name, faces[:0], severe, []).shape[0] == 0


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severities_go_from_mild_to_severe(name, faces, digests):
    away = [
        np.abs(to_gray(corrupt(name, faces, severity, digests)).astype(int) - faces).mean()
        for severity in CORRUPTIONS[name].severities
    ]
    assert away[0] > 0
    assert away == sorted(away)


@pytest.mark.parametrize(("name", "rows"), [("eyes", (16, 21)), ("mouth", (36, 41))])
def test_bands_lie_on_eyes_and_mouth(name, rows, faces, digests):
    changed = (corrupt(name, faces, 10, digests) != faces).any(axis=(0, 2))
    assert (np.flatnonzero(changed)[[0, -1]] == (rows[0], rows[1] - 1)).all()


def test_a_block_has_its_size_and_the_mean_of_its_image(faces, digests):
    noise = np.random.default_rng(0).integers(0, 256, faces.shape, np.uint8)
    covered = corrupt("block", noise, 50, digests)
    corners = set()
    for before, after in zip(noise, covered, strict=True):
        same = after == round(before.mean())
        top, left = (np.flatnonzero(same.sum(axis) > 20)[0] for axis in (1, 0))
        assert same[top : top + 24, left : left + 24].all()
        assert (after != before).sum() <= 24 * 24
        corners.add((top, left))
    assert len(corners) > 3


def test_low_light_has_the_statistics_of_photons(digests):
    flat = np.full((6, 48, 48), 200, np.uint8)
    dark = corrupt("low_light", flat, 0.1, digests).astype(float)
    assert dark.mean() == pytest.approx(20, abs=0.1)
    assert dark.var() == pytest.approx(20 / ELECTRONS + 1 / 12, rel=0.05)  # Poisson, and rounding


def test_noise_has_its_sigma_and_colours_differ_only_where_they_should(digests):
    flat = np.full((6, 48, 48), 128, np.uint8)
    gray, colour = (corrupt(name, flat, 15, digests).astype(float) for name in ("noise", "colour_noise"))
    assert gray.std() == pytest.approx(15, rel=0.02)
    assert colour.std() == pytest.approx(15, rel=0.02)
    assert (gray[..., 0] == gray[..., 2]).all()
    assert abs(np.corrcoef(colour[..., 0].ravel(), colour[..., 2].ravel())[0, 1]) < 0.05
    luma = to_gray(colour.astype(np.uint8)).std()
    assert luma == pytest.approx(15 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.03)


def test_rotation_turns_about_the_centre_to_both_sides():
    faces = np.zeros((8, 48, 48), np.uint8)
    faces[:, 22:26, 40:44] = 255
    turned = corrupt("rotation", faces, 30, [f"face {k}" for k in range(8)])
    angles = set()
    for face in turned:
        y, x = np.average(np.mgrid[:48, :48].reshape(2, -1) - 23.5, axis=1, weights=face.ravel().astype(float) + 1e-9)
        angles.add(round(np.degrees(np.arctan2(y, x))))
        assert np.hypot(x, y) == pytest.approx(18, abs=0.3)
    assert angles == {-30, 30}


def test_blur_adds_its_variance():
    box = np.zeros((1, 49, 49), np.uint8)
    box[0, 18:31, 18:31] = 255
    before, after = (
        image[0].sum(0) / image.sum() @ (np.arange(49) - 24) ** 2 for image in (box, corrupt("blur", box, 2, [""]))
    )
    assert after - before == pytest.approx(4, rel=0.1)


def test_downscaling_keeps_the_mean_and_loses_the_fine(digests):
    board = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (6, 24, 24))
    small = corrupt("downscale", board, 24, digests)
    assert np.ptp(small) <= 1
    assert small.mean() == pytest.approx(127.5, abs=1)


def test_names_of_corruptions():
    assert choose_corruptions(("all",)) == tuple(CORRUPTIONS)
    assert choose_corruptions(("jpeg", "blur")) == ("jpeg", "blur")
    for wrong in (("fog",), ("blur", "all"), ("",)):
        with pytest.raises(UsageError, match=r"there are all, eyes, .*jpeg"):
            choose_corruptions(wrong)
