"""CNN: a plain stack of convolutions.

References:
    Zhang, Zuo, Chen, Meng, Zhang: Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising. IEEE TIP
    2017; wider and not as deep, as short trainings want it.
"""

from torch import Tensor, nn

from vidfer.paper.denoisers.base import FOLDED, FoldedDenoiser, conv3, last_conv


class CNNDenoiser(FoldedDenoiser):
    """Convolutions and ReLUs in a row, with batch norm between.

    Args:
        width: Feature maps.
        depth: Convolutions, at least 2.
    """

    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv3(FOLDED, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [conv3(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, last_conv(width))

    def correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image."""
        correction: Tensor = self.body(folded)
        return correction
