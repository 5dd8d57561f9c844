"""The denoiser as a function of images."""

from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch

from vidfer.inference.network import CPU, Compute
from vidfer.inference.torch_networks import one_thread
from vidfer.models.fast_generator import SplitGenerator
from vidfer.models.generator import Generator
from vidfer.models.layout import channels_last
from vidfer.weights.files import find_weights

CORE: Final = 280
"""Edge in px of what is kept of a tile: beyond that, memory grows and nothing gets faster."""


class Denoiser:
    """Removes noise from images of any size, in tiles where they are large; tiles overlap so far that no seam is left.

    The weights are a name of shipped ones or a `.safetensors` file with its card beside it. On a CPU the network runs as a
    `SplitGenerator`, which is faster and equal but for rounding.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.
    """

    kind: ClassVar[str] = "denoise"

    def __init__(self, name_or_file: str | Path = "small", *, compute: Compute = CPU) -> None:
        weights = find_weights("denoise", name_or_file)
        self.card = weights.card
        compute.require()
        self.device = torch.device(compute.device)
        network = Generator(**weights.card["arguments"])
        weights.load_into(network)
        self.margin = network.radius
        network = channels_last(network.eval())
        plain = weights.card["arguments"].get("norm") == "none" and self.device.type == "cpu"
        self.network: Any = SplitGenerator(network) if plain else network.to(self.device)

    @torch.inference_mode()
    def __call__(self, images: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        """Denoise images `(N, H, W, 3)`, RGB on the scale 0-255: uint8, or float where noise was not clipped."""
        clean = np.empty(images.shape, np.uint8)
        tiles = list(product(*(_spans(length, self.margin) for length in images.shape[1:3])))
        for image, result in zip(images, clean, strict=True):
            for (rows, kept_rows), (columns, kept_columns) in tiles:
                tile = self._tile(image[rows, columns])
                inner = tile[kept_rows.start - rows.start :, kept_columns.start - columns.start :]
                target = result[kept_rows, kept_columns]
                target[:] = inner[: target.shape[0], : target.shape[1]]
        return clean

    def _tile(self, tile: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        pixels = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        signed = pixels.permute(2, 0, 1)[None].float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        with one_thread():
            restored = self.network(signed)[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return np.asarray(restored.permute(1, 2, 0).cpu().numpy())


def _spans(length: int, margin: int) -> list[tuple[slice, slice]]:
    """Cut an edge into tiles: what to compute and, inside it, what to keep."""
    if length <= CORE + 2 * margin:
        return [(slice(0, length), slice(0, length))]
    return [
        (slice(max(0, start - margin), min(length, start + CORE + margin)), slice(start, min(length, start + CORE)))
        for start in range(0, length, CORE)
    ]
