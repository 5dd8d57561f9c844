"""A linear classifier of vectors."""

from torch import Tensor, nn

from vidfer.models.classifiers.base import FRAME_FEATURES, NUM_CLASSES, SOUND_FEATURES, VectorClassifier


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
