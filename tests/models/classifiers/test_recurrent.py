import pytest
import torch

from vidfer.models.classifiers import build_classifier


def test_elman_by_hand(sizes, clips):
    batch = clips(2)
    network = build_classifier("rnn", sizes | {"hidden": 4}).eval()
    network.prepare(batch)
    layer = network.recurrent
    state = torch.zeros(4)
    for vector in network.standardise(batch["frames"][0])[batch["frame_mask"][0]]:
        state = torch.tanh(
            layer.weight_ih_l0 @ vector + layer.bias_ih_l0 + layer.weight_hh_l0 @ state + layer.bias_hh_l0
        )
    expected = network.head(state).log_softmax(0)
    torch.testing.assert_close(network(batch)[0], expected)


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_order_matters(name, sizes, clips):
    batch = clips(2)
    batch["frame_mask"][:] = True
    network = build_classifier(name, sizes).eval()
    turned = {**batch, "frames": batch["frames"].flip(1)}
    assert not torch.allclose(network(batch), network(turned))
