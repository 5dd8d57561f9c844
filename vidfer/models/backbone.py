"""Image backbones by name: our compact network and everything timm has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from vidfer.models.compact import CompactNet
from vidfer.types import EMOTIONS, VidferError

_POOLED = 5


class TimmBackbone(nn.Module):
    """A network of timm with the interface of `CompactNet`.

    Args:
        name: A model name of timm, such as `inception_resnet_v2`.
        in_chans: Channels of the image; timm adapts pretrained first layers to other than 3.
        pretrained: Start from weights trained on another task, all but the last layer: True for timm's (cached or downloaded),
            or the path of a `.safetensors` file of them.

    Raises:
        VidferError: The name is unknown, or the weights are not at hand or do not fit.
    """

    network: Any

    def __init__(self, name: str, num_classes: int, in_chans: int, pretrained: bool | str) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
            hint = f"; similar names: {', '.join(near)}" if near else ""
            raise VidferError(f"unknown image backbone '{name}': use 'compact' or a model name of timm{hint}")
        with _weights_of(name, pretrained):
            self.network = timm.create_model(
                name,
                pretrained=bool(pretrained),
                pretrained_cfg_overlay={"file": pretrained} if isinstance(pretrained, str) else None,
                num_classes=num_classes,
                in_chans=in_chans,
            )
            if isinstance(pretrained, str):
                self._require_all(pretrained)

    def _require_all(self, file: str) -> None:
        """Refuse a file that lacks tensors: timm would leave their layers at random without a word."""
        from safetensors import safe_open

        with safe_open(file, "pt") as stored:
            names = set(stored.keys())
        last = self.network.pretrained_cfg["classifier"]  # one name or several
        exempt = tuple(f"{name}." for name in ([last] if isinstance(last, str) else last))
        ours = (name for name in self.network.state_dict() if not name.startswith(exempt))
        if missing := [name for name in ours if name not in names and not name.endswith("num_batches_tracked")]:
            raise RuntimeError(f"it lacks {len(missing)} tensors, such as {missing[0]}")

    @property
    def middle_channels(self) -> int:
        """Channels of the last feature map but one: 1088 for `inception_resnet_v2`."""
        return int(self.network.feature_info[-2]["num_chs"])

    @property
    def head(self) -> Any:  # noqa: ANN401 - timm's networks are not typed
        """The network's last, linear layer; a property, so that its tensors are saved once."""
        return self.network.get_classifier()

    def embed(self, image: Tensor) -> Tensor:
        """Embed standardised images `(B, in_chans, H, W)` as the pooled last feature map, `(B, D)`: D = 1536 in the paper."""
        features = self.network.forward_features(image)
        return cast("Tensor", self.network.forward_head(features, pre_logits=True))

    def logits_and_middle(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits `(B, num_classes)`, and the last feature map but one, `(B, C, h, w)`: 1088x17x17 in the paper."""
        last = len(self.network.feature_info) - 1
        features, middle = self.network.forward_intermediates(image, indices=[last - 1])
        embedding = self.network.forward_head(features, pre_logits=True)
        return cast("Tensor", self.head(embedding)), cast("Tensor", middle[0])

    def forward(self, image: Tensor) -> Tensor:
        """Map standardised images `(B, in_chans, H, W)` to logits `(B, num_classes)`."""
        return cast("Tensor", self.head(self.embed(image)))


class AuxiliaryHead(nn.Module):
    """Classify from a feature map in the middle of a network, so that its gradient reaches the early layers directly.

    Average pooling 5x5 with stride 3 of a 17x17 map (other maps are averaged to the same 5x5), a 1x1 convolution, one over all
    that is left, and a linear layer.

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
        """Map a feature map `(B, in_channels, H, W)` to logits `(B, num_classes)`."""
        is_usual = features.shape[-2:] == (17, 17)
        pooled = avg_pool2d(features, _POOLED, 3) if is_usual else adaptive_avg_pool2d(features, _POOLED)
        logits: Tensor = self.head(self.gather(self.project(pooled)).flatten(1))
        return logits


def build_backbone(
    name: str, *, num_classes: int = len(EMOTIONS), in_chans: int = 1, pretrained: bool | str = False
) -> CompactNet | TimmBackbone:
    """Build `compact` or a network of timm, with options as for `TimmBackbone`.

    It maps images `(B, in_chans, H, W)` to embeddings `(B, D)` by `embed`, embeddings to logits `(B, num_classes)` by `head`, and
    images to logits by `forward`.

    Raises:
        VidferError: The name is unknown, pretrained weights are not at hand, or were asked for with `compact`.
    """
    if name != "compact":
        return TimmBackbone(name, num_classes, in_chans, pretrained)
    if pretrained:
        raise VidferError("'compact' has no pretrained weights to start from: set pretrained to false")
    return CompactNet(num_classes, in_chans)


@contextmanager
def _weights_of(name: str, pretrained: bool | str) -> Iterator[None]:
    """Say in one sentence why pretrained weights could not be loaded."""
    from safetensors import SafetensorError

    if isinstance(pretrained, str) and not (pretrained.endswith(".safetensors") and Path(pretrained).is_file()):
        raise VidferError(f"no pretrained weights {pretrained}: expected a .safetensors file")
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not pretrained:
            raise
        if isinstance(pretrained, str):
            raise VidferError(f"{pretrained} holds no pretrained weights of '{name}': {error}") from error
        raise VidferError(
            f"the pretrained weights of '{name}' are neither in timm's cache nor can be downloaded: connect to the network once, "
            "give their file (--model.init_args.pretrained=FILE.safetensors), or start afresh "
            "(--model.init_args.pretrained=false)"
        ) from error
