"""A deep belief network on vectors: restricted Boltzmann machines, one on the other, then fine-tuned (P14)."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import FRAME_FEATURES, NUM_CLASSES, SOUND_FEATURES, VectorClassifier
from vidfer.models.rbm import RBM, fit_rbm
from vidfer.types import VidferError

_BINARY_STEP = 10.0


class DBNClassifier(VectorClassifier):
    """A stack of machines pre-trained without labels, each on the probabilities of the one below.

    The stack is then fine-tuned as a perceptron with sigmoid units and a linear layer on top. There, a unit's value ranges from
    -1 to 1, with the weights and biases that leave the function as it is: around 0.5, plain gradients hardly move the layers
    above. The paper names no architecture, so the sizes are ours.

    Args:
        hidden: Hidden units of each machine.
        layers: Number of machines.
        pretrain_epochs: Passes of contrastive divergence for each machine; 0 keeps the random start.
        pretrain_lr: Its learning rate for the first machine, whose visible units are Gaussian; ten times as much for the others.
        input_dropout: Share of the features dropped in fine-tuning, in [0, 1).
        dropout: Share of each layer's units dropped in fine-tuning, in [0, 1).

    Raises:
        VidferError: There is no layer, or the modality is unknown.

    References:
        Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006.
    """

    layers: Any  # a ModuleList of linear layers

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 256,
        layers: int = 2,
        pretrain_epochs: int = 20,
        pretrain_lr: float = 3e-3,
        input_dropout: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(modality, num_frame_features, num_sound_features)
        if layers < 1:
            raise VidferError(f"a deep belief network needs at least one layer, not {layers}")
        self.pretrain_epochs, self.pretrain_lr = pretrain_epochs, pretrain_lr
        widths = [self.num_features, *[hidden] * layers]
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in pairwise(widths))
        self.input_dropout = nn.Dropout(input_dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, NUM_CLASSES)

    def prepare(self, train: ClipBatch) -> None:
        """Take the statistics of the training vectors, pre-train on them, and start the layers from the machines."""
        super().prepare(train)
        if not self.pretrain_epochs:
            return
        machines = self.pretrain(self.standardise(self.vectors(train)[0]))
        for index, (layer, machine) in enumerate(zip(self.layers, machines, strict=True)):
            weight = machine.weight.detach().T
            layer.weight.data.copy_(weight / 2 if index else weight)
            layer.bias.data.copy_(machine.hidden_bias.detach() + (weight.sum(1) / 2 if index else 0))

    @torch.no_grad()
    def pretrain(self, standardised: Tensor) -> list[RBM]:
        """Train a machine for each layer, from the bottom up, on standardised vectors `(N, F)`; the network stays as it is."""
        machines: list[RBM] = []
        activations = standardised
        for index, layer in enumerate(self.layers):
            above, below = layer.weight.shape
            machine = RBM(below, above, "binary" if index else "gaussian").to(standardised)
            lr = self.pretrain_lr * (_BINARY_STEP if index else 1)
            seed = int(torch.randint(2**31, ()).item())
            fit_rbm(machine, activations, epochs=self.pretrain_epochs, lr=lr, seed=seed)
            activations = machine(activations)
            machines.append(machine)
        return machines

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` to log-probabilities `(1, N, 7)`."""
        activations = self.input_dropout(self.standardise(vectors))
        for layer in self.layers:
            activations = self.dropout(2 * torch.sigmoid(layer(activations)) - 1)
        log_probs: Tensor = self.head(activations).log_softmax(1)
        return log_probs[None]
