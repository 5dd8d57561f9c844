"""The image network as a function of face images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute, Floats, open_network
from vidfer.models.preprocess import Preprocessing, as_floats
from vidfer.pipeline.cores import at_once
from vidfer.types import EMOTIONS, UsageError, VidferError
from vidfer.weights.files import OWN_HEAD, embedding_width, find_weights, read_heads

TTA: Final = ("none", "flip", "ten-crop")
"""Test-time augmentation: the face as it is; with its mirror image; or five crops, the corners and the centre at 44/48 of the
edge, each with its mirror image. Logits and embeddings are averaged.

References:
    Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012, section 4.1.
"""

_BEFORE = (
    "denoise",
    "denoise_threshold",
    "denoise_weights",
)  # in an image card: what another network does to the faces
_BATCH = 32  # faces of 48 px at a time: enough for speed, little enough for the cache
_PIXELS = _BATCH * 48**2  # that a processor takes at a time: larger faces gain nothing from company


class ImageModel:
    """From face images to an embedding and seven logits each, by weights of a name or a `.safetensors` file with its card.

    Args:
        head: Labelling convention that the logits follow: `video`, the network's own layer, or another one of the card
            (see `read_heads`). Embeddings are the same for all.

    Raises:
        UsageError: The network has no such head.
        VidferError: There are no such weights, or they do not fit their card.
    """

    kind: ClassVar[str] = "image"

    def __init__(self, name_or_file: str | Path = "compact", *, head: str = OWN_HEAD, compute: Compute = CPU) -> None:
        self.weights = weights = find_weights("image", name_or_file)
        self.card = weights.card
        if head not in (known := read_heads(weights)):
            raise UsageError(f"{weights.path} has no head '{head}': its heads are {', '.join(known)}")
        self.head = head
        try:
            own = {key: value for key, value in weights.card["preprocessing"].items() if key not in _BEFORE}
            self.preprocessing = Preprocessing(**own)
        except TypeError as error:
            fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
            raise VidferError(fault) from error
        self.network = open_network(weights, compute)
        fitting = max(1, _PIXELS // self.preprocessing.image_size**2)
        self._batch = min(_BATCH, fitting) if compute.device == "cpu" else _BATCH

    @property
    def tta(self) -> str:
        """The views that are averaged where clips are analysed: `flip`, or `none` if the weights' card says so."""
        return "flip" if self.preprocessing.mirrored else "none"

    def __call__(self, crops: npt.NDArray[np.uint8], *, tta: str | None = "none") -> tuple[Floats, Floats]:
        """Return embeddings (N, D) and logits (N, 7) of aligned RGB crops uint8 (N, S, S, 3).

        They are means over the views of `tta`, None for those that the weights' card asks for. Batches are computed on all
        cores that this process may use, each on one, so that the bytes do not depend on their number.
        """
        return self._run(crops, self.preprocessing.gray, tta)

    def of_gray(self, faces: npt.NDArray[np.uint8], *, tta: str | None = "none") -> tuple[Floats, Floats]:
        """Return the same of gray faces, uint8 (N, S, S), that are framed as the training images are."""
        return self._run(faces, lambda gray: as_floats(gray[:, None]) / 255, tta)

    def _run(
        self, images: npt.NDArray[np.uint8], gray: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], tta: str | None
    ) -> tuple[Floats, Floats]:
        if not len(images):
            return np.zeros((0, embedding_width(self.weights.path)), np.float32), np.zeros(
                (0, len(EMOTIONS)), np.float32
            )

        def compute(batch: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
            found = [self.network(image=self.preprocessing(view)) for view in _views(gray(batch), tta or self.tta)]
            means = (np.mean([one[name] for one in found], 0) for name in ("embedding", f"logits_{self.head}"))
            return next(means), next(means)

        batches = [images[start : start + self._batch] for start in range(0, len(images), self._batch)]
        parts = at_once(compute, batches) if self.network.parallel else [compute(batch) for batch in batches]
        embeddings, logits = (np.concatenate(arrays, dtype=np.float32) for arrays in zip(*parts, strict=True))
        return embeddings, logits


def _views(face: npt.NDArray[Any], tta: str) -> list[npt.NDArray[Any]]:
    """Return what `tta` averages over, of gray faces (B, 1, S, S)."""
    if tta not in TTA:
        raise ValueError(f"no test-time augmentation '{tta}': there are {', '.join(TTA)}")
    if tta == "none":
        return [face]
    parts = [face]
    if tta == "ten-crop":
        edge = face.shape[-1]
        size = round(edge * 44 / 48)
        last, middle = edge - size, round((edge - size) / 2)
        corners = ((0, 0), (0, last), (last, 0), (last, last), (middle, middle))
        parts = [face[..., top : top + size, left : left + size] for top, left in corners]
    return [view for part in parts for view in (part, part[..., ::-1])]
