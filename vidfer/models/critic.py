"""The critic: SRGAN's discriminator with layer norm, since the gradient penalty allows no mixing of a batch's samples.

References:
    Ledig et al.: Photo-realistic single image super-resolution using a generative adversarial network. CVPR 2017.
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved training of Wasserstein GANs. NIPS 2017.
"""

import math
from itertools import pairwise
from typing import Final

from torch import Tensor, nn

from vidfer.types import VidferError

_WIDTHS: Final = (1, 1, 2, 2, 4, 4, 8, 8)


class Critic(nn.Module):
    """A score for each image: the higher, the more it looks like a clean photograph.

    Eight 3x3 convolutions with LeakyReLU 0.2, every second one with stride 2 and all but the first normalised over the whole
    sample, with one scale and shift a channel; then two fully connected layers and no sigmoid.

    Args:
        crop: Edge of the images in px, which the fully connected layers fix; at least 16.
        width: Feature maps of the first convolution; 64 gives the paper's 64-64-128-128-256-256-512-512 and 1024 units.

    Raises:
        VidferError: The crop is too small.
    """

    def __init__(self, crop: int = 64, width: int = 64) -> None:
        super().__init__()
        if crop < 16:
            raise VidferError(
                f"a crop of {crop} px is too small for the critic, which halves it four times: use 16 or more"
            )
        layers: list[nn.Module] = []
        channels = (3, *(width * factor for factor in _WIDTHS))
        for index, (before, after) in enumerate(pairwise(channels)):
            layers.append(nn.Conv2d(before, after, 3, stride=1 + index % 2, padding=1))
            if index:
                layers.append(nn.GroupNorm(1, after))
            layers.append(nn.LeakyReLU(0.2))
        self.features = nn.Sequential(*layers)
        side = math.ceil(crop / 16)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * side**2, 16 * width),
            nn.LeakyReLU(0.2),
            nn.Linear(16 * width, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map RGB images in [-1, 1], `(B, 3, crop, crop)`, to unbounded scores `(B,)`."""
        score: Tensor = self.head(self.features(image))[:, 0]
        return score
