"""Augmentation of whole batches of gray images on their device, with what cameras and codecs do to faces."""

import math

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor, nn

from vidfer.models.preprocess import Preprocessing, resize
from vidfer.types import VidferError

_BLOCK = 8
_COSINES = torch.from_numpy(dct(np.eye(_BLOCK), axis=0, norm="ortho"))
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


class ImageAugmentation(nn.Module):
    """Random faults of video, flip, affine map (which also resizes), light and erasing, drawn for each image of a batch.

    Args:
        preprocessing: How the network wants its input; each call gives its own size.
        strength: What the ranges below are multiplied by; 0 leaves only the flip.
        degrees: Largest rotation to either side.
        scale: Smallest and largest magnification of the face.
        translation: Largest shift as a share of the edge.
        brightness: Largest shift of brightness as a share of the full range.
        contrast: Largest relative change of contrast and of gamma's logarithm.
        erase: Probability that a rectangle is erased.
        degrade: Probability of each of the faults of `VideoDegradation`; `strength` leaves it alone.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        strength: float = 1.0,
        degrees: float = 12.0,
        scale: tuple[float, float] = (0.85, 1.2),
        translation: float = 0.08,
        brightness: float = 0.15,
        contrast: float = 0.3,
        erase: float = 0.3,
        degrade: float = 0.0,
    ) -> None:
        super().__init__()
        self.degrade, self.preprocessing = VideoDegradation(degrade), preprocessing
        self.scale = (scale[0] ** strength, scale[1] ** strength)
        self.degrees, self.translation = strength * degrees, strength * translation
        self.brightness, self.contrast, self.erase = (strength * each for each in (brightness, contrast, erase))

    def forward(self, image: Tensor, size: int) -> Tensor:
        """Make the network's input, float `(B, in_chans, size, size)`, of gray images in [0, 1], `(B, 1, H, W)`."""
        warped = nn.functional.grid_sample(
            self.degrade(image), self._grid(image, size), padding_mode="reflection", align_corners=False
        )
        return self._erase(self.preprocessing.finish(self._relight(warped)))  # erased parts hold the mean gray

    def _grid(self, image: Tensor, size: int) -> Tensor:
        angle = _uniform(image, -1.0, 1.0) * math.radians(self.degrees)
        zoom = torch.exp(_uniform(image, math.log(self.scale[0]), math.log(self.scale[1])))
        flip = torch.where(_uniform(image, 0.0, 1.0) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        shift = [_uniform(image, -1.0, 1.0) * 2 * self.translation for _ in range(2)]
        theta = torch.stack([cos * flip, -sin, shift[0], sin * flip, cos, shift[1]], dim=1).view(-1, 2, 3)
        return nn.functional.affine_grid(theta, [len(image), 1, size, size], align_corners=False)

    def _relight(self, image: Tensor) -> Tensor:
        gamma, gain, offset = (_uniform(image, -1.0, 1.0).view(-1, 1, 1, 1) for _ in range(3))
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        changed = (image - mean) * (1 + gain * self.contrast) + mean + offset * self.brightness
        return changed.clamp(1e-4, 1).pow(torch.exp(gamma * self.contrast))

    def _erase(self, image: Tensor) -> Tensor:
        size = image.shape[-1]
        grid = torch.arange(size, device=image.device) / size
        inside = (_uniform(image, 0.0, 1.0) < self.erase).view(-1, 1, 1)
        spans = []
        for _ in range(2):
            extent = _uniform(image, 0.15, 0.45)
            start = _uniform(image, 0.0, 1.0) * (1 - extent)
            spans.append((grid >= start[:, None]) & (grid < (start + extent)[:, None]))
        hole = inside & spans[0][:, :, None] & spans[1][:, None, :]
        return image.masked_fill(hole[:, None], 0.0)


class VideoDegradation(nn.Module):
    """Make a share of a batch look like faces from video: low resolution, then noise, then compression, each drawn by itself.

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
        self.share, self.smallest, self.sigma, self.quality = share, smallest, sigma / 255, quality

    def forward(self, image: Tensor) -> Tensor:
        """Degrade gray images, float in [0, 1], `(B, 1, S, S)`."""
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
        edge = image.shape[-1]
        if self.smallest >= edge:
            return image
        size = int(torch.randint(self.smallest, edge, ()).item())  # one for the batch
        return resize(resize(image, size), edge)


def compress(image: Tensor, quality: Tensor) -> Tensor:
    """Compress gray images, float in [0, 1], `(B, 1, H, W)`, as baseline JPEG does, each at its `quality (B,)` in 1-100.

    The cosine transform of each 8x8 block is rounded to a table's steps.

    References:
        ITU-T T.81 (1992), annexes A and K; the quality scale is the Independent JPEG Group's.
    """
    height, width = image.shape[-2:]
    pad = (-width % _BLOCK, -height % _BLOCK)
    padded = nn.functional.pad(image * 255 - 128, (0, pad[0], 0, pad[1]), mode="replicate")
    count, _, rows, columns = padded.shape
    blocks = padded.reshape(count, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    transform = _COSINES.to(image)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    steps = ((torch.tensor(_LUMINANCE, device=image.device) * scale + 50) / 100).floor().clamp(1, 255)
    steps = steps[:, None, :, None, :].to(image)
    found = torch.einsum("ui,brick,vk->brucv", transform, blocks, transform)
    back = torch.einsum("ui,brucv,vk->brick", transform, (found / steps).round() * steps, transform)
    return ((back.reshape(padded.shape) + 128) / 255).clamp(0, 1)[..., :height, :width]


def _uniform(image: Tensor, low: float, high: float) -> Tensor:
    return torch.rand(image.shape[0], device=image.device) * (high - low) + low
