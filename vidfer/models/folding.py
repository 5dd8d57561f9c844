"""What surrounds a generator's network: pixels folded into channels and back; on torch's tensors and on NumPy's arrays."""

from dataclasses import dataclass
from typing import Final

from array_api_compat import array_namespace

from vidfer.models.preprocess import Array
from vidfer.types import VidferError

PRESETS: Final = {"full": (8, 8, 16, 256), "small": (4, 4, 16, 64), "tiny": (2, 4, 16, 64)}
"""Dense blocks, layers of a block, feature maps that a layer adds, and feature maps after the 1x1 convolution.

`full` is the paper's, with 2.0 M parameters; `small` has 0.23 M and `tiny` 0.12 M.
"""


@dataclass(frozen=True)
class Folding:
    """The arguments of a `Generator`, see there, and what they say about images.

    Raises:
        VidferError: An option is unknown.
    """

    preset: str = "full"
    norm: str = "batch"
    output: str = "residual"
    scale: int = 1

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choices = (
            (self.preset, PRESETS),
            (self.norm, ("batch", "none")),
            (self.output, ("residual", "direct")),
            (self.scale, (1, 2)),
        )
        for value, known in choices:
            if value not in known:
                raise VidferError(f"unknown generator option '{value}': use one of {', '.join(map(str, known))}")

    @property
    def radius(self) -> int:
        """How many px beyond its own patch of `scale` x `scale` a pixel of the result depends on."""
        blocks, layers, _, _ = PRESETS[self.preset]
        return self.scale * (blocks * layers + 2)

    def fold(self, image: Array) -> Array:
        """Fold each patch of `(B, C, H, W)` into channels, `(B, C * scale^2, ceil(H / scale), ceil(W / scale))`.

        Rows and columns that lack to whole patches repeat the last one.
        """
        xp = array_namespace(image)
        scale = self.scale
        if missing := -image.shape[2] % scale:
            image = xp.concat([image, image[:, :, -missing:]], axis=2)
        if missing := -image.shape[3] % scale:
            image = xp.concat([image, image[:, :, :, -missing:]], axis=3)
        batch, channels, height, width = image.shape
        patches = xp.reshape(image, (batch, channels, height // scale, scale, width // scale, scale))
        ordered = xp.permute_dims(patches, (0, 1, 3, 5, 2, 4))
        folded: Array = xp.reshape(ordered, (batch, channels * scale**2, height // scale, width // scale))
        return folded

    def unfold(self, image: Array, maps: Array) -> Array:
        """Make the result of the image `(B, 3, H, W)` and of what the network gave for it, folded: of its size."""
        xp = array_namespace(image)
        (batch, channels, height, width), (rows, columns), scale = image.shape, maps.shape[2:], self.scale
        patches = xp.reshape(maps, (batch, channels, scale, scale, rows, columns))
        ordered = xp.permute_dims(patches, (0, 1, 4, 2, 5, 3))
        result: Array = xp.reshape(ordered, (batch, channels, rows * scale, columns * scale))[:, :, :height, :width]
        return image + result if self.output == "residual" else result
