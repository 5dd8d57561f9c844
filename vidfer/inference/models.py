"""Trained models as functions of arrays, kept in memory for the length of the process."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidfer.models import channels_last
from vidfer.models.backbone import CompactNet, build_backbone, fold_batch_norm
from vidfer.models.fast_generator import SplitGenerator
from vidfer.models.generator import Generator
from vidfer.models.preprocess import Preprocessing
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import OWN_HEAD, find_weights, read_heads, weights_digest

Floats = npt.NDArray[np.float32]

TTA: Final = ("none", "flip", "ten-crop")
"""Test-time augmentation: the face as it is; with its mirror image; or five crops, the corners and the centre at 44/48 of the
edge, each with its mirror image. Logits and embeddings are averaged.

References:
    Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012, section 4.1.
"""

_BEFORE = (
    "denoise",
    "denoise_threshold",
    "denoise_weights",
)  # in an image card: what another network does to the faces
_BATCH = 32  # faces at a time: enough for speed, little enough for the cache


class _Kind(Protocol):
    kind: ClassVar[str]


_Model = TypeVar("_Model", bound=_Kind)


def load_model(model: type[_Model], name: str, digest: str, device: str | None = None) -> _Model:
    """Load a model of weights by name or file, once for each `weights_digest`, on a `device` if it can be put on one.

    Raises:
        VidferError: There is no such device, the weights are unusable, or they changed since `digest` was taken.
    """
    return cast(_Model, _load(model, model.kind, name, digest, device))


@lru_cache(maxsize=8)
def _load(model: Callable[..., object], kind: str, name: str, digest: str, device: str | None) -> object:
    if device is not None:
        require_device(device)
    loaded = model(name) if device is None else model(name, device=device)
    if weights_digest(kind, name) != digest:
        raise VidferError(f"the {kind} weights {name} were changed while they were loaded: run the command again")
    return loaded


def require_device(device: str) -> None:
    """Raise UsageError for a device, `cpu`, `cuda` or `cuda:N`, that torch does not have."""
    if device != "cpu" and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch finds no CUDA device; see `vidfer doctor`, or use --device cpu")
    if (torch.device(device).index or 0) >= max(1, torch.cuda.device_count()):
        raise UsageError(f"--device {device}: there are only {torch.cuda.device_count()} CUDA devices")


_setting_threads = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block, for what this Python thread computes; others keep their number.

    The sums of a convolution depend on how they are split: one thread gives the same bytes on any number of cores.
    """
    before = _set_threads_here(1)
    try:
        yield
    finally:
        _set_threads_here(before)


def _set_threads_here(count: int) -> int:
    """Set torch's number of threads for this Python thread and return what it was.

    `torch.set_num_threads` also sets the default of threads that have not used torch yet: a fresh one reads it and puts it back.
    """
    with _setting_threads, ThreadPoolExecutor(1) as fresh:
        default = fresh.submit(torch.get_num_threads).result()
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        fresh.submit(torch.set_num_threads, default).result()
    return before


