"""Networks computed by torch: the reference for ONNX Runtime, and what runs on CUDA."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidfer.inference.network import Floats
from vidfer.models.backbone import CompactNet, build_backbone, fold_batch_norm
from vidfer.models.classifiers import build_classifier, require_trusted
from vidfer.models.classifiers.base import FRAME_FEATURES, SOUND_FEATURES, Classifier
from vidfer.models.generator import Generator
from vidfer.models.layout import channels_last
from vidfer.models.occlusion import OcclusionNet
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import OWN_HEAD, Card, Weights, find_weights

Shape = tuple[int | str, ...]
"""The shape of an input; a name stands for a length that is free, of which 5 is an example."""


class NamedModule(nn.Module):
    """A network between tensors with names, which is what runs and what a graph is made of.

    Args:
        network: Holds the tensors of the weights file.
        inputs: Shapes of the inputs by name.
        outputs: Names of what `compute` gives.
        compute: From the network and its inputs to the outputs, in the order of their names.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Mapping[str, Shape],
        outputs: tuple[str, ...],
        compute: Callable[..., tuple[Tensor, ...]],
    ) -> None:
        super().__init__()
        self.network, self.inputs, self.outputs, self.compute = network, inputs, outputs, compute

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs from the inputs, both in the order of their names."""
        return self.compute(self.network, *tensors)


def _image(card: Card) -> NamedModule:
    network = build_backbone(card["arch"], **card["arguments"])
    heads = (OWN_HEAD, *card["arguments"].get("heads", ()))

    def compute(network: Any, image: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - either backbone
        embedding = network.embed(image)
        return (embedding, network.head(embedding), *(network.heads[name](embedding) for name in heads[1:]))

    size, channels = card["preprocessing"]["image_size"], card["preprocessing"].get("in_chans", 1)
    outputs = ("embedding", *(f"logits_{name}" for name in heads))
    return NamedModule(network, {"image": ("faces", channels, size, size)}, outputs, compute)


def _denoise(card: Card) -> NamedModule:
    network = Generator(**card["arguments"])
    inputs: dict[str, Shape] = {"folded": ("images", 3 * network.folding.scale**2, "height", "width")}
    return NamedModule(network, inputs, ("restored",), lambda network, folded: (network.restore(folded),))


def _occlusion(card: Card) -> NamedModule:
    size = card["preprocessing"]["size"]
    inputs: dict[str, Shape] = {"face": ("faces", 1, size, size)}
    return NamedModule(OcclusionNet(), inputs, ("logits",), lambda network, face: (network(face),))


def _inception_resnet_v1() -> nn.Module:
    from facenet_pytorch import InceptionResnetV1

    network: nn.Module = InceptionResnetV1()
    return network


IDENTITY_NETWORKS: Final[dict[str, Callable[..., nn.Module]]] = {"inception_resnet_v1": _inception_resnet_v1}
"""Networks by the `arch` of a card: RGB images (N, 3, S, S) to embeddings (N, D)."""


def _identity(card: Card) -> NamedModule:
    size = card["preprocessing"]["image_size"]
    network = IDENTITY_NETWORKS[card["arch"]](**card["arguments"])
    inputs: dict[str, Shape] = {"image": ("faces", 3, size, size)}
    return NamedModule(network, inputs, ("embedding",), lambda network, image: (network(image),))


class _PReLU(nn.PReLU):
    """The same by operations that ONNX Runtime computes on many numbers at once: its own PReLU took half of MTCNN's time."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.view(-1, *[1] * (x.ndim - 2))
        return x.clamp(min=0) + weight * x.clamp(max=0)


