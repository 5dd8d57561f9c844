"""The compact image network: about one million parameters, made for one CPU thread."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut: the identity where shapes agree, else a strided 1x1 convolution.

    References:
        He, Zhang, Ren, Sun: Deep residual learning for image recognition. CVPR 2016.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(B, in_channels, H, W)` to `(B, out_channels, ceil(H / stride), ceil(W / stride))`."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        total: Tensor = self.relu(residual + self.shortcut(features))
        return total


class CompactNet(nn.Module):
    """A small residual network for gray faces of about 48x48 px.

    A strided 5x5 stem and residual blocks in three stages, averaged over space into the embedding; images from 16 px on.

    Args:
        widths: Channels of the three stages; the last is the embedding's size.
        depths: Residual blocks of the three stages.
        dropout: Share of the embedding dropped in training, in [0, 1).

    Example:
        >>> import torch
        >>> CompactNet(num_classes=7).embed(torch.zeros(2, 1, 48, 48)).shape
        torch.Size([2, 128])
    """

    def __init__(
        self,
        num_classes: int,
        in_chans: int = 1,
        widths: tuple[int, ...] = (32, 64, 128),
        depths: tuple[int, ...] = (2, 2, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        blocks: list[nn.Module] = []
        channels = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(ResidualBlock(channels, width, stride))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, num_classes)

    def embed(self, image: Tensor) -> Tensor:
        """Embed standardised images `(B, in_chans, H, W)` as the mean of the last feature map, `(B, widths[-1])`."""
        features: Tensor = self.blocks(self.stem(image))
        return features.mean(dim=(2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Map standardised images `(B, in_chans, H, W)` to logits `(B, num_classes)`."""
        logits: Tensor = self.head(self.dropout(self.embed(image)))
        return logits


def fold_batch_norm(network: CompactNet) -> None:
    """Fold every batch norm into the convolution declared right before it: in place, in evaluation mode."""
    for parent in network.modules():
        for (name, convolution), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, norm_name, nn.Identity())
