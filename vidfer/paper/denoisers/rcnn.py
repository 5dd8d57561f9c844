"""R-CNN, read as recursive residual CNN: one residual unit, applied again and again with the same weights.

The regions of a region CNN, which classifiers have, make no sense where every pixel is to be restored.

References:
    Tai, Yang, Liu: Image super-resolution via deep recursive residual network. CVPR 2017: every pass starts from the first
    features (section 3.2), here without batch norm.
    Kim, Lee, Lee: Deeply-recursive convolutional network for image super-resolution. CVPR 2016.
"""

import torch
from torch import Tensor

from vidfer.paper.denoisers.base import FOLDED, FoldedDenoiser, conv3, last_conv


class RecursiveDenoiser(FoldedDenoiser):
    """A residual unit of two convolutions with shared weights.

    Args:
        width: Feature maps.
        passes: How often the unit is applied.
    """

    def __init__(self, width: int = 48, passes: int = 3) -> None:
        super().__init__()
        self.passes = passes
        self.head = conv3(FOLDED, width)
        self.first = conv3(width, width)
        self.second = conv3(width, width)
        self.tail = last_conv(width)

    def correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image."""
        start = features = self.head(folded)
        for _ in range(self.passes):
            features = start + self.second(torch.relu(self.first(torch.relu(features))))
        correction: Tensor = self.tail(torch.relu(features))
        return correction
