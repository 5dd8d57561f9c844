"""A small committee of multilayer perceptrons on feature vectors."""

import math

import torch
from torch import Tensor, nn

from vidfer.models.classifiers.standardise import Standardise
from vidfer.types import EMOTIONS


class MLPClassifier(nn.Module):
    """Perceptrons with one hidden layer each, trained side by side and averaged in probability.

    Few people speak in the training data, so the input is dropped out heavily: no feature may be relied on alone.

    Args:
        num_features: Length of a vector: 1582 for the IS10 set.
        num_classes: Number of logits.
        hidden: Units of a member's hidden layer.
        members: Number of perceptrons.
        input_dropout: Share of the features dropped in training, in [0, 1).
        dropout: Share of the hidden units dropped in training, in [0, 1).
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int = len(EMOTIONS),
        hidden: int = 256,
        members: int = 1,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(num_features)
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(input_dropout),
                nn.Linear(num_features, hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(hidden, num_classes),
            )
            for _ in range(members)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, num_features)` to logits `(N, num_classes)`.

        Returns:
            The logarithm of the members' mean probability: logits whose softmax is that mean.
        """
        return torch.logsumexp(self.member_log_probs(vectors), dim=0) - math.log(len(self.members))

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, num_features)` to every member's log-probabilities `(members, N, num_classes)`."""
        standardised = self.standardise(vectors)
        return torch.stack([member(standardised).log_softmax(dim=1) for member in self.members])
