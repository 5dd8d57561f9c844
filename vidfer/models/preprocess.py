"""From face crops to what an image network reads; shared by training, on torch's tensors, and inference, on NumPy's arrays."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device

from vidfer.types import VidferError

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", Tensor, npt.NDArray[Any])
else:
    Array = TypeVar("Array")

MAX_DEVIATION = 3.0  # a white wall behind a dim face would lie far beyond any training image
Statistics = Literal["image", "face"]

_MIN_STD = 2.0 / 255  # a flat image becomes zeros instead of amplified noise
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)
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
        mirrored: Whether a face of a clip and its mirror image are averaged; the paper's network looks at the face alone.
    """

    image_size: int = 48
    in_chans: int = 1
    crop_share: float = 0.8
    mean: float | None = None
    std: float | None = None
    statistics: Statistics = "image"
    mirrored: bool = True

    def __post_init__(self) -> None:
        """Refuse an unknown choice, which would count as the other one."""
        if self.statistics not in get_args(Statistics):
            raise VidferError(f"statistics '{self.statistics}' is none of {', '.join(get_args(Statistics))}")

    def __call__(self, gray: Array) -> Array:
        """Resize, standardise and repeat gray faces in [0, 1], `(B, 1, H, W)`, to `(B, in_chans, image_size, image_size)`."""
        return self.finish(resize(gray, self.image_size))

    def finish(self, gray: Array) -> Array:
        """Standardise and repeat gray faces in [0, 1], `(B, 1, H, W)`, to `(B, in_chans, H, W)`."""
        mean, std = self.mean, self.std
        own = standardise if self.statistics == "image" else standardise_face
        image = own(gray) if mean is None or std is None else (gray - mean) / std
        batch, _, height, width = image.shape
        return cast("Array", array_namespace(image).broadcast_to(image, (batch, self.in_chans, height, width)))

    def gray(self, crops: Array) -> Array:
        """Cut the centres out of aligned RGB crops, uint8 `(N, S, S, 3)`: gray in [0, 1], `(N, 1, s, s)`, s = crop_share * S."""
        edge = round(self.crop_share * crops.shape[1])
        start = (crops.shape[1] - edge) // 2
        centre = as_floats(crops[:, start : start + edge, start : start + edge])
        luma: Array = (centre @ _like(_LUMA, centre))[:, None]
        return luma

    def as_card(self) -> dict[str, Any]:
        """Return the arguments as the card holds them."""
        return asdict(self)


def as_floats(values: Array) -> Array:
    """Return float32 values of any kind."""
    xp = array_namespace(values)
    return cast("Array", xp.astype(values, xp.float32))


def standardise(image: Array) -> Array:
    """Give every image `(B, C, H, W)` mean 0 and deviation 1, so that light and contrast of the recording do not matter."""
    xp = array_namespace(image)
    mean = xp.mean(image, axis=(1, 2, 3), keepdims=True)
    std = xp.std(image, axis=(1, 2, 3), keepdims=True)
    return cast("Array", (image - mean) / xp.clip(std, min=_MIN_STD))


def standardise_face(image: Array) -> Array:
    """Give the middle of every image mean 0 and standard deviation 1, whatever is behind the head.

    Both are weighted by a bell-shaped window over the face, and the result is limited to `MAX_DEVIATION` to either side. Images
    `(B, C, H, W)` in [0, 1] have to be framed as the training images are.
    """
    xp = array_namespace(image)
    window = _like(_face_window(image.shape[-2], image.shape[-1]), image)
    mean = xp.sum(image * window, axis=(1, 2, 3), keepdims=True) / image.shape[1]
    variance = xp.sum((image - mean) ** 2 * window, axis=(1, 2, 3), keepdims=True) / image.shape[1]
    deviations = (image - mean) / xp.clip(xp.sqrt(variance), min=_MIN_STD)
    return cast("Array", xp.clip(deviations, min=-MAX_DEVIATION, max=MAX_DEVIATION))


def resize(image: Array, size: int) -> Array:
    """Resize square images `(B, C, S, S)` to `size` px: by area when shrinking, bilinearly when growing.

    Each pixel counts by the area that it shares with the new one, as in OpenCV; torch's `area` mode averages whole pixels.
    """
    edge = image.shape[-1]
    if size == edge:
        return image
    weights = _like(_area_weights(edge, size) if size < edge else _linear_weights(edge, size), image)
    resized: Array = weights @ image @ weights.T
    return resized


def _like(values: npt.NDArray[np.float32], array: Array) -> Array:
    """Bring values to the library, the type and the device of an array."""
    xp = array_namespace(array)
    return cast("Array", xp.asarray(values, dtype=array.dtype, device=device(array)))


@lru_cache(maxsize=8)
def _face_window(height: int, width: int) -> npt.NDArray[np.float32]:
    x, y = ((np.arange(size) + 0.5) / size for size in (width, height))
    bell = [
        np.exp(-0.5 * ((at - middle) / spread) ** 2)
        for at, middle, spread in zip((x, y), _CENTRE, _SPREAD, strict=True)
    ]
    window = bell[1][:, None] * bell[0]
    return np.asarray(window / window.sum(), np.float32)


@lru_cache(maxsize=8)
def _area_weights(edge: int, size: int) -> npt.NDArray[np.float32]:
    """Return the shares (size, edge) by which pixels make up those of a smaller image."""
    bounds = np.linspace(0, edge, size + 1)
    pixel = np.arange(edge)
    overlap = np.minimum(bounds[1:, None], pixel + 1) - np.maximum(bounds[:-1, None], pixel)
    return np.asarray(overlap.clip(0) * size / edge, np.float32)


@lru_cache(maxsize=8)
def _linear_weights(edge: int, size: int) -> npt.NDArray[np.float32]:
    """Return the shares (size, edge) by which pixels make up those of a larger image, interpolated between their centres."""
    at = ((np.arange(size) + 0.5) * edge / size - 0.5).clip(0, edge - 1)
    return np.asarray((1 - np.abs(at[:, None] - np.arange(edge))).clip(0), np.float32)