def _detector(card: Card) -> NamedModule:
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

    network = {"pnet": PNet, "rnet": RNet, "onet": ONet}[card["arch"]](pretrained=False)
    for name, part in list(network.named_children()):
        if isinstance(part, nn.PReLU):
            setattr(network, name, _PReLU(part.num_parameters))
    size = card["preprocessing"]["image_size"]
    inputs: dict[str, Shape] = {"image": ("images", 3, *([size, size] if size else ["height", "width"]))}
    outputs = ("score", "offsets", "points")[: 3 if card["arch"] == "onet" else 2]

    def compute(network: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
        *others, scores = network(image)
        return (scores[:, 1], *others)

    return NamedModule(network, inputs, outputs, compute)


_READS: Final = {
    "audio": ({"sound"},),
    "faces": ({"frames"}, {"image"}, {"frames", "image"}),
    "fusion": ({"frames", "sound"},),
}
"""What networks read, by the kind of their weights."""


def _classifier(card: Card) -> NamedModule:
    require_trusted(card["arch"])
    network = build_classifier(card["arch"], card["arguments"])
    if set(network.reads) not in _READS[card["kind"]]:
        reads = ", ".join(network.reads)
        raise VidferError(
            f"a card of {card['kind']} weights names a network that reads {reads}: no {card['kind']} model"
        )
    lengths = {"frames": FRAME_FEATURES, "sound": SOUND_FEATURES} | getattr(network, "lengths", {})
    shapes: dict[str, dict[str, Shape]] = {
        "frames": {"frames": ("faces", lengths["frames"])},
        "image": {"image": ("faces", 1, 48, 48), "landmarks": ("faces", 5, 2)},
        "sound": {"sound": ("windows", lengths["sound"])},
    }
    inputs = {name: shape for part in network.reads for name, shape in shapes[part].items()}

    def compute(network: Classifier, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = network.of_clip(**dict(zip(inputs, tensors, strict=True)))
        return tuple(found[name] for name in network.of_clip_gives)

    return NamedModule(network, inputs, network.of_clip_gives, compute)


MODULES: Final[dict[str, Callable[[Card], NamedModule]]] = {
    "image": _image,
    "denoise": _denoise,
    "occlusion": _occlusion,
    "identity": _identity,
    "detector": _detector,
    "audio": _classifier,
    "faces": _classifier,
    "fusion": _classifier,
}
"""What builds the network of a card, by its kind."""


def build_module(weights: Weights) -> NamedModule:
    """Build the network of a card with its weights, in evaluation mode.

    Raises:
        VidferError: They do not fit, or this version cannot build such a network.
    """
    try:
        module = MODULES[weights.card["kind"]](weights.card)
    except (TypeError, KeyError, ValueError) as error:  # a head called as a method of torch's ModuleDict is a KeyError
        fault = f"the card of {weights.path} describes a network that this version cannot build: {error}"
        raise VidferError(fault) from error
    weights.load_into(module.network)
    return module.eval()


class TorchNetwork:
    """A network of torch; see `vidfer.inference.network.Network`. On the CPU one thread computes, as by ONNX Runtime.

    Raises:
        VidferError: The weights do not fit their card.
    """

    parallel = False  # on a GPU there is one; on the CPU torch is the reference

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        self.device = torch.device(device)
        module = build_module(weights)
        if isinstance(module.network, CompactNet):
            fold_batch_norm(module.network)
        self.module = channels_last(module.to(self.device))
        self.inputs, self.outputs = tuple(module.inputs), module.outputs

    @torch.inference_mode()
    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, Floats]:
        """Compute all outputs from all inputs, arrays by name."""
        tensors = [
            torch.from_numpy(np.require(arrays[name], requirements=["C", "W"])).to(self.device) for name in self.inputs
        ]
        images = [each.contiguous(memory_format=torch.channels_last) if each.ndim == 4 else each for each in tensors]
        with one_thread() if self.device.type == "cpu" else nullcontext():
            found = self.module(*images)
        return {name: each.float().cpu().numpy() for name, each in zip(self.outputs, found, strict=True)}


def load_classifier(kind: str, name_or_file: str | Path) -> tuple[Card, Classifier]:
    """Load a classifier of clips by name or file as a network of torch, in evaluation mode, with its card.

    Raises:
        VidferError: There are no such weights, they do not fit their card, or the network reads something else.
    """
    weights = find_weights(kind, name_or_file)
    return weights.card, cast(Classifier, build_module(weights).network)


@torch.inference_mode()
def deciding_logits(network: Classifier, vectors: Floats) -> Floats:
    """Return the logits whose mean predicts a clip: those (W, 7) of its windows (W, F), or (1, 7) of a sequential network."""
    with one_thread():
        found = network.of_clip(sound=torch.from_numpy(np.ascontiguousarray(vectors, np.float32)))
    return found["each"].numpy() if "each" in found else found["log_probs"][None].numpy()


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
    if torch.get_num_threads() == 1:
        yield
        return
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
