import cv2
import numpy as np
import pytest

from vidfer.media.align import CENTRAL, CROP, TEMPLATE, crop_matrix
from vidfer.media.quality import UNUSABLE, blurredness, complaint, light, noise_sigma, outside, percentiles, pose, weigh

# Points of a head in mm as used for pose estimation with OpenCV tutorials (x right, y down, z away), pupils for eye corners.
HEAD = np.array([[-31.5, -34, 27], [31.5, -34, 27], [0, 0, 0], [-29, 29, 24], [29, 29, 24]], float)


def seen(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Project the head by a perspective camera 80 cm away; rotations in degrees about y, x, z."""
    a, b, c = np.radians([-yaw, pitch, roll])
    about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    head = (HEAD - [0, 0, 60]) @ (np.array(about_z) @ about_x @ about_y).T
    return 1000 * head[:, :2] / (head[:, 2:] + 800) + 300


@pytest.mark.parametrize("yaw", [-40, -20, 0, 20, 40])
@pytest.mark.parametrize("pitch", [-20, 0, 20])
def test_pose_of_a_projected_head(yaw, pitch):
    told = pose(seen(yaw, pitch, 0))
    assert told[0] == pytest.approx(yaw, abs=8)
    assert told[1] == pytest.approx(pitch, abs=10)


@pytest.mark.parametrize("roll", [-30, 15, 60])
def test_roll_leaves_the_rest(roll):
    upright, leaning = pose(seen(20, 10, 0)), pose(seen(20, 10, roll))
    assert leaning[2] - upright[2] == pytest.approx(roll, abs=1e-6)
    np.testing.assert_allclose(leaning[:2], upright[:2], atol=1e-6)


@pytest.mark.parametrize("sigma", [5, 10, 20, 30, 50])
def test_noise_of_known_strength(portrait, sigma):
    face = portrait[70:200, 160:290].astype(float)
    noisy = np.clip(np.rint(face + np.random.default_rng(0).normal(0, sigma, face.shape)), 0, 255).astype(np.uint8)
    assert noise_sigma(noisy) == pytest.approx(sigma, rel=0.15)


def test_noise_of_a_ramp_and_of_too_little():
    ramp = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (50, 1))
    assert noise_sigma(ramp) == 0
    assert np.isnan(noise_sigma(np.zeros((2, 9, 3), np.uint8)))


SIGMAS = (0, 1, 2, 4, 6, 8, 12)


def test_blur_grows_with_smoothing_and_ignores_contrast(portrait):
    crop = cv2.resize(portrait[50:190, 150:290], (160, 160))
    blurs = [blurredness(crop if sigma == 0 else cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in SIGMAS]
    assert blurs == sorted(blurs)
    assert blurs[0] < 0.5 < 0.85 < blurs[3]
    assert blurredness((crop // 2 + 40).astype(np.uint8)) == pytest.approx(blurs[0], abs=0.03)
    assert blurredness(np.full((160, 160, 3), 9, np.uint8)) == 1


def at(scale: float, roll: float, x: float, y: float) -> np.ndarray:
    """Put the template's landmarks, turned and scaled, around a place of the frame."""
    turn = scale * np.exp(1j * np.radians(roll))
    points = (np.array(TEMPLATE) - 0.5) @ [1, 1j] * CENTRAL * turn
    return np.stack([points.real + x, points.imag + y], 1)


@pytest.mark.parametrize("roll", [0, 20, -75, 180])
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("x", "y"), [(0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1), (0.02, 0.97), (0.5, 0.5), (0.1, 0.2)])
def test_share_outside_the_frame_is_that_of_its_pixels(x, y, scale, roll):
    height, width = 240, 320
    points = at(scale, roll, x * width, y * height)
    fine = 8  # the frame, eight times finer, shows which pixels of the crop have a place in it
    matrix = crop_matrix(points) @ np.array(
        [[1 / fine, 0, 0.5 / fine - 0.5], [0, 1 / fine, 0.5 / fine - 0.5], [0, 0, 1]]
    )
    ones = np.full((height * fine, width * fine), 255, np.uint8)
    counted = 1 - cv2.warpAffine(ones, matrix, (CROP, CROP), flags=cv2.INTER_NEAREST).mean() / 255
    assert outside(points, (height, width, 3)) == pytest.approx(counted, abs=0.01)


@pytest.mark.parametrize("level", [0, 3, 40, 128, 250, 255])
def test_light_of_a_plain_crop(level):
    assert light(np.full((CROP, CROP, 3), level, np.uint8)) == (level, 0, level >= 250)


@pytest.mark.parametrize("upright", [True, False])
def test_light_of_a_ramp(upright):
    ramp = np.tile(np.arange(CROP, dtype=np.uint8), (CROP, 1))
    ramp = ramp.T if upright else ramp
    low, high = (52, 134) if upright else (44, 116)  # of the face, in px of the crop
    bright, contrast, over = light(np.repeat(ramp[..., None], 3, 2))
    assert bright == pytest.approx((low + high) / 2, abs=1.5)
    assert contrast == pytest.approx(0.9 * (high - low), abs=2.5)
    assert over == 0


