"""RNN, read as convolutional Elman network whose time are steps of refinement.

References:
    Elman: Finding structure in time. Cognitive Science 14, 1990; with convolutions for its full connections.
"""

import torch
from torch import Tensor

from vidfer.paper.denoisers.base import FOLDED, FoldedDenoiser, conv3, last_conv


class RNNDenoiser(FoldedDenoiser):
    """At each step a hidden state is made of the noisy image, the estimate so far and the last state.

    Args:
        width: Feature maps of the state.
        steps: Steps of refinement.
    """

    def __init__(self, width: int = 56, steps: int = 3) -> None:
        super().__init__()
        self.width, self.steps = width, steps
        self.hidden = conv3(2 * FOLDED + width, width)
        self.tail = last_conv(width)

    def correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image."""
        count, _, height, width = folded.shape
        state = folded.new_zeros(count, self.width, height, width)
        correction = torch.zeros_like(folded)
        for _ in range(self.steps):
            state = torch.tanh(self.hidden(torch.cat([folded, folded + correction, state], dim=1)))
            correction = correction + self.tail(state)
        return correction
