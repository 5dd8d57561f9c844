import numpy as np
import pytest

from vidfer.datasets.occluders import OCCLUDERS, cover
from vidfer.models.regions import REGIONS, covered_shares

PHOTOS = [np.random.default_rng(0).integers(0, 256, (200, 150), dtype=np.uint8)]


@pytest.mark.parametrize("size", [48, 128])
@pytest.mark.parametrize("kind", OCCLUDERS)
def test_nothing_changes_outside_the_mask_but_a_shadow(kind, size):
    face = np.random.default_rng(1).integers(60, 200, (size, size), dtype=np.uint8)
    for seed in range(20):
        covered, mask = cover(face, kind, np.random.default_rng(seed), PHOTOS, [face])
        again, _ = cover(face, kind, np.random.default_rng(seed), PHOTOS, [face])
        assert (covered == again).all()
        assert (mask.min() >= 0, mask.max() <= 1, mask.shape) == (True, True, face.shape)
        assert (covered[mask == 0] <= face[mask == 0]).all()  # a shadow only darkens
        assert (covered[mask == 0] >= np.floor(0.59 * face[mask == 0])).all()


@pytest.mark.parametrize(("kind", "region"), [("sunglasses", 0), ("mask", 1), ("scarf", 1)])
def test_what_is_worn_covers_its_region_and_not_the_other(kind, region):
    face = np.full((128, 128), 120, np.uint8)
    shares = np.array(
        [covered_shares(cover(face, kind, np.random.default_rng(s), PHOTOS, [face])[1]) for s in range(50)]
    )
    assert shares[:, region].mean() > 0.4
    assert shares[:, 1 - region].mean() < 0.02


def test_shares_are_areas():
    mask = np.zeros((100, 100))
    left, _, right, bottom = REGIONS["eyes"]
    mask[: round(100 * bottom), : round(100 * (left + right) / 2)] = 1
    assert covered_shares(mask) == pytest.approx([0.5, 0])
