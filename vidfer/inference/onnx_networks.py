"""Networks computed by ONNX Runtime on the CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from vidfer.inference.network import Floats
from vidfer.types import VidferError
from vidfer.weights.files import Weights

_ERRORS = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
)


class OnnxNetwork:
    """The graph beside weights, with their tensors as its initialisers; see `vidfer.inference.network.Network`.

    One thread computes, so that sums are split alike, and outputs are the same bytes, on any number of cores.

    Raises:
        VidferError: The weights or the graph are not their card's, or do not fit each other.
    """

    def __init__(self, weights: Weights) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = weights.graph()
        self._tensors = {  # the session may read them where they lie
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array, np.float32))
            for name, array in weights.arrays().items()
            if name.encode() in graph
        }
        options.add_external_initializers(list(self._tensors), list(self._tensors.values()))
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except _ERRORS as error:
            fault = f"{weights.graph_path} is no graph of {weights.path.name}: make it anew by `vidfer weights onnx`"
            raise VidferError(f"{fault} ({error})") from error
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self.outputs = tuple(each.name for each in self._session.get_outputs())

    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, Floats]:
        """Compute all outputs from all inputs, arrays by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, arrays), strict=True))
