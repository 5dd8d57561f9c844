"""The second classifier inside Inception-ResNet-v2, which only its training uses."""

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

_POOLED = 5


class AuxiliaryHead(nn.Module):
    """Classify from a feature map in the middle of a network, so that its gradient reaches the early layers directly.

    Average pooling 5x5 with stride 3, a 1x1 convolution, one over all that is left, and a linear layer. The 17x17 map of a
    299x299 image is pooled to 5x5; other maps are brought to 5x5 by averaging.

    Args:
        in_channels: Channels of the map: 1088 in Inception-ResNet-v2.
        num_classes: Number of logits.

    References:
        Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of residual connections on learning.
        AAAI 2017. The layers are those of `AuxLogits` in its authors' published code.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Conv2d(in_channels, 128, 1, bias=False), nn.BatchNorm2d(128, eps=1e-3), nn.ReLU(inplace=True)
        )
        self.gather = nn.Sequential(
            nn.Conv2d(128, 768, _POOLED, bias=False), nn.BatchNorm2d(768, eps=1e-3), nn.ReLU(inplace=True)
        )
        self.head = nn.Linear(768, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits.

        Args:
            features: Float `(B, in_channels, H, W)`.

        Returns:
            Logits `(B, num_classes)`.
        """
        edge = 17
        is_usual = features.shape[-2:] == (edge, edge)
        pooled = avg_pool2d(features, _POOLED, 3) if is_usual else adaptive_avg_pool2d(features, _POOLED)
        logits: Tensor = self.head(self.gather(self.project(pooled)).flatten(1))
        return logits
