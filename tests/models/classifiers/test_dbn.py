"""The deep belief network: what pre-training brings, and that the network is the stack of its machines."""

import pytest
import torch

from vidfer.models.classifiers.dbn import DBNClassifier
from vidfer.models.rbm import RBM
from vidfer.types import VidferError


def vectors_of_few_causes(count, features=30, causes=4):
    """Vectors whose features go together, as those of voices do."""
    rng = torch.Generator().manual_seed(0)
    mixing = torch.randn(causes, features, generator=rng)
    vectors = torch.randn(count, causes, generator=rng) @ mixing + 0.3 * torch.randn(count, features, generator=rng)
    return (vectors - vectors.mean(0)) / vectors.std(0)


def test_sixteen_clips_by_heart(clips, sizes, learn):
    batch = clips()
    network = learn(DBNClassifier("both", **sizes, hidden=64, input_dropout=0.0, dropout=0.0), batch)
    assert network(batch).argmax(1).tolist() == batch["target"].tolist()


def test_pretraining_lowers_the_error_of_vectors_never_seen(sizes):
    torch.manual_seed(0)
    network = DBNClassifier("sound", **sizes, hidden=32, pretrain_epochs=40, pretrain_lr=3e-3)
    known, held_out = vectors_of_few_causes(400).split([300, 100])
    machines = network.pretrain(known)
    for index, machine in enumerate(machines):
        untrained = RBM(*machine.weight.shape, "binary" if index else "gaussian")
        untrained.visible_bias.data.copy_(machine.visible_bias)
        error = machine.reconstruction_error(held_out)
        assert error < 0.8 * untrained.reconstruction_error(held_out)
        held_out = machine(held_out).detach()


def test_layers_start_as_the_machines(clips, sizes):
    batch = clips()
    network = DBNClassifier("sound", **sizes, hidden=8, layers=3).eval()
    torch.manual_seed(3)
    network.prepare(batch)
    torch.manual_seed(3)
    standardised = network.standardise(network.vectors(batch)[0])
    activations = standardised
    for machine in network.pretrain(standardised):
        activations = machine(activations)
    expected = network.head(2 * activations - 1).log_softmax(1)[None]
    torch.testing.assert_close(network.member_log_probs(network.vectors(batch)[0]), expected)


def test_without_pretraining_the_start_is_random(clips, sizes):
    network = DBNClassifier("sound", **sizes, pretrain_epochs=0)
    before = network.layers[0].weight.clone()
    network.prepare(clips())
    assert torch.equal(network.layers[0].weight, before)
    assert network.standardise.mean.abs().max() > 0


def test_no_layers(sizes):
    with pytest.raises(VidferError, match="at least one layer, not 0"):
        DBNClassifier(**sizes, layers=0)
