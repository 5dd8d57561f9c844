"""Classifiers of single vectors: linear, and perceptrons with one hidden layer."""

import torch
from torch import Tensor, nn

from vidfer.models.classifiers.base import FRAME_FEATURES, NUM_CLASSES, SOUND_FEATURES, VectorClassifier


class MLPClassifier(VectorClassifier):
    """Perceptrons with one hidden layer each, trained side by side and averaged in probability.

    Args:
        hidden: Units of a member's hidden layer.
        members: Number of perceptrons.
        input_dropout: Share of the features dropped in training, in [0, 1).
        dropout: Share of the hidden units dropped in training, in [0, 1).
    """

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 256,
        members: int = 1,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(modality, num_frame_features, num_sound_features)
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(input_dropout),
                nn.Linear(self.num_features, hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(hidden, NUM_CLASSES),
            )
            for _ in range(members)
        )

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` to every member's log-probabilities `(members, N, 7)`."""
        standardised = self.standardise(vectors)
        return torch.stack([member(standardised).log_softmax(dim=1) for member in self.members])


class LinearClassifier(VectorClassifier):
    """Multinomial logistic regression on standardised vectors.

    Args:
        dropout: Share of the features dropped in training, in [0, 1).
    """

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(modality, num_frame_features, num_sound_features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.num_features, NUM_CLASSES)

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` to log-probabilities `(1, N, 7)`."""
        logits: Tensor = self.head(self.dropout(self.standardise(vectors)))
        return logits.log_softmax(dim=1)[None]
