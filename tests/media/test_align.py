import numpy as np
import pytest

from vidfer.media.align import TEMPLATE, align, similarity

FACE = np.array([[70.0, 80.0], [110.0, 78.0], [91.0, 101.0], [74.0, 121.0], [108.0, 120.0]])


def test_similarity_recovers_rotation_scale_and_shift():
    angle, scale, shift = np.radians(25), 1.7, np.array([3.0, -8.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(FACE, FACE @ turn.T + shift)
    np.testing.assert_allclose(matrix, np.column_stack([turn, shift]), atol=1e-9)


def test_similarity_is_the_least_squares_optimum():
    """Against a numerical optimiser on the same four parameters."""
    from scipy.optimize import least_squares

    target = FACE + np.random.default_rng(0).normal(0, 5, FACE.shape)

    def residuals(p):
        return (FACE @ np.array([[p[0], -p[1]], [p[1], p[0]]]).T + p[2:] - target).ravel()

    best = least_squares(residuals, [1, 0, 0, 0], xtol=1e-12, ftol=1e-12).x
    matrix = similarity(FACE, target)
    np.testing.assert_allclose([matrix[0, 0], matrix[1, 0], *matrix[:, 2]], best, atol=1e-5)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_without_extent_are_refused(points):
    with pytest.raises(ValueError, match="landmarks"):
        align(np.zeros((50, 50, 3), np.uint8), points)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("angle", [0, -40])
def test_marked_landmarks_arrive_at_the_template(scale, angle):
    """Draw a dot at each landmark of a turned and scaled face; in the crop the dots lie where the template says."""
    import cv2

    turn = np.radians(angle)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (np.array(TEMPLATE) * 128 @ matrix.T) + 600 + 200 * scale
    image = np.zeros((int(1200 + 400 * scale),) * 2 + (3,), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), max(2, round(2.5 * scale)), (255, 255, 255), -1)
    crop = align(image, points)[..., 0].astype(float)
    for x, y in np.array(TEMPLATE) * 128 + 16 - 0.5:
        rows, columns = np.mgrid[round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9]
        weights = crop[rows, columns]
        centre = (weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()
        np.testing.assert_allclose(centre, (x, y), atol=0.8 / min(1, scale))


def test_shrinking_averages_instead_of_sampling():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2000, 2000, 3), np.uint8)
    crop = align(image, np.array(TEMPLATE) * 1280 + 200)
    assert crop[20:140, 20:140].std() < 15  # one sample each would leave 74


def test_a_face_at_the_edge_is_filled_by_repetition():
    image = np.full((100, 100, 3), 77, np.uint8)
    assert (align(image, FACE - [75, 85]) == 77).all()
