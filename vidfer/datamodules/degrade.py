"""What cameras and codecs do to faces, done to whole batches of training images on their device."""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from vidfer.models.preprocess import resize
from vidfer.types import VidferError

_BLOCK = 8
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class VideoDegradation(nn.Module):
    """Make a share of a batch look like faces from video: low resolution, then noise, then compression.

    Each of the three is drawn by itself, so that an image meets one, two or all of them.

    Low resolution brings its blur along; gamma and contrast are `ImageAugmentation`'s.

    Args:
        share: Probability of each of the three for an image, in [0, 1]; 0 leaves images as they are.
        smallest: Smallest edge in px that an image is reduced to before it is magnified again.
        sigma: Largest standard deviation of the noise, on the scale 0-255.
        quality: Smallest and largest quality of the compression, as JPEG counts it, in 1-100.
    """

    def __init__(
        self, share: float, smallest: int = 18, sigma: float = 12.0, quality: tuple[float, float] = (25.0, 90.0)
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise VidferError(f"degrade is a probability in [0, 1], not {share}")
        self.share = share
        self.smallest = smallest
        self.sigma = sigma / 255
        self.quality = quality

    def forward(self, image: Tensor) -> Tensor:
        """Degrade a batch.

        Args:
            image: Gray images, float in [0, 1], `(B, 1, S, S)`.

        Returns:
            Images of the same shape and range.
        """
        if self.share == 0:
            return image
        small, noisy, packed = (torch.rand(image.shape[0], 1, 1, 1, device=image.device) < self.share for _ in range(3))
        image = torch.where(small, self._shrink(image), image)
        sigma = torch.rand(image.shape[0], 1, 1, 1, device=image.device) * self.sigma
        image = torch.where(noisy, (image + sigma * torch.randn_like(image)).clamp(0, 1), image)
        low, high = self.quality
        quality = low + (high - low) * torch.rand(image.shape[0], device=image.device)
        return torch.where(packed, compress(image, quality), image)

    def _shrink(self, image: Tensor) -> Tensor:
        # one size for the batch: other batches draw other sizes
        edge = image.shape[-1]
        if self.smallest >= edge:
            return image
        size = int(torch.randint(self.smallest, edge, ()).item())
        return resize(resize(image, size), edge)


def compress(image: Tensor, quality: Tensor) -> Tensor:
    """Lose what baseline JPEG loses of a gray image: each 8x8 block's cosine transform, rounded to a table's steps.

    Args:
        image: Gray images, float in [0, 1], `(B, 1, H, W)`.
        quality: Quality of each image, 1-100, `(B,)`.

    Returns:
        Images of the same shape and range.

    References:
        ITU-T T.81 (1992), annexes A and K; the quality scale is the Independent JPEG Group's.
    """
    height, width = image.shape[-2:]
    pad = (-width % _BLOCK, -height % _BLOCK)
    padded = nn.functional.pad(image * 255 - 128, (0, pad[0], 0, pad[1]), mode="replicate")
    count, _, rows, columns = padded.shape
    blocks = padded.reshape(count, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    transform = _cosines().to(image)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    steps = ((torch.tensor(_LUMINANCE, device=image.device) * scale + 50) / 100).floor().clamp(1, 255)
    steps = steps[:, None, :, None, :].to(image)
    found = torch.einsum("ui,brick,vk->brucv", transform, blocks, transform)
    back = torch.einsum("ui,brucv,vk->brick", transform, (found / steps).round() * steps, transform)
    return ((back.reshape(padded.shape) + 128) / 255).clamp(0, 1)[..., :height, :width]


@lru_cache(maxsize=1)
def _cosines() -> Tensor:
    place = torch.arange(_BLOCK, dtype=torch.float64)
    matrix = torch.cos(math.pi * (2 * place[None] + 1) * place[:, None] / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix
