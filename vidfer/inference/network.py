"""Networks as functions of arrays, by ONNX Runtime or by torch, and models that are loaded once for the process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from vidfer.pipeline.extras import require
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import Weights, weights_digest

Floats = npt.NDArray[np.float32]
Backend = Literal["auto", "onnx", "torch"]


@dataclass(frozen=True)
class Compute:
    """Where and by what networks are computed. Neither enters a key: outputs agree within 1e-4 in probability.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
        backend: `onnx` is ONNX Runtime on the CPU, `torch` the reference and the only one for CUDA. `auto` is ONNX Runtime on
            the CPU for weights that have a graph, else torch.
    """

    device: str = "cpu"
    backend: Backend = "auto"

    def require(self) -> None:
        """Raise UsageError if the device or the backend is not there, or they do not go together."""
        if self.device != "cpu" and self.backend == "onnx":
            raise UsageError(f"--device {self.device} needs --backend torch: ONNX Runtime computes on the CPU here")
        if self.device != "cpu" or self.backend == "torch":
            require_torch(f"--device {self.device}" if self.device != "cpu" else "--backend torch")
        if self.device != "cpu":
            from vidfer.inference.torch_networks import require_device

            require_device(self.device)

    def computes_by(self, weights: Weights) -> Literal["onnx", "torch"]:
        """Say which backend computes weights; raises VidferError where it cannot."""
        if self.backend == "onnx" and not weights.has_graph:
            graph = weights.graph_path.name
            raise VidferError(
                f"{weights.path} has no graph {graph} beside it, which ONNX Runtime needs: make it by "
                f"`vidfer weights onnx {weights.path}`, or use --backend torch"
            )
        if self.backend != "torch" and self.device == "cpu" and weights.has_graph:
            return "onnx"
        require_torch(f"{weights.path}, which has no graph for ONNX Runtime," if self.backend == "auto" else "torch")
        return "torch"


CPU: Final = Compute()


def require_torch(what: str) -> None:
    """Raise UsageError if torch, which something needs, is not installed."""
    require(what, "torch")


class Network(Protocol):
    """A network with its weights, in evaluation mode; threads may share one, and `parallel` ones run on several cores so."""

    parallel: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, Floats]:
        """Compute all outputs from all inputs, arrays by name."""
        ...


def open_network(weights: Weights, compute: Compute = CPU) -> Network:
    """Load the network of a card with its weights.

    Raises:
        UsageError: There is no such device.
        VidferError: The weights do not fit their card, have no graph for the backend asked for, or torch is not installed.
    """
    compute.require()
    if compute.computes_by(weights) == "onnx":
        from vidfer.inference.onnx_networks import OnnxNetwork

        graph, tensors = weights.graph(), weights.arrays()
        try:
            return OnnxNetwork(graph, tensors)
        except VidferError as error:
            remedy = f"make the graph anew by `vidfer weights onnx {weights.path}`"
            raise VidferError(f"{weights.graph_path} does not fit {weights.path.name}: {remedy} ({error})") from error
    from vidfer.inference.torch_networks import TorchNetwork

    return TorchNetwork(weights, compute.device)


class _Kind(Protocol):
    kind: ClassVar[str]


_Model = TypeVar("_Model", bound=_Kind)


def load_model(model: type[_Model], name: str, digest: str, compute: Compute = CPU) -> _Model:
    """Load a model of weights by name or file, once for each `weights_digest` and `compute`.

    Raises:
        VidferError: There is no such device, the weights are unusable, or they changed since `digest` was taken.
    """
    return cast(_Model, _load(model, model.kind, name, digest, compute))


@lru_cache(maxsize=8)
def _load(model: Callable[..., object], kind: str, name: str, digest: str, compute: Compute) -> object:
    loaded = model(name, compute=compute)
    if weights_digest(kind, name) != digest:
        raise VidferError(f"the {kind} weights {name} were changed while they were loaded: run the command again")
    return loaded
