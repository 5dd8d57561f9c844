"""Weights that others publish as torch files: fetched by name like those of a registry, and kept as safetensors with a card."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Final

from vidfer.pipeline.extras import require
from vidfer.types import VidferError
from vidfer.weights.files import GRAPH, Card, Weights, find_weights, save_weights, weights_digest, weights_folder
from vidfer.weights.hub import Entry, Progress, changed_files, fetch

if TYPE_CHECKING:
    from torch import Tensor

TORCH: Final = ".pt"
"""Suffix of the published file, of which an entry's `sha256` has the checksum."""

IDENTITY: Final = "identity"
"""Kind and name of the weights that tell persons apart."""

PUBLISHED: Final = {
    IDENTITY: Entry(
        IDENTITY,
        kind=IDENTITY,
        licence="MIT",
        about="facenet-pytorch's InceptionResnetV1 of VGGFace2, for --identify",
        size=111_898_327,
        url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
        sha256={TORCH: "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b"},
    )
}
"""What can be pulled without a registry. Their checksum is that of the file at `url`."""

_CARD: Final[Card] = {
    "kind": IDENTITY,
    "arch": "inception_resnet_v1",
    "arguments": {},
    "preprocessing": {"crop": 144, "image_size": 160, "mean": 127.5, "scale": 128.0},
    "data": {"source": "VGGFace2"},
    "licence": "Weights: MIT (facenet-pytorch); VGGFace2, which they were trained on, has terms of its own",
    "intended_use": "to tell whether two tracks of one study show the same person",
    "prohibited_use": "to find out who a person is",
}


def pull_published(entry: Entry, shown: Callable[[str], AbstractContextManager[Progress]]) -> Weights:
    """Fetch the published file of `entry`, check it, and keep its tensors as weights with a card; `shown` as for `pull`.

    Raises:
        UsageError: torch, which reads the published file, is not installed.
        VidferError: It cannot be fetched, is another file than it should be, or holds no tensors by name.
    """
    target = weights_folder() / f"{entry.name}.safetensors"
    if entry.here:
        return find_weights(entry.kind, target)
    require(f"vidfer weights pull {entry.name}", "torch")  # before 112 MB are fetched
    source, sha256 = target.with_suffix(TORCH), entry.sha256[TORCH]
    with shown(source.name) as progress:
        fetch(entry.url, source, sha256=sha256, size=entry.size, progress=progress)
    card = {**_CARD, "origin": {"url": entry.url, "sha256": sha256}}
    if wrong := changed_files([f"{IDENTITY}{GRAPH}"]):
        raise VidferError(f"{wrong[0]}: reinstall vidfer")
    graph = Path(__file__).with_name(f"{IDENTITY}{GRAPH}").read_bytes()
    save_weights(target, read_torch(source), card, graph)
    source.unlink()
    return find_weights(entry.kind, target)


def read_torch(path: "Path") -> "dict[str, Tensor]":
    """Read tensors by name from a torch file without running any code in it; the layer that names the training set's people goes.

    Raises:
        VidferError: The file holds something else.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise VidferError(
            f"{path} holds no weights that torch can read safely: delete it and fetch it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise VidferError(f"{path} holds no tensors by name: delete it and fetch it again")
    return {name: tensor for name, tensor in state.items() if not name.startswith("logits.")}


def identity_digest() -> str | None:
    """Digest the weights that tell persons apart (see `weights_digest`), or return None where they were not pulled.

    Raises:
        VidferError: They are here, but their card cannot be used.
    """
    return weights_digest(IDENTITY, IDENTITY) if PUBLISHED[IDENTITY].here else None
