"""What ONNX Runtime keeps of the tensors that it is given."""

import numpy as np

from vidfer.inference.onnx_networks import OnnxNetwork
from vidfer.weights.files import find_weights


def test_a_network_needs_none_of_the_arrays_that_it_was_made_of():
    weights = find_weights("image", "compact")
    tensors = {name: np.array(array, np.float32) for name, array in weights.arrays().items()}
    network = OnnxNetwork(weights.graph(), tensors)
    faces = np.random.default_rng(0).normal(size=(2, *network._session.get_inputs()[0].shape[1:])).astype(np.float32)
    before = network(image=faces)
    for array in tensors.values():
        array[...] = np.nan
    after = network(image=faces)
    assert all(np.isfinite(before[name]).all() and np.array_equal(before[name], after[name]) for name in before)
