"""Face images as points: those of one person lie close together."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute, open_network
from vidfer.media.align import CROP
from vidfer.models.preprocess import as_floats, resize
from vidfer.types import VidferError
from vidfer.weights.files import find_weights
from vidfer.weights.published import IDENTITY

_BATCH = 32


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

    def __init__(self, name_or_file: str = IDENTITY, *, compute: Compute = CPU) -> None:
        weights = find_weights(self.kind, name_or_file)
        try:
            prepared = weights.card["preprocessing"]
            self.crop, self.image_size = int(prepared["crop"]), int(prepared["image_size"])
            self.mean, self.scale = float(prepared["mean"]), float(prepared["scale"])
        except (TypeError, KeyError, ValueError) as error:
            fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
            raise VidferError(fault) from error
        self.network = open_network(weights, compute)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed crops, N >= 1.

        Raises:
            VidferError: The network's output is not finite.
        """
        start = (CROP - self.crop) // 2
        found = []
        for first in range(0, len(crops), _BATCH):
            inner = crops[first : first + _BATCH, start : start + self.crop, start : start + self.crop]
            faces = resize(as_floats(np.moveaxis(inner, 3, 1)), self.image_size)
            found.append(self.network(image=(faces - self.mean) / self.scale)["embedding"])
        embeddings = np.concatenate(found)
        if not np.isfinite(embeddings).all():
            raise VidferError(f"the {self.kind} model's output is not finite: its weights cannot be used")
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-12), np.float32)
