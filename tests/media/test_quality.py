import numpy as np
import pytest

from vidfer.media.quality import blurredness, judge, noise_sigma, pose

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


def test_blur_grows_with_smoothing_and_ignores_contrast(portrait):
    import cv2

    crop = cv2.resize(portrait[50:190, 150:290], (160, 160))
    blurs = [blurredness(crop if sigma == 0 else cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (0, 1, 2, 4)]
    assert blurs == sorted(blurs)
    assert blurs[0] < 0.75 < 0.9 < blurs[2]
    assert blurredness((crop // 2 + 40).astype(np.uint8)) == pytest.approx(blurs[0], abs=0.03)
    assert blurredness(np.full((160, 160, 3), 9, np.uint8)) == 1


def test_weight_falls_with_size_pose_and_score(portrait):
    crop = np.ascontiguousarray(portrait[50:210, 150:310])

    def weight(points, side, score):
        return judge(portrait, crop, np.array([180.0, 60, 180 + side, 60 + side]), points, score).weight

    good = weight(seen(0, 0, 0), 90, 1.0)
    assert 0 < good <= 1
    assert weight(seen(0, 0, 0), 48, 1.0) == pytest.approx(good)
    assert weight(seen(0, 0, 0), 24, 1.0) == pytest.approx(good / 2)
    assert weight(seen(50, 0, 0), 90, 1.0) < 0.75 * good
    assert weight(seen(0, 0, 0), 90, 0.5) == pytest.approx(good / 2)
