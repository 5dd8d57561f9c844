"""Image backbones by name: our compact network and everything timm has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d
from torch.nn.utils import fuse_conv_bn_eval

from vidfer.types import EMOTIONS, VidferError


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
        heads: Names of further linear layers `heads[name]` from the embedding to logits, for other labelling conventions.

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
        heads: Sequence[str] = (),
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
        self.heads = nn.ModuleDict({name: nn.Linear(channels, num_classes) for name in heads})

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


_POOLED = 5


class TimmBackbone(nn.Module):
    """A network of timm with the interface of `CompactNet`.

    Args:
        name: A model name of timm, such as `inception_resnet_v2`.
        in_chans: Channels of the image; timm adapts pretrained first layers to other than 3.
        heads: As of `CompactNet`.
        pretrained: Start from weights trained on another task, all but the last layer: True for timm's (cached or downloaded),
            or the path of a `.safetensors` file of them.

    Raises:
        VidferError: The name is unknown, or the weights are not at hand or do not fit.
    """

    network: Any

    def __init__(
        self, name: str, num_classes: int, in_chans: int, pretrained: bool | str, heads: Sequence[str] = ()
    ) -> None:
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
        width = int(self.network.num_features)
        self.heads = nn.ModuleDict({each: nn.Linear(width, num_classes) for each in heads})

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
    name: str,
    *,
    num_classes: int = len(EMOTIONS),
    in_chans: int = 1,
    pretrained: bool | str = False,
    heads: Sequence[str] = (),
) -> CompactNet | TimmBackbone:
    """Build `compact` or a network of timm, with options as for `TimmBackbone`.

    It maps images `(B, in_chans, H, W)` to embeddings `(B, D)` by `embed`, embeddings to logits `(B, num_classes)` by `head` and
    by each of `heads`, and images to logits of `head` by `forward`.

    Raises:
        VidferError: The name is unknown, pretrained weights are not at hand, or were asked for with `compact`.
    """
    if name != "compact":
        return TimmBackbone(name, num_classes, in_chans, pretrained, heads)
    if pretrained:
        raise VidferError("'compact' has no pretrained weights to start from: set pretrained to false")
    return CompactNet(num_classes, in_chans, heads=heads)


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
