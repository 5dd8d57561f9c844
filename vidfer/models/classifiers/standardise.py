"""Standardisation of feature vectors by training statistics, kept inside the network."""

import torch
from torch import Tensor, nn

from vidfer.types import VidferError


class Standardise(nn.Module):
    """Subtract the training mean, divide by the training deviation, clip.

    The statistics are buffers, so that a network's weights are complete in one file.

    Args:
        num_features: Length of a vector.
        clip: Largest absolute value of the result, in standard deviations: a loud click must not outvote a voice.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_features: int, clip: float = 5.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def fit(self, vectors: Tensor, start: int = 0) -> None:
        """Take the statistics of the training vectors.

        Features that do not vary get deviation 1, and so become 0.

        Args:
            vectors: `(N, F)`, finite, N >= 1.
            start: Number of the first feature that they give; F may be less than all.

        Raises:
            VidferError: There are none.
        """
        if not len(vectors):
            raise VidferError("no training clip has anything of what the classifier reads: nothing to learn from")
        spread, mean = torch.std_mean(vectors.double(), dim=0, correction=0)
        part = slice(start, start + vectors.shape[1])
        self.mean[part] = mean.to(self.mean)
        constant = spread <= 1e-6 * mean.abs().clamp_min(1e-6)
        self.std[part] = spread.masked_fill(constant, 1.0).to(self.std)

    def forward(self, vectors: Tensor) -> Tensor:
        """Standardise `(N, num_features)`."""
        return ((vectors - self.mean) / self.std).clamp(-self.clip, self.clip)
