import numpy as np
import pytest
from skimage import data

from vidfer.inference.occlusion import OcclusionModel
from vidfer.media.align import CENTRAL, CROP
from vidfer.models.regions import REGIONS


@pytest.fixture(scope="module")
def model():
    return OcclusionModel()


@pytest.fixture(scope="module")
def crop():
    """Scikit-image's astronaut, framed about as faces are aligned."""
    return np.ascontiguousarray(data.astronaut()[38:198, 142:302])


def covered(crop, region, share, colour):
    """Cover a share of the height of a region, and a margin beside it."""
    left, top, right, bottom = (round((CROP - CENTRAL) / 2 + CENTRAL * edge) for edge in REGIONS[region])
    result = crop.copy()
    result[top : top + round(share * (bottom - top)), left - 8 : right + 8] = colour
    return result


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 30), (60, 90, 200)])
@pytest.mark.parametrize(("region", "place"), [("eyes", 0), ("mouth", 1)])
def test_a_covered_region_is_told_from_the_other(model, crop, region, place, colour):
    free, half, whole = model(np.stack([crop, *(covered(crop, region, share, colour) for share in (0.5, 1.0))]))
    assert free[place] < 0.3
    assert whole[place] > max(0.5, half[place] - 0.05, free[place] + 0.3)
    assert whole[1 - place] < 0.35


@pytest.mark.parametrize("gain", [0.2, 0.5, 1.3])
def test_light_is_no_occluder(model, crop, gain):
    dimmed = np.rint(crop * gain).clip(0, 255).astype(np.uint8)
    np.testing.assert_allclose(model(dimmed[None]), model(crop[None]), atol=0.15)


def test_batches_do_not_matter(model, crop):
    many = np.stack([crop[:, ::-1] if k % 2 else crop for k in range(70)])
    np.testing.assert_allclose(
        model(many)[[0, 1, 69]], np.concatenate([model(many[[k]]) for k in (0, 1, 69)]), atol=1e-5
    )
    assert model(many[:0]).shape == (0, 2)
