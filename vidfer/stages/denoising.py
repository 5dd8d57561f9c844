"""What the stages share that denoise, or read what was denoised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vidfer.pipeline.store import Artifact

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DenoiseMode = Literal["auto", "on", "off"]
DenoiseScope = Literal["face", "frame"]


@dataclass(frozen=True)
class Denoising:
    """What is denoised, and by which weights.

    Args:
        weights: Digest of the weights, see `weights_digest`.
        threshold: Estimated sigma, on the scale 0-255, above which an image is denoised; None for every image.
    """

    weights: str
    threshold: float | None

    def wants(self, sigma: "npt.NDArray[np.floating]") -> "npt.NDArray[np.bool_]":
        """Say which images to denoise by their noise, of any shape; of unknown noise (NaN) only if all are to be."""
        import numpy as np

        return np.full(np.shape(sigma), True) if self.threshold is None else np.asarray(sigma > self.threshold)


def denoised_name(shard: str) -> str:
    """Return the name of the file with the denoised ones of the crops in `shard`.

    It holds `rows` (n,) int64, counted inside the shard, and `crops` uint8 (n, 160, 160, 3).
    """
    return shard.replace("crops-", "denoised-")


def read_denoised(
    inputs: Mapping[str, Artifact], shard: str
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]] | None":
    """Read the denoised crops of a shard, from whichever stage has made them.

    Args:
        inputs: The artifacts of `denoise` (scope `face`) and `faces` (scope `frame`).
        shard: Name of the file with the raw crops.

    Returns:
        Rows inside the shard and the crops at these rows; None when none was denoised.
    """
    name = denoised_name(shard)
    for artifact in inputs.values():
        if name in artifact.names():
            arrays = artifact.arrays(name)
            return arrays["rows"], arrays["crops"]
    return None
