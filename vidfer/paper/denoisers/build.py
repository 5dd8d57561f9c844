"""Denoisers by their column in the paper's tables."""

from collections.abc import Callable
from typing import Final

from torch import nn

from vidfer.models.generator import Generator
from vidfer.paper.denoisers.cnn import CNNDenoiser
from vidfer.paper.denoisers.dbn import PatchDenoiser
from vidfer.paper.denoisers.lstm import LSTMDenoiser
from vidfer.paper.denoisers.rcnn import RecursiveDenoiser
from vidfer.paper.denoisers.rnn import RNNDenoiser
from vidfer.types import VidferError


def _generator() -> nn.Module:
    return Generator("tiny", norm="none", output="residual", scale=2)


_FAMILIES: Final[dict[str, Callable[[], nn.Module]]] = {
    "cnn": CNNDenoiser,
    "rcnn": RecursiveDenoiser,
    "lstm": LSTMDenoiser,
    "dbn": PatchDenoiser,
    "rnn": RNNDenoiser,
    "gan": _generator,
}
FAMILIES: Final = tuple(_FAMILIES)
"""Column order of the paper's tables; `gan` is its GAN-SGDMA."""


def build_denoiser(family: str) -> nn.Module:
    """Build a denoiser: a network from noisy images `(B, 3, H, W)` in [-1, 1] to clean ones, of any size.

    Args:
        family: One of `FAMILIES`.

    Returns:
        The network, untrained.

    Raises:
        VidferError: The family is unknown.
    """
    if family not in _FAMILIES:
        raise VidferError(f"unknown family of denoisers '{family}': use one of {', '.join(FAMILIES)}")
    return _FAMILIES[family]()
