"""Models kept in memory for the length of the process, and how many threads they may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from vidfer.types import VidferError
from vidfer.weights.files import weights_digest

if TYPE_CHECKING:
    from vidfer.inference.denoiser import Denoiser
    from vidfer.inference.models import AudioModel, FusionModel, ImageModel
    from vidfer.media.detect import MtcnnDetector


@lru_cache(maxsize=2)
def detector(device: str) -> "MtcnnDetector":
    """Load the face detector once."""
    from vidfer.media.detect import MtcnnDetector

    _require(device)
    return MtcnnDetector(device=device)


@lru_cache(maxsize=2)
def denoiser(name: str, digest: str, device: str) -> "Denoiser":
    """Load a denoiser once for each content of its file; `digest` is what the stage's key was made from."""
    from vidfer.inference.denoiser import Denoiser

    _require(device)
    model = Denoiser(name, device=device)
    _require_unchanged("denoise", name, digest)
    return model


@lru_cache(maxsize=2)
def image_model(name: str, digest: str, device: str) -> "ImageModel":
    """Load an image model once for each content of its file; `digest` is what the stage's key was made from."""
    from vidfer.inference.models import ImageModel

    _require(device)
    model = ImageModel(name, device=device)
    _require_unchanged("image", name, digest)
    return model


@lru_cache(maxsize=2)
def audio_model(name: str, digest: str) -> "AudioModel":
    """Load an audio model once for each content of its file; `digest` is what the stage's key was made from."""
    from vidfer.inference.models import AudioModel

    model = AudioModel(name)
    _require_unchanged("audio", name, digest)
    return model


@lru_cache(maxsize=2)
def fusion_model(name: str, digest: str) -> "FusionModel":
    """Load a fusion model once for each content of its file; `digest` is what the stage's key was made from."""
    from vidfer.inference.models import FusionModel

    model = FusionModel(name)
    _require_unchanged("fusion", name, digest)
    return model


def _require(device: str) -> None:
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        raise VidferError(
            f"--device {device}: torch finds no CUDA device here; see `vidfer doctor`, or use --device cpu"
        )
    if torch.device(device).index is not None and torch.device(device).index >= torch.cuda.device_count():
        raise VidferError(f"--device {device}: there are only {torch.cuda.device_count()} CUDA devices")


def _require_unchanged(kind: str, name: str, digest: str) -> None:
    if weights_digest(kind, name) != digest:
        raise VidferError(f"the {kind} weights {name} were changed while they were loaded: run the command again")


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
