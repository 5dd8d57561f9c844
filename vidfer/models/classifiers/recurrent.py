"""Recurrent classifiers, which read a clip's vectors in the order of time."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import (
    FRAME_FEATURES,
    NUM_CLASSES,
    SOUND_FEATURES,
    Classifier,
    Standardise,
    sequence,
)
from vidfer.types import VidferError


class SequenceClassifier(Classifier):
    """A recurrent network over face embeddings, or windows of sound, and a linear layer on its last state.

    Args:
        modality: `frames` or `sound`.
        hidden: Units of the recurrent layer.
        dropout: Share of the inputs and of the last state dropped in training, in [0, 1).

    Raises:
        VidferError: The modality is unknown.
    """

    layer: type[nn.LSTM | nn.RNN]

    def __init__(
        self,
        modality: str = "frames",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if modality not in ("frames", "sound"):
            raise VidferError(f"modality '{modality}' is none of frames, sound")
        self.modality = modality
        self.reads = (modality,)
        self.lengths = {"frames": num_frame_features, "sound": num_sound_features}
        num_features = self.lengths[modality]
        self.standardise = Standardise(num_features)
        self.dropout = nn.Dropout(dropout)
        self.recurrent: Any = self.layer(num_features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, NUM_CLASSES)

    @abstractmethod
    def last(self, packed: PackedSequence) -> Tensor:
        """Run the layer over packed sequences and return each one's last state `(N, hidden)`."""

    of_clip_gives = ("log_probs", "so_far")

    def of_clip(self, **parts: Tensor) -> dict[str, Tensor]:
        """Classify one clip by its vectors in the order of time, and `so_far` by each vector and those before it, `(N, 7)`."""
        states = self.recurrent(self.standardise(parts[self.modality])[None])[0][0]
        so_far = self.head(states).log_softmax(1)
        return {"log_probs": so_far[-1], "so_far": so_far}

    def prepare(self, train: ClipBatch) -> None:
        """Take the statistics of the training vectors."""
        values, mask = sequence(train, self.modality)
        self.standardise.fit(values[mask])

    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`."""
        values, mask = sequence(batch, self.modality)
        lengths = mask.sum(1)
        there = lengths > 0
        logits = values.new_zeros(len(values), NUM_CLASSES)
        with shares.rows(there.nonzero()[:, 0], len(there)):
            if there.any():
                inputs = self.dropout(self.standardise(values[there]))
                packed = pack_padded_sequence(inputs, lengths[there].cpu(), batch_first=True, enforce_sorted=False)
                logits = logits.index_put((there,), self.head(self.dropout(self.last(packed))))
        return logits.log_softmax(1)


class LSTMClassifier(SequenceClassifier):
    """One LSTM layer; arguments as for `SequenceClassifier`.

    References:
        Hochreiter, Schmidhuber: Long short-term memory. Neural Computation 9(8), 1997.
    """

    layer = nn.LSTM

    def last(self, packed: PackedSequence) -> Tensor:
        """Return each sequence's last state `(N, hidden)`."""
        state: Tensor = self.recurrent(packed)[1][0][-1]
        return state


class RNNClassifier(SequenceClassifier):
    """One recurrent layer with tanh; arguments as for `SequenceClassifier`.

    References:
        Elman: Finding structure in time. Cognitive Science 14(2), 1990.
    """

    layer = nn.RNN

    def last(self, packed: PackedSequence) -> Tensor:
        """Return each sequence's last state `(N, hidden)`."""
        state: Tensor = self.recurrent(packed)[1][-1]
        return state