@pytest.mark.parametrize("gain", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_light_follows_exposure_and_ignores_the_background(portrait, gain):
    crop = np.ascontiguousarray(portrait[40:200, 145:305])
    bright, range_of, _ = light(crop)
    dimmed = light(np.rint(crop * gain).astype(np.uint8))[:2]
    assert dimmed == (pytest.approx(bright * gain, abs=1), pytest.approx(range_of * gain, abs=1.5))
    framed = crop.copy()
    framed[:16], framed[:, :16], framed[-16:], framed[:, -16:] = 255, 0, 255, 0
    assert light(framed) == light(crop)


GOOD = {
    "brightness": 120.0,
    "overexposed": 0.0,
    "contrast": 90.0,
    "size": 120.0,
    "blur": 0.5,
    "noise_sigma": 1.0,
    "eyes_covered": 0.0,
}
GOOD |= {"mouth_covered": 0.0, "outside": 0.0, "yaw": 0.0, "pitch": 0.0, "score": 1.0}
WORSE = {  # from good to hopeless
    "dark": ("brightness", np.linspace(120, 0, 50)),
    "blown": ("overexposed", np.linspace(0, 1, 50)),
    "flat": ("contrast", np.linspace(90, 0, 50)),
    "small": ("size", np.linspace(120, 1, 50)),
    "blurred": ("blur", np.linspace(0.3, 1, 50)),
    "cut": ("outside", np.linspace(0, 1, 50)),
    "turned": ("yaw", np.linspace(0, 90, 50)),
}


def figures(count: int, **other) -> dict[str, np.ndarray]:
    return {name: np.full(count, value) for name, value in GOOD.items()} | other


@pytest.mark.parametrize("flaw", WORSE)
def test_weight_falls_with_each_figure_and_names_the_flaw(flaw):
    figure, values = WORSE[flaw]
    weights, flaws = weigh(figures(len(values), **{figure: values}))
    assert (np.diff(weights) <= 1e-12).all()
    assert weights[0] > 0.9
    assert 0 < weights[-1] < UNUSABLE
    assert (flaws[0], flaws[-1]) == ("", flaw)


@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_weight_falls_with_what_is_covered(region):
    weights, _ = weigh(figures(50, **{f"{region}_covered": np.linspace(0, 1, 50)}))
    assert (np.diff(weights) <= 1e-12).all()
    assert 0 < weights[-1] < 0.95 * weights[0]


def test_weight_is_the_score_times_all_factors_and_stays_above_zero():
    two = figures(3, brightness=np.array([120.0, 0, 0]), yaw=np.array([0.0, 0, 89.9]), score=np.array([0.5, 1, 0.001]))
    weights, flaws = weigh(two)
    assert weights[0] == pytest.approx(0.5, abs=0.05)
    assert weights[2] == 1e-3
    dim, far = figures(1, brightness=np.array([2.0])), figures(1, size=np.array([11.0]))
    assert weigh(dim | {"size": far["size"]})[0] == pytest.approx(weigh(dim)[0] * weigh(far)[0])
    assert flaws[1] == "dark"
    assert set(flaws[2].split(", ")) == {"dark", "turned"}
    assert weigh(figures(1, noise_sigma=np.array([np.nan])))[0] == weigh(figures(1))[0]


@pytest.mark.parametrize(("bad", "good"), [(9, 1), (10, 0), (8, 2), (90, 11), (0, 5)])
def test_a_clip_complains_where_nine_of_ten_faces_are_unusable(bad, good):
    dark = np.r_[np.zeros(bad), np.full(good, 120.0)]
    said = complaint(*weigh(figures(bad + good, brightness=dark)))
    if bad >= 0.9 * (bad + good):
        assert f"of the {bad + good} face images are hardly usable: too dark ({bad / (bad + good):.0%})" in said
    else:
        assert said == ""


def test_a_complaint_gives_each_reason_with_its_share():
    mixed = figures(10, brightness=np.r_[np.zeros(6), np.full(4, 120.0)], outside=np.r_[np.zeros(6), np.ones(4)])
    said = complaint(*weigh(mixed))
    assert complaint(np.array([0.1]), ["dark"]) == "the face image is hardly usable: too dark"
    assert said == "100% of the 10 face images are hardly usable: too dark (60%), cut off by the picture's edge (40%)"


def test_percentiles_by_counting_are_numpys():
    rng = np.random.default_rng(2)
    for size in (1, 2, 7, 1000):
        values = rng.integers(0, 256, (size, 3), np.uint8)
        shares = (0, 5, 37.5, 50, 95, 100)
        assert percentiles(values, shares) == pytest.approx(np.percentile(values, shares))
        many = values.astype(np.uint16) * 16
        assert percentiles(many, shares, levels=4081) == pytest.approx(np.percentile(many, shares))
