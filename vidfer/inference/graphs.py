"""Graphs for ONNX Runtime, written beside weights: networks without their tensors, which stay in the weights file."""

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vidfer.inference.onnx_networks import OnnxNetwork, initialiser
from vidfer.inference.torch_networks import MODULES, NamedModule
from vidfer.types import VidferError
from vidfer.weights.files import SHIPPED, Card, Weights, add_graph, find_weights

if TYPE_CHECKING:
    import onnx

OPSET: Final = 20
"""Version of ONNX's operators."""

_EXAMPLES: Final = (5, 17, 23)  # of lengths that are free: equal ones would count as one
_LEAST: Final = 12  # px a side that a network with free sides needs
_INSIDE: Final = "network."


def write_graph(weights: Weights) -> Weights:
    """Write the graph of weights beside them, and its digest into their card.

    Raises:
        VidferError: The network cannot be built or exported, or the files cannot be written.
    """
    graph = make_graph(weights.card, tuple(weights.arrays()))
    return add_graph(weights, graph)


def make_graph(card: Card, tensors: tuple[str, ...]) -> bytes:
    """Export the network of a card, in evaluation mode, as a serialised ONNX model whose initialisers have no data.

    They are named after the weights file's tensors, which are to be given to the session; only constants are in the graph.

    Raises:
        VidferError: The network cannot be built or exported.
    """
    if graph := _shipped(card, tensors):
        return graph
    return export_graph(card, tensors)


def _shipped(card: Card, tensors: tuple[str, ...]) -> bytes | None:
    """Return the graph of shipped weights of the same network: no tensor is in it, so it is the same, and at once there."""
    for name in SHIPPED[card["kind"]]:
        weights = find_weights(card["kind"], name)
        same = all(weights.card[key] == card[key] for key in ("arch", "arguments"))
        size = [each["preprocessing"].get("image_size") for each in (weights.card, card)]
        if same and size[0] == size[1] and weights.has_graph and {*weights.arrays()} == {*tensors}:
            return weights.graph()
    return None


def export_graph(card: Card, tensors: tuple[str, ...]) -> bytes:
    """Export the network of a card, as `make_graph` does where no shipped weights are of the same one."""
    try:
        module = MODULES[card["kind"]](card).eval()
    except (TypeError, KeyError, ValueError) as error:
        raise VidferError(f"a card describes a network that this version cannot build: {error}") from error
    graph = _export(module, frozenset(tensors))
    _require_same(module, graph)
    return graph


def _require_same(module: NamedModule, graph: bytes) -> None:
    """Refuse a graph that does not give what the network gives: a loop over time, say, is exported for one length alone."""
    tensors = {name: tensor.numpy() for name, tensor in module.network.state_dict().items()}
    network = OnnxNetwork(graph, tensors)
    for free in (1, 3):
        sizes = {"height": _LEAST + free, "width": _LEAST + 2 * free}
        shapes = (
            [sizes.get(each, free) if isinstance(each, str) else each for each in shape]
            for shape in module.inputs.values()
        )
        inputs = [torch.rand(shape) for shape in shapes]
        with torch.inference_mode():
            expected = module(*inputs)
        found = network(**{name: each.numpy() for name, each in zip(module.inputs, inputs, strict=True)})
        for name, tensor in zip(module.outputs, expected, strict=True):
            if not np.allclose(found[name], tensor.numpy(), atol=1e-4, rtol=1e-3):
                raise VidferError(f"the exported graph gives another {name} than the network")


def _export(module: NamedModule, tensors: frozenset[str]) -> bytes:
    names = dict.fromkeys(each for shape in module.inputs.values() for each in shape if isinstance(each, str))
    lengths: dict[int | str, int] = dict(zip(names, _EXAMPLES, strict=False))
    free = {name: torch.export.Dim(name) for name in names}
    examples, shapes = [], []
    for shape in module.inputs.values():
        examples.append(torch.rand([lengths[each] if isinstance(each, str) else each for each in shape]))
        shapes.append({at: free[each] for at, each in enumerate(shape) if isinstance(each, str)})
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                module,
                tuple(examples),
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                input_names=list(module.inputs),
                output_names=list(module.outputs),
                dynamic_shapes=(tuple(shapes),),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise VidferError(
                f"a network of class {type(module.network).__name__} cannot be exported: {reason}"
            ) from error
    assert program is not None
    return _without_tensors(program.model_proto, tensors)


def _without_tensors(model: "onnx.ModelProto", tensors: frozenset[str]) -> bytes:
    """Leave out the data of initialisers that are tensors of the weights, and what only debugging needs."""
    from onnx import TensorProto

    graph = model.graph
    names = {
        each.name: initialiser(each.name.removeprefix(_INSIDE))
        for each in graph.initializer
        if each.name.removeprefix(_INSIDE) in tensors
    }
    for tensor in graph.initializer:
        if tensor.name in names:
            tensor.name = names[tensor.name]
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            place = tensor.external_data.add()
            place.key, place.value = "location", "weights"
    _drop_zero_biases(graph)
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)
        node.ClearField("doc_string")
        del node.metadata_props[:]
    values: list[Any] = [*graph.initializer, *graph.input, *graph.output]
    for value in values:
        del value.metadata_props[:]
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    model.ClearField("functions")
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _drop_zero_biases(graph: "onnx.GraphProto") -> None:
    """Leave out the zeros, of a length computed at run time, that the exporter gives to convolutions without a bias.

    They would keep ONNX Runtime from folding batch norms and activations into convolutions, and cost about a sixth of the time.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        bias = made_by.get(node.input[2]) if node.op_type == "Conv" and len(node.input) > 2 else None
        if bias is not None and bias.op_type == "Expand":
            del node.input[2]
    needed = {each.name for each in graph.output}
    for node in reversed(list(graph.node)):  # in the order of computation, so that users come first here
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
