"""A long short-term memory over a clip's frames."""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from vidfer.models.classifiers.sequence import SequenceClassifier


class LSTMClassifier(SequenceClassifier):
    """One LSTM layer whose last state answers; arguments as for `SequenceClassifier`.

    References:
        Hochreiter, Schmidhuber: Long short-term memory. Neural Computation 9(8), 1997.
    """

    def build(self, num_features: int, hidden: int) -> nn.Module:
        """Build the layer."""
        return nn.LSTM(num_features, hidden, batch_first=True)

    def last(self, packed: PackedSequence) -> Tensor:
        """Return each sequence's last state `(N, hidden)`."""
        layer: Any = self.recurrent
        state: Tensor = layer(packed)[1][0][-1]
        return state
