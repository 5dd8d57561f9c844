"""How much of a face's eyes and mouth something covers."""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

SIDE: Final = 48
"""Edge in px of what the network reads."""

REGIONS: Final = {"eyes": (0.22, 0.29, 0.78, 0.47), "mouth": (0.30, 0.69, 0.70, 0.90)}
"""Left, top, right, bottom of the regions, as shares of a face framed as FER2013's, see `vidfer.media.align.TEMPLATE`."""


class OcclusionNet(nn.Module):
    """From gray faces, float in [0, 1], `(B, 1, 48, 48)` to logits `(B, 2)` of the covered share of each of `REGIONS`.

    A face's own mean and deviation are taken out first. 22,000 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 24, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(24, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
        )
        self.head = nn.Linear(32 * (SIDE // 8) ** 2, len(REGIONS))

    def forward(self, face: Tensor) -> Tensor:
        """Return the logits."""
        mean = face.mean((1, 2, 3), keepdim=True)
        std = face.std((1, 2, 3), keepdim=True, correction=0).clamp_min(2 / 255)
        return torch.as_tensor(self.head(self.features((face - mean) / std)))


def covered_shares(mask: np.ndarray) -> np.ndarray:
    """Return the mean of a mask `(S, S)` in [0, 1] inside each of `REGIONS`, `(2,)`."""
    size = len(mask)
    spans = [[round(edge * size) for edge in region] for region in REGIONS.values()]
    return np.array([mask[top:bottom, left:right].mean() for left, top, right, bottom in spans])
