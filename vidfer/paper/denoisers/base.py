"""What the convolutional families share: they work on folded pixels and predict what to add to the image."""

import math
from abc import abstractmethod
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

SCALE: Final = 2
FOLDED: Final = 3 * SCALE**2
"""Channels of an image whose 2x2 patches are folded into channels."""


class FoldedDenoiser(nn.Module):
    """Noisy image in, clean image out, of any size.

    As `Generator` with `scale=2`, the network sees each 2x2 patch of pixels as one pixel with 12 channels: a quarter of the
    work and twice the view (Zhang, Zuo, Zhang: FFDNet. IEEE TIP 2018).
    """

    @abstractmethod
    def correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image, `(B, 12, H / 2, W / 2)`, of the same shape."""

    def forward(self, image: Tensor) -> Tensor:
        """Denoise images.

        Args:
            image: RGB, float in [-1, 1], `(B, 3, H, W)`.

        Returns:
            Denoised images `(B, 3, H, W)`; they may overshoot [-1, 1] a little.
        """
        height, width = image.shape[-2:]
        padded = functional.pad(image, (0, -width % SCALE, 0, -height % SCALE), mode="replicate")
        correction = self.correct(functional.pixel_unshuffle(padded, SCALE))
        return image + functional.pixel_shuffle(correction, SCALE)[..., :height, :width]


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the image's size and, with a ReLU before or after it, the signal's (He et al. 2015)."""
    return _start_at(nn.Conv2d(in_channels, out_channels, 3, padding=1), math.sqrt(2 / (9 * in_channels)))


def last_conv(in_channels: int) -> nn.Conv2d:
    """Make the convolution of a correction, which starts as none: the untrained network changes nothing."""
    return _start_at(nn.Conv2d(in_channels, FOLDED, 3, padding=1), 0.0)


def _start_at(conv: nn.Conv2d, std: float) -> nn.Conv2d:
    assert conv.bias is not None
    nn.init.normal_(conv.weight, std=std)
    nn.init.zeros_(conv.bias)
    return conv
