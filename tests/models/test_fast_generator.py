import pytest
import torch

from vidfer.models.fast_generator import SplitGenerator
from vidfer.models.generator import Generator
from vidfer.types import VidferError


@pytest.mark.parametrize("preset", ["tiny", "small"])
@pytest.mark.parametrize("output", ["residual", "direct"])
@pytest.mark.parametrize("scale", [1, 2])
def test_equals_the_generator(preset, output, scale):
    torch.manual_seed(0)
    generator = Generator(preset, "none", output, scale).eval()
    image = torch.rand(2, 3, 37, 45) * 2 - 1
    with torch.inference_mode():
        expected = generator(image)
        torch.testing.assert_close(SplitGenerator(generator)(image), expected, atol=1e-5, rtol=0)


def test_norms_are_refused():
    with pytest.raises(VidferError, match="norms"):
        SplitGenerator(Generator("tiny", "batch"))