class ImageModel:
    """From face images to an embedding and seven logits each, by weights of a name or a `.safetensors` file with its card.

    Args:
        head: Labelling convention that the logits follow: `video`, the network's own layer, or another one of the card
            (see `read_heads`). Embeddings are the same for all.

    Raises:
        UsageError: The network has no such head.
        VidferError: There are no such weights, or they do not fit their card.
    """

    kind: ClassVar[str] = "image"

    def __init__(self, name_or_file: str | Path = "compact", *, head: str = OWN_HEAD, device: str = "cpu") -> None:
        self.weights = weights = find_weights("image", name_or_file)
        self.card = weights.card
        if head not in (known := read_heads(weights)):
            raise UsageError(f"{weights.path} has no head '{head}': its heads are {', '.join(known)}")
        self.device = torch.device(device)
        try:
            own = {key: value for key, value in weights.card["preprocessing"].items() if key not in _BEFORE}
            self.preprocessing = Preprocessing(**own)
            network = build_backbone(weights.card["arch"], **weights.card["arguments"])
        except (TypeError, KeyError) as error:  # a head called as a method of torch's ModuleDict is a KeyError
            fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
            raise VidferError(fault) from error
        weights.load_into(network)
        network.eval()
        if isinstance(network, CompactNet):
            fold_batch_norm(network)
        self.network: Any = channels_last(network.to(self.device))
        self.head: Any = getattr(self.network.heads, head) if head != OWN_HEAD else self.network.head

    def __call__(self, crops: npt.NDArray[np.uint8], *, tta: str = "none") -> "tuple[Floats, Floats]":
        """Return embeddings (N, D) and logits (N, 7), means over the views of `tta`, of aligned RGB crops uint8 (N, S, S, 3)."""
        return self._run(crops, self.preprocessing.gray, tta)

    def of_gray(self, faces: npt.NDArray[np.uint8], *, tta: str = "none") -> "tuple[Floats, Floats]":
        """Return the same of gray faces, uint8 (N, S, S), that are framed as the training images are."""
        return self._run(faces, lambda gray: gray[:, None].float() / 255, tta)

    @torch.inference_mode()
    def _run(self, images: npt.NDArray[np.uint8], gray: Callable[[Tensor], Tensor], tta: str) -> tuple[Floats, Floats]:
        embeddings = [np.zeros((0, self.head.in_features), np.float32)]
        logits = [np.zeros((0, self.head.out_features), np.float32)]
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])).to(self.device)
            images_of = (self.preprocessing(view) for view in _views(gray(batch), tta))
            found = [self.network.embed(image.contiguous(memory_format=torch.channels_last)) for image in images_of]
            embeddings.append(torch.stack(found).float().mean(0).cpu().numpy())
            logits.append(torch.stack([self.head(one) for one in found]).float().mean(0).cpu().numpy())
        return np.concatenate(embeddings), np.concatenate(logits)


def _views(face: Tensor, tta: str) -> list[Tensor]:
    """Return what `tta` averages over, of gray faces (B, 1, S, S)."""
    if tta not in TTA:
        raise ValueError(f"no test-time augmentation '{tta}': there are {', '.join(TTA)}")
    if tta != "ten-crop":
        return [face, face.flip(-1)] if tta == "flip" else [face]
    from torchvision.transforms.functional import ten_crop

    return list(ten_crop(face, [round(face.shape[-1] * 44 / 48)]))


CORE: Final = 280
"""Edge in px of what is kept of a tile: beyond that, memory grows and nothing gets faster."""


class Denoiser:
    """Removes noise from images of any size, in tiles where they are large; tiles overlap so far that no seam is left.

    The weights are a name of shipped ones or a `.safetensors` file with its card beside it. On a CPU the network runs as a
    `SplitGenerator`, which is faster and equal but for rounding.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.
    """

    kind: ClassVar[str] = "denoise"

    def __init__(self, name_or_file: str | Path = "small", *, device: str = "cpu") -> None:
        weights = find_weights("denoise", name_or_file)
        self.card = weights.card
        self.device = torch.device(device)
        network = Generator(**weights.card["arguments"])
        weights.load_into(network)
        self.margin = network.radius
        network = channels_last(network.eval())
        plain = weights.card["arguments"].get("norm") == "none" and self.device.type == "cpu"
        self.network: Any = SplitGenerator(network) if plain else network.to(self.device)

    @torch.inference_mode()
    def __call__(self, images: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        """Denoise images `(N, H, W, 3)`, RGB on the scale 0-255: uint8, or float where noise was not clipped."""
        clean = np.empty(images.shape, np.uint8)
        tiles = list(product(*(_spans(length, self.margin) for length in images.shape[1:3])))
        for image, result in zip(images, clean, strict=True):
            for (rows, kept_rows), (columns, kept_columns) in tiles:
                tile = self._tile(image[rows, columns])
                inner = tile[kept_rows.start - rows.start :, kept_columns.start - columns.start :]
                target = result[kept_rows, kept_columns]
                target[:] = inner[: target.shape[0], : target.shape[1]]
        return clean

    def _tile(self, tile: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
        pixels = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        signed = pixels.permute(2, 0, 1)[None].float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        restored = self.network(signed)[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return np.asarray(restored.permute(1, 2, 0).cpu().numpy())


def _spans(length: int, margin: int) -> list[tuple[slice, slice]]:
    """Cut an edge into tiles: what to compute and, inside it, what to keep."""
    if length <= CORE + 2 * margin:
        return [(slice(0, length), slice(0, length))]
    return [
        (slice(max(0, start - margin), min(length, start + CORE + margin)), slice(start, min(length, start + CORE)))
        for start in range(0, length, CORE)
    ]
