"""ONNX Runtime and torch compute the same networks."""

import numpy as np
import pytest

from vidfer.inference.network import Compute, open_network
from vidfer.inference.torch_networks import MODULES
from vidfer.weights.files import SHIPPED, find_weights

TORCH = Compute(backend="torch")
ONNX = Compute(backend="onnx")
GRAPHS = [(kind, name) for kind, names in SHIPPED.items() for name in names if kind in MODULES]


def inputs(module_inputs, lengths, seed=0):
    random = np.random.default_rng(seed)
    shapes = {name: tuple(lengths.get(each, each) for each in shape) for name, shape in module_inputs.items()}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(("kind", "name"), GRAPHS)
def test_each_shipped_network_gives_the_same_by_both(kind, name):
    weights = find_weights(kind, name)
    by_torch, by_onnx = open_network(weights, TORCH), open_network(weights, ONNX)
    assert by_onnx.inputs == by_torch.inputs
    assert by_onnx.outputs == by_torch.outputs
    for lengths in ({"faces": 1, "windows": 1}, {"faces": 2, "windows": 7}, {"faces": 33, "windows": 1}):
        given = inputs(by_torch.module.inputs, lengths)
        expected, found = by_torch(**given), by_onnx(**given)
        for output in by_torch.outputs:
            assert found[output].dtype == np.float32
            np.testing.assert_allclose(found[output], expected[output], atol=2e-5, rtol=1e-4)
