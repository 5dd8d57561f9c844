"""Image backbones by name: our compact network and everything timm has."""

from typing import Any, cast

from torch import Tensor, nn

from vidfer.models.compact import CompactNet
from vidfer.types import EMOTIONS, VidferError


class TimmBackbone(nn.Module):
    """A network of timm behind the same face as `CompactNet`.

    Args:
        name: A model name of timm, such as `inception_resnet_v2`.
        num_classes: Number of logits.
        in_chans: Channels of the image; timm adapts pretrained first layers to other than 3.
        pretrained: Load timm's pretrained weights (timm downloads them).
    """

    network: Any

    def __init__(self, name: str, num_classes: int, in_chans: int, pretrained: bool) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
            hint = f"; similar names: {', '.join(near)}" if near else ""
            raise VidferError(f"unknown image backbone '{name}': use 'compact' or a model name of timm{hint}")
        self.network = timm.create_model(name, pretrained=pretrained, num_classes=num_classes, in_chans=in_chans)

    @property
    def head(self) -> Any:  # noqa: ANN401 - timm's networks are not typed
        """The network's last, linear layer; no module of its own, so that its tensors are saved once."""
        return self.network.get_classifier()

    def embed(self, image: Tensor) -> Tensor:
        """Compute the pooled last feature map.

        Args:
            image: Standardised images, float, `(B, in_chans, H, W)`.

        Returns:
            Embeddings `(B, D)`: 1536 for `inception_resnet_v2`.
        """
        features = self.network.forward_features(image)
        return cast("Tensor", self.network.forward_head(features, pre_logits=True))

    def forward(self, image: Tensor) -> Tensor:
        """Compute the logits.

        Args:
            image: Standardised images, float, `(B, in_chans, H, W)`.

        Returns:
            Logits `(B, num_classes)`.
        """
        return cast("Tensor", self.head(self.embed(image)))


def build_backbone(
    name: str, *, num_classes: int = len(EMOTIONS), in_chans: int = 1, pretrained: bool = False
) -> CompactNet | TimmBackbone:
    """Build an image network by name.

    Args:
        name: `compact`, or any model name of timm.
        num_classes: Number of logits.
        in_chans: Channels of the image: 1 for gray, 3 for colour or repeated gray.
        pretrained: Start from timm's pretrained weights; `compact` has none to start from.

    Returns:
        A module that maps images `(B, C, H, W)` to embeddings `(B, D)` by `embed`, embeddings to logits `(B, num_classes)` by
        `head`, and images to logits by `forward`.

    Raises:
        VidferError: The name is unknown, or `compact` was asked for with `pretrained`.
    """
    if name != "compact":
        return TimmBackbone(name, num_classes, in_chans, pretrained)
    if pretrained:
        raise VidferError("'compact' has no pretrained weights to start from: set pretrained to false")
    return CompactNet(num_classes, in_chans)
