"""From face crops to what an image network reads; shared by training and inference."""

from torch import Tensor

MIN_STD = 2.0 / 255
"""Floor of the standard deviation: a flat image becomes zeros instead of amplified noise."""


def standardise(image: Tensor) -> Tensor:
    """Give every image mean 0 and standard deviation 1, so that light and contrast of the recording do not matter.

    Args:
        image: Images, float in [0, 1], `(B, C, H, W)`.

    Returns:
        Standardised images `(B, C, H, W)`.
    """
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    std = image.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (image - mean) / std.clamp_min(MIN_STD)
