"""Elman's recurrent network over a clip's frames."""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from vidfer.models.classifiers.sequence import SequenceClassifier


class RNNClassifier(SequenceClassifier):
    """One recurrent layer with tanh whose last state answers; arguments as for `SequenceClassifier`.

    References:
        Elman: Finding structure in time. Cognitive Science 14(2), 1990.
    """

    def build(self, num_features: int, hidden: int) -> nn.Module:
        """Build the layer."""
        return nn.RNN(num_features, hidden, batch_first=True)

    def last(self, packed: PackedSequence) -> Tensor:
        """Return each sequence's last state `(N, hidden)`."""
        layer: Any = self.recurrent
        state: Tensor = layer(packed)[1][-1]
        return state
