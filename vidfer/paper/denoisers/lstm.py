"""LSTM, read as convolutional LSTM whose time are steps of refinement.

References:
    Shi, Chen, Wang, Yeung, Wong, Woo: Convolutional LSTM network. NIPS 2015: equation 3, without its peepholes.
"""

import torch
from torch import Tensor

from vidfer.paper.denoisers.base import FOLDED, FoldedDenoiser, conv3, last_conv


class LSTMDenoiser(FoldedDenoiser):
    """At each step a cell sees the noisy image beside its own estimate so far, and betters the estimate.

    Args:
        width: Feature maps of state and output.
        steps: Steps of refinement.
    """

    def __init__(self, width: int = 28, steps: int = 3) -> None:
        super().__init__()
        self.width, self.steps = width, steps
        self.gates = conv3(2 * FOLDED + width, 4 * width)
        self.tail = last_conv(width)

    def correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image."""
        count, _, height, width = folded.shape
        output = cell = folded.new_zeros(count, self.width, height, width)
        correction = torch.zeros_like(folded)
        for _ in range(self.steps):
            output, cell = self.step(torch.cat([folded, folded + correction], dim=1), output, cell)
            correction = correction + self.tail(output)
        return correction

    def step(self, seen: Tensor, output: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Let the cell take a step.

        Args:
            seen: The step's input, `(B, 24, H, W)`.
            output: The last output, `(B, width, H, W)`.
            cell: The last state, `(B, width, H, W)`.

        Returns:
            The new output and the new state.
        """
        to_input, forget, to_output, update = self.gates(torch.cat([seen, output], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(to_input) * torch.tanh(update)
        return torch.sigmoid(to_output) * torch.tanh(cell), cell
