"""From face crops to what an image network reads; shared by training and inference."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from vidfer.types import VidferError

MAX_DEVIATION = 3.0  # a white wall behind a dim face would lie far beyond any training image
Statistics = Literal["image", "face"]

_MIN_STD = 2.0 / 255  # a flat image becomes zeros instead of amplified noise
_LUMA = (0.299, 0.587, 0.114)
_CENTRE = (0.5, 0.56)  # x, y between eyes and mouth in `vidfer.media.align.TEMPLATE`, a little lower for the chin
_SPREAD = (0.2, 0.24)


@dataclass(frozen=True)
class Preprocessing:
    """How gray faces become the input of a network; stored in the card of its weights.

    Args:
        image_size: Edge in px of what the network reads.
        in_chans: Channels; the gray image is repeated.
        crop_share: Share of a crop's edge that frames the face as tightly as the training images do.
        mean: Subtracted from pixels in [0, 1]; None to standardise every image by itself.
        std: Divided by after `mean`; None to standardise every image by itself.
        statistics: Where an image's own mean and deviation are taken: `image`, or `face`, so that the background does not matter.
            Cards without this entry mean `image`.
    """

    image_size: int = 48
    in_chans: int = 1
    crop_share: float = 0.8
    mean: float | None = None
    std: float | None = None
    statistics: Statistics = "image"

    def __post_init__(self) -> None:
        """Refuse an unknown choice, which would count as the other one."""
        if self.statistics not in get_args(Statistics):
            raise VidferError(f"statistics '{self.statistics}' is none of {', '.join(get_args(Statistics))}")

    def __call__(self, gray: Tensor) -> Tensor:
        """Resize, standardise and repeat gray faces in [0, 1], `(B, 1, H, W)`, to `(B, in_chans, image_size, image_size)`."""
        return self.finish(resize(gray, self.image_size))

    def finish(self, gray: Tensor) -> Tensor:
        """Standardise and repeat gray faces in [0, 1], `(B, 1, H, W)`, to `(B, in_chans, H, W)`."""
        mean, std = self.mean, self.std
        own = standardise if self.statistics == "image" else standardise_face
        image = own(gray) if mean is None or std is None else (gray - mean) / std
        return image.expand(-1, self.in_chans, -1, -1)

    def gray(self, crops: Tensor) -> Tensor:
        """Cut the centres out of aligned RGB crops, uint8 `(N, S, S, 3)`: gray in [0, 1], `(N, 1, s, s)`, s = crop_share * S."""
        edge = round(self.crop_share * crops.shape[1])
        start = (crops.shape[1] - edge) // 2
        centre = crops[:, start : start + edge, start : start + edge].float()
        luma = torch.tensor(_LUMA, device=crops.device) / 255
        return (centre @ luma)[:, None]

    def as_card(self) -> dict[str, Any]:
        """Return the arguments as the card holds them."""
        return asdict(self)


def standardise(image: Tensor) -> Tensor:
    """Give every image `(B, C, H, W)` mean 0 and deviation 1, so that light and contrast of the recording do not matter."""
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    std = image.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (image - mean) / std.clamp_min(_MIN_STD)


def standardise_face(image: Tensor) -> Tensor:
    """Give the middle of every image mean 0 and standard deviation 1, whatever is behind the head.

    Both are weighted by a bell-shaped window over the face, and the result is limited to `MAX_DEVIATION` to either side. Images
    `(B, C, H, W)` in [0, 1] have to be framed as the training images are.
    """
    window = _face_window(image.shape[-2], image.shape[-1]).to(image)
    mean = (image * window).sum(dim=(1, 2, 3), keepdim=True) / image.shape[1]
    std = ((image - mean).square() * window).sum(dim=(1, 2, 3), keepdim=True).div(image.shape[1]).sqrt()
    return ((image - mean) / std.clamp_min(_MIN_STD)).clamp(-MAX_DEVIATION, MAX_DEVIATION)


@lru_cache(maxsize=8)
def _face_window(height: int, width: int) -> Tensor:
    x, y = ((torch.arange(size, dtype=torch.float64) + 0.5) / size for size in (width, height))
    bell = [
        torch.exp(-0.5 * ((at - middle) / spread) ** 2)
        for at, middle, spread in zip((x, y), _CENTRE, _SPREAD, strict=True)
    ]
    window = bell[1][:, None] * bell[0]
    return (window / window.sum()).float()


def resize(image: Tensor, size: int) -> Tensor:
    """Resize square images `(B, C, S, S)` to `size` px: by area when shrinking, bilinearly when growing.

    Each pixel counts by the area that it shares with the new one, as in OpenCV; torch's `area` mode averages whole pixels.
    """
    edge = image.shape[-1]
    if size == edge:
        return image
    if size > edge:
        return torch.nn.functional.interpolate(image, (size, size), mode="bilinear", align_corners=False)
    weights = _area_weights(edge, size).to(image)
    return weights @ image @ weights.T


@lru_cache(maxsize=8)
def _area_weights(edge: int, size: int) -> Tensor:
    bounds = torch.linspace(0, edge, size + 1, dtype=torch.float64)
    pixel = torch.arange(edge, dtype=torch.float64)
    overlap = torch.minimum(bounds[1:, None], pixel + 1) - torch.maximum(bounds[:-1, None], pixel)
    return (overlap.clamp_min(0) * size / edge).float()
