"""How much of a face's eyes and mouth something covers."""

import torch
from torch import Tensor, nn

from vidfer.models.regions import REGIONS, SIDE


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
