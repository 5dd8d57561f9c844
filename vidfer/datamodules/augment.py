"""Augmentation of whole batches of gray images on their device."""

import math

import torch
from torch import Tensor, nn

from vidfer.datamodules.degrade import VideoDegradation
from vidfer.models.preprocess import Preprocessing


class ImageAugmentation(nn.Module):
    """Random faults of video, flip, affine map, light and erasing, drawn for each image of a batch at once.

    The affine map also resamples to the wanted edge, so that training on smaller images costs nothing extra.

    Args:
        preprocessing: How the network wants its input; its size is overridden in each call.
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
        self.degrade = VideoDegradation(degrade)
        self.preprocessing = preprocessing
        self.degrees = strength * degrees
        self.scale = (scale[0] ** strength, scale[1] ** strength)
        self.translation = strength * translation
        self.brightness = strength * brightness
        self.contrast = strength * contrast
        self.erase = strength * erase

    def forward(self, image: Tensor, size: int) -> Tensor:
        """Augment and standardise a batch.

        Args:
            image: Gray images, float in [0, 1], `(B, 1, H, W)`.
            size: Edge of the result in px.

        Returns:
            The network's input, float, `(B, in_chans, size, size)`.
        """
        warped = nn.functional.grid_sample(
            self.degrade(image),
            self._grid(image, size),
            mode="bilinear",
            padding_mode="reflection",
            align_corners=False,
        )
        return self._erase(self.preprocessing.finish(self._relight(warped)))

    def _grid(self, image: Tensor, size: int) -> Tensor:
        count = image.shape[0]
        angle = _uniform(image, -1.0, 1.0) * math.radians(self.degrees)
        zoom = torch.exp(_uniform(image, math.log(self.scale[0]), math.log(self.scale[1])))
        flip = torch.where(_uniform(image, 0.0, 1.0) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        shift = [_uniform(image, -1.0, 1.0) * 2 * self.translation for _ in range(2)]
        theta = torch.stack([cos * flip, -sin, shift[0], sin * flip, cos, shift[1]], dim=1).view(count, 2, 3)
        return nn.functional.affine_grid(theta, [count, 1, size, size], align_corners=False)

    def _relight(self, image: Tensor) -> Tensor:
        gamma = torch.exp(_uniform(image, -1.0, 1.0) * self.contrast).view(-1, 1, 1, 1)
        gain = 1 + _uniform(image, -1.0, 1.0).view(-1, 1, 1, 1) * self.contrast
        offset = _uniform(image, -1.0, 1.0).view(-1, 1, 1, 1) * self.brightness
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        changed = ((image - mean) * gain + mean + offset).clamp(1e-4, 1)
        return changed.pow(gamma)

    def _erase(self, image: Tensor) -> Tensor:
        # after standardisation, so that the rectangle holds the mean grey
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


def _uniform(image: Tensor, low: float, high: float) -> Tensor:
    return torch.rand(image.shape[0], device=image.device) * (high - low) + low
