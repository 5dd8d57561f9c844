"""Models kept in memory for the length of the process, and how many threads they may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidfer.media.faces import MtcnnDetector
    from vidfer.models.expression import AudioModel, ImageModel


@lru_cache(maxsize=2)
def detector(device: str) -> "MtcnnDetector":
    """Load the face detector once."""
    from vidfer.media.faces import MtcnnDetector

    return MtcnnDetector(device=device)


@lru_cache(maxsize=2)
def image_model(name: str, device: str) -> "ImageModel":
    """Load an image model once."""
    from vidfer.models.expression import ImageModel

    return ImageModel(name, device=device)


@lru_cache(maxsize=2)
def audio_model(name: str) -> "AudioModel":
    """Load an audio model once."""
    from vidfer.models.expression import AudioModel

    return AudioModel(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block.

    The sums of a convolution depend on how they are split, so one thread keeps the bytes of every artifact the same on
    any number of cores; clips, not operators, are what runs in parallel (`--jobs`).
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
