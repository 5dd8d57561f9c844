"""How much of each face's eyes and mouth is covered, by the shipped network."""

from functools import lru_cache
from typing import ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute, open_network
from vidfer.media.align import CENTRAL, CROP
from vidfer.models.regions import REGIONS, SIDE
from vidfer.weights.files import find_weights

WEIGHTS: Final = "occlusion"

_BATCH = 64


class OcclusionModel:
    """From aligned crops, uint8 RGB `(N, 160, 160, 3)`, to the covered share of the eyes' and of the mouth's region `(N, 2)`.

    Raises:
        VidferError: The weights do not fit their card.
    """

    kind: ClassVar[str] = "occlusion"

    def __init__(self, name_or_file: str = WEIGHTS, *, compute: Compute = CPU) -> None:
        self.network = open_network(find_weights(self.kind, name_or_file), compute)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Estimate the shares, each in [0, 1]."""
        start = (CROP - CENTRAL) // 2
        found = [np.zeros((0, len(REGIONS)))]
        for first in range(0, len(crops), _BATCH):
            faces = [
                small(crop[start : start + CENTRAL, start : start + CENTRAL]) for crop in crops[first : first + _BATCH]
            ]
            logits = self.network(face=np.stack(faces)[:, None].astype(np.float32) / 255)["logits"]
            found.append(1 / (1 + np.exp(-logits.astype(np.float64))))
        return np.concatenate(found)


def small(face: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn an RGB face `(S, S, 3)` into what the network reads: gray, 48x48."""
    gray = cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=1)
def occlusion_model(compute: Compute = CPU) -> OcclusionModel:
    """Load the shipped network once for the process."""
    return OcclusionModel(compute=compute)
