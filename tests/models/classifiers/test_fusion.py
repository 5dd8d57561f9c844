import pytest
import torch

from vidfer.models.classifiers import build_classifier


@pytest.fixture
def network(clips, sizes):
    torch.manual_seed(0)
    network = build_classifier("fusion", sizes | {"hidden": 16}).eval()
    network.prepare(clips())
    torch.nn.init.normal_(network.gate.weight)
    return network


@pytest.mark.parametrize(("missing", "left"), [("sound", "frames"), ("frame", "sound")])
def test_what_is_left_answers_alone(network, clips, missing, left):
    batch = clips()
    own = network.parts(batch)[left]
    batch[f"{missing}_mask"][:] = False
    parts = network.parts(batch)
    torch.testing.assert_close(parts["fused"], own)
    assert parts["gates"].tolist() == [[1.0, 0.0] if left == "frames" else [0.0, 1.0]] * 16


def test_both_add_up_by_their_gates(network, clips):
    batch = clips()
    parts = network.parts(batch)
    gates = parts["gates"]
    assert ((gates > 0) & (gates < 2)).all()
    expected = (gates[:, :1] * parts["frames"] + gates[:, 1:] * parts["sound"]).log_softmax(1)
    torch.testing.assert_close(parts["fused"], expected)


def test_attention_does_not_care_for_order_or_copies(network, clips):
    batch = clips()
    order = torch.tensor([3, 1, 4, 0, 2])
    turned = {**batch, "frames": batch["frames"][:, order], "frame_mask": batch["frame_mask"][:, order]}
    torch.testing.assert_close(network(turned), network(batch))
    twice = {key: torch.cat([value, value], dim=1) if value.ndim > 1 else value for key, value in batch.items()}
    torch.testing.assert_close(network(twice), network(batch))


def test_a_modality_learns_although_the_other_one_suffices(clips, sizes, learn):
    batch = clips()
    network = learn(build_classifier("fusion", sizes), batch, steps=250)
    for mask in ("frame_mask", "sound_mask"):
        there = batch[mask].clone()
        batch[mask] = torch.zeros_like(there)
        assert (network(batch).argmax(1) == batch["target"]).float().mean() > 0.9
        batch[mask] = there
