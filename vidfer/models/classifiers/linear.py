"""A linear classifier of feature vectors."""

from torch import Tensor, nn

from vidfer.models.classifiers.standardise import Standardise
from vidfer.types import EMOTIONS


class LinearClassifier(nn.Module):
    """Multinomial logistic regression on standardised vectors.

    Args:
        num_features: Length of a vector: 1582 for the IS10 set.
        num_classes: Number of logits.
        dropout: Share of the features dropped in training, in [0, 1).
    """

    def __init__(self, num_features: int, num_classes: int = len(EMOTIONS), dropout: float = 0.0) -> None:
        super().__init__()
        self.standardise = Standardise(num_features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, num_features)` to logits `(N, num_classes)`."""
        logits: Tensor = self.head(self.dropout(self.standardise(vectors)))
        return logits

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, num_features)` to log-probabilities `(1, N, num_classes)`: a committee of one."""
        log_probs: Tensor = self(vectors).log_softmax(dim=1)[None]
        return log_probs
