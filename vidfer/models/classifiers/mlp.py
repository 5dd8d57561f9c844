"""Classifiers of single vectors: linear, and perceptrons with one hidden layer."""

import torch
from torch import Tensor, nn

from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import FRAME_FEATURES, NUM_CLASSES, SOUND_FEATURES, VectorClassifier
from vidfer.types import VidferError


class MLPClassifier(VectorClassifier):
    """Perceptrons with one hidden layer each, trained side by side and averaged in probability.

    Args:
        hidden: Units of a member's hidden layer.
        members: Number of perceptrons.
        input_dropout: Share of the features dropped in training, in [0, 1).
        dropout: Share of the hidden units dropped in training, in [0, 1).
        corpus_directions: Number of directions that are taken out of the standardised vectors, those in which the corpora of the
            training clips differ most within a class, see `find_corpus_directions`; clips of one corpus have none.
    """

    directions: Tensor | None

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 256,
        members: int = 1,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
        corpus_directions: int = 0,
    ) -> None:
        super().__init__(modality, num_frame_features, num_sound_features)
        if corpus_directions < 0:
            raise VidferError(f"corpus_directions has to be at least 0, not {corpus_directions}")
        self.register_buffer(
            "directions", torch.zeros(corpus_directions, self.num_features) if corpus_directions else None
        )
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

    def prepare(self, train: ClipBatch) -> None:
        """Take the statistics of the training vectors, and the directions in which their corpora differ."""
        super().prepare(train)
        if self.directions is not None and "corpus" in train:
            vectors, clip = self.vectors(train)
            found = find_corpus_directions(self.standardise(vectors), train["target"][clip], train["corpus"][clip])
            count = min(len(found), len(self.directions))
            self.directions[:count] = found[:count]

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` to every member's log-probabilities `(members, N, 7)`."""
        standardised = self.standardise(vectors)
        if self.directions is not None:
            standardised = standardised - standardised @ self.directions.T @ self.directions
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


def find_corpus_directions(vectors: Tensor, target: Tensor, corpus: Tensor) -> Tensor:
    """Find the directions in which corpora differ within a class, orthonormal rows `(R, F)`, those of most difference first.

    They span the differences between the mean vector of a class in a corpus and the mean over all corpora that have the class;
    there are none where every class is in one corpus only. They are language, microphone and room rather than expression, and a
    network that does not see them is less misled in a corpus that it never met.

    Args:
        vectors: `(N, F)`.
        target: `(N,)`, classes; -1 where unknown, which takes no part.
        corpus: `(N,)`, numbers of corpora.
    """
    differences = [vectors.new_zeros(0, vectors.shape[1])]
    for one in sorted(set(target.tolist()) - {-1}):
        of_class, own = vectors[target == one], corpus[target == one]
        means = torch.stack([of_class[own == each].mean(0) for each in sorted(set(own.tolist()))])
        differences.append(means - means.mean(0))
    size: Tensor
    rows: Tensor
    _, size, rows = torch.linalg.svd(torch.cat(differences), full_matrices=False)
    return rows[size > 1e-4 * size.amax()] if len(size) else rows
