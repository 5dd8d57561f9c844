import numpy as np
import pytest
import torch
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from vidfer.models.folding import Folding
from vidfer.types import VidferError


@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(6, 8), (5, 8), (7, 3)])
def test_folds_as_torch_does(kind, scale, size):
    image = torch.rand(2, 3, *size)
    folding = Folding("tiny", "none", "residual", scale)
    folded = folding.fold(kind(image.numpy()))
    expected = pixel_unshuffle(pad(image, (0, -size[1] % scale, 0, -size[0] % scale), mode="replicate"), scale)
    np.testing.assert_array_equal(np.asarray(folded), expected.numpy())
    added = torch.rand(expected.shape)
    whole = image + pixel_shuffle(added, scale)[..., : size[0], : size[1]]
    np.testing.assert_array_equal(np.asarray(folding.unfold(kind(image.numpy()), kind(added.numpy()))), whole.numpy())


def test_direct_output_replaces_the_image():
    maps = np.arange(12.0, dtype=np.float32).reshape(1, 12, 1, 1)
    found = Folding("tiny", "none", "direct", 2).unfold(np.full((1, 3, 2, 1), 9, np.float32), maps)
    np.testing.assert_array_equal(found[0, :, :, 0], [[0, 2], [4, 6], [8, 10]])


def test_unknown_options_are_refused():
    with pytest.raises(VidferError, match="unknown generator option 'huge': use one of full, small, tiny"):
        Folding("huge")
