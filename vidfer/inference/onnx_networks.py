"""Networks computed by ONNX Runtime on the CPU."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from vidfer.inference.network import Floats
from vidfer.types import VidferError

_ERRORS = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
)


_FOLDER = "session.model_external_initializers_file_folder_path"


def initialiser(name: str) -> str:
    """Return what a tensor of the weights is called in a graph; braces tell it from what only contains its name."""
    return f"{{{name}}}"


class OnnxNetwork:
    """A graph with tensors as its initialisers; see `vidfer.inference.network.Network`.

    One thread computes, so that sums are split alike, and outputs are the same bytes, on any number of cores.

    Args:
        graph: A serialised ONNX model, see `vidfer.inference.graphs`.
        tensors: Arrays by name; those that the graph does not name are left out.

    Raises:
        MemoryError: There is not enough memory for them.
        VidferError: They do not fit each other.
    """

    parallel = True

    def __init__(self, graph: bytes, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry(_FOLDER, os.devnull)  # no folder: what is not given is not looked for in files
        given = {  # the session copies them: whoever gives them may let them go
            initialiser(name): onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array, np.float32))
            for name, array in tensors.items()
            if initialiser(name).encode() in graph
        }
        options.add_external_initializers(list(given), list(given.values()))
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except _ERRORS as error:
            _require_memory(error)
            raise VidferError(f"ONNX Runtime cannot use the graph with these tensors: {error}") from error
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self.outputs = tuple(each.name for each in self._session.get_outputs())

    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, Floats]:
        """Compute all outputs from all inputs, arrays by name.

        Raises:
            MemoryError: There is not enough memory for what is between.
            VidferError: The arrays are of other shapes or types than the network reads.
        """
        try:
            found = self._session.run(self.outputs, arrays)
        except _ERRORS as error:
            _require_memory(error)
            raise VidferError(f"ONNX Runtime cannot compute the network: {error}") from error
        return dict(zip(self.outputs, found, strict=True))


def _require_memory(error: Exception) -> None:
    """Raise MemoryError where that is what the runtime says: it has no error of its own for it."""
    if "bad_alloc" in str(error) or "Failed to allocate memory" in str(error):
        raise MemoryError(f"ONNX Runtime: {error}") from error
