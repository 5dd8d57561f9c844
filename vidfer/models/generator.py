"""The denoising GAN: a densely connected generator after SRDenseNet, and a critic after SRGAN's discriminator.

References:
    Tong, Li, Liu, Gao: Image super-resolution using dense skip connections. ICCV 2017.
    The paper's section on the generator H; its "group normalization [26]" cites Ioffe and Szegedy, hence batch norm.
"""

import math
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from vidfer.models.folding import PRESETS, Folding
from vidfer.types import VidferError


class DenseLayer(nn.Module):
    """Norm, ReLU and a 3x3 convolution of all maps before it, which gives `growth` more; without norm, it has a bias."""

    def __init__(self, in_channels: int, growth: int, batch_norm: bool) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(in_channels) if batch_norm else nn.Identity()
        self.conv = nn.Conv2d(in_channels, growth, 3, padding=1, bias=not batch_norm)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, growth, H, W)`."""
        added: Tensor = self.conv(torch.relu(self.norm(features)))
        return added


class DenseBlock(nn.Sequential):
    """Dense layers, of which each reads what came into the block and what those before it added."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to what all the layers add, `(B, layers * growth, H, W)`."""
        layers = [layer for layer in self if isinstance(layer, DenseLayer)]
        normed = not isinstance(layers[0].norm, nn.Identity)
        added: list[Tensor] = []
        read = [features if normed else features.relu()]
        for layer in layers:
            maps = torch.cat(read, dim=1)
            added.append(layer(maps) if normed else layer.conv(maps))
            read.append(
                added[-1] if normed else added[-1].relu()
            )  # without norms, one ReLU serves all layers that follow
        return torch.cat(added, dim=1)


class Generator(nn.Module):
    """Noisy image in, clean image out, of any size.

    A 3x3 convolution computes low-level features; each dense block passes the maps that it adds to the next; those of all
    blocks and the low-level ones are fused by a 1x1 convolution, and a 3x3 convolution makes the image. An output pixel depends
    on input pixels at most `radius` px beyond its own patch of `scale` x `scale`.

    Args:
        preset: `full`, `small` or `tiny`, see `vidfer.models.folding.PRESETS`.
        norm: `batch` as in the paper, or `none`, which has shown fewer artefacts in denoisers.
        output: `residual` to predict what to add to the input (about 1 dB better at equal training), or `direct` as in
            the paper.
        scale: 1 as in the paper, or 2 to fold each 2x2 patch of pixels into channels first and back at the end: a
            quarter of the work and twice the view (Zhang, Zuo, Zhang: FFDNet. IEEE TIP 2018).

    Raises:
        VidferError: An option is unknown.

    Example:
        >>> import torch
        >>> Generator("tiny")(torch.zeros(1, 3, 20, 24)).shape
        torch.Size([1, 3, 20, 24])
    """

    def __init__(self, preset: str = "full", norm: str = "batch", output: str = "residual", scale: int = 1) -> None:
        super().__init__()
        self.folding = Folding(preset, norm, output, scale)
        blocks, layers, growth, bottleneck = PRESETS[preset]
        width = layers * growth
        self.head = nn.Conv2d(3 * scale**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            DenseBlock(*(DenseLayer(width + index * growth, growth, norm == "batch") for index in range(layers)))
            for _ in range(blocks)
        )
        self.bottleneck = nn.Conv2d(width * (blocks + 1), bottleneck, 1)
        self.tail = nn.Conv2d(bottleneck, 3 * scale**2, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise RGB images in [-1, 1], `(B, 3, H, W)`; the result may overshoot [-1, 1] a little."""
        return self.folding.unfold(image, self.restore(self.folding.fold(image)))

    def restore(self, folded: Tensor) -> Tensor:
        """Compute what is to be unfolded from folded images, both `(B, 3 * scale^2, h, w)`."""
        features = self.head(folded)
        levels = [features]
        for block in self.blocks:
            features = block(features)
            levels.append(features)
        restored: Tensor = self.tail(torch.relu(self.bottleneck(torch.cat(levels, dim=1))))
        return restored


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
