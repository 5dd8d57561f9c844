"""The denoiser as a function of images."""

from itertools import product
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute, open_network
from vidfer.models.folding import Folding
from vidfer.types import VidferError
from vidfer.weights.files import find_weights

CORE: Final = 320
"""Edge in px of what is kept of a tile at most: larger tiles overlap less and need more memory."""

_BATCH_ON_GPU: Final = 8  # images at a time; on a processor one fills its cache


class Denoiser:
    """Removes noise from images of any size, in tiles where they are large; tiles overlap so far that no seam is left.

    The weights are a name of shipped ones or a `.safetensors` file with its card beside it.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.
    """

    kind: ClassVar[str] = "denoise"

    def __init__(self, name_or_file: str | Path = "small", *, compute: Compute = CPU) -> None:
        weights = find_weights("denoise", name_or_file)
        self.card = weights.card
        try:
            self.folding = Folding(**weights.card["arguments"])
        except (TypeError, VidferError) as error:
            fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
            raise VidferError(fault) from error
        self.network = open_network(weights, compute)
        self.parallel = self.network.parallel
        self._batch = 1 if compute.device == "cpu" else _BATCH_ON_GPU

    def __call__(self, images: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        """Denoise images `(N, H, W, 3)`, RGB on the scale 0-255: uint8, or float where noise was not clipped."""
        clean = np.empty(images.shape, np.uint8)
        tiles = list(product(*(self._spans(length) for length in images.shape[1:3])))
        for start in range(0, len(images), self._batch):
            batch = slice(start, start + self._batch)
            for (rows, kept_rows), (columns, kept_columns) in tiles:
                tile = self._tile(images[batch, rows, columns])
                inner = tile[:, kept_rows.start - rows.start :, kept_columns.start - columns.start :]
                target = clean[batch, kept_rows, kept_columns]
                target[:] = inner[:, : target.shape[1], : target.shape[2]]
        return clean

    def _tile(self, tile: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        signed = tile.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        restored = self.network(folded=self.folding.fold(signed))["restored"]
        pixels = ((self.folding.unfold(signed, restored) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        return pixels.transpose(0, 2, 3, 1)

    def _spans(self, length: int) -> list[tuple[slice, slice]]:
        """Cut an edge into tiles of about one size: what to compute and, inside it, what to keep."""
        margin, scale = self.folding.radius, self.folding.scale
        if length <= CORE + 2 * margin:
            return [(slice(0, length), slice(0, length))]
        patches = -(-length // scale)
        core = scale * -(-patches // -(-length // CORE))
        return [
            (slice(max(0, start - margin), min(length, start + core + margin)), slice(start, min(length, start + core)))
            for start in range(0, length, core)
        ]
