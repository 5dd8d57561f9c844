"""Face images as points: those of one person lie close together."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidfer.media.align import CROP
from vidfer.types import VidferError
from vidfer.weights.files import find_weights
from vidfer.weights.published import IDENTITY

_BATCH = 32


def _inception_resnet_v1() -> nn.Module:
    from facenet_pytorch import InceptionResnetV1

    network: nn.Module = InceptionResnetV1()
    return network


NETWORKS: Final[dict[str, Callable[..., nn.Module]]] = {"inception_resnet_v1": _inception_resnet_v1}
"""Networks by the `arch` of a card: RGB images (N, 3, S, S) to embeddings (N, D)."""


class IdentityModel:
    """From aligned RGB crops, uint8 (N, 160, 160, 3), to embeddings float32 (N, D) of length 1; D is 512 for the published ones.

    The card's `crop` is the side in px of the central square that the network sees. For the published weights it is 144: eyes are
    then 53 px apart, as in the crops of the detector's boxes with a margin of 32 px that they were tested on.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.

    References:
        Schroff, Kalenichenko, Philbin, FaceNet: a unified embedding for face recognition and clustering, CVPR 2015.
    """

    kind: ClassVar[str] = IDENTITY

    def __init__(self, name_or_file: str = IDENTITY, *, device: str = "cpu") -> None:
        weights = find_weights(self.kind, name_or_file)
        self.device = torch.device(device)
        try:
            self.network: Any = NETWORKS[weights.card["arch"]](**weights.card["arguments"])
            prepared = weights.card["preprocessing"]
            self.crop, self.image_size = int(prepared["crop"]), int(prepared["image_size"])
            self.mean, self.scale = float(prepared["mean"]), float(prepared["scale"])
        except (TypeError, KeyError, ValueError) as error:
            fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
            raise VidferError(fault) from error
        weights.load_into(self.network)
        self.network.eval().to(self.device)

    @torch.inference_mode()
    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed crops, N >= 1.

        Raises:
            VidferError: The network's output is not finite.
        """
        start = (CROP - self.crop) // 2
        found = []
        for first in range(0, len(crops), _BATCH):
            inner = crops[first : first + _BATCH, start : start + self.crop, start : start + self.crop]
            faces = torch.from_numpy(np.ascontiguousarray(inner)).to(self.device).permute(0, 3, 1, 2).float()
            size = (self.image_size, self.image_size)
            faces = nn.functional.interpolate(faces, size, mode="bilinear", antialias=True, align_corners=False)
            points = self.network((faces - self.mean) / self.scale)
            found.append(nn.functional.normalize(points.float(), dim=1).cpu().numpy())
        embeddings = np.concatenate(found)
        if not np.isfinite(embeddings).all():
            raise VidferError(f"the {self.kind} model's output is not finite: its weights cannot be used")
        return np.asarray(embeddings, np.float32)
