"""The perceptrons, and what they do not see of a recording's corpus."""

import numpy as np
import pytest
import torch

from vidfer.models.classifiers import build_classifier
from vidfer.models.classifiers.mlp import find_corpus_directions
from vidfer.types import VidferError


def recordings(features=12, each=40, classes=(0, 3, 4), corpora=(0, 1, 2), seed=0):
    """Vectors whose class shifts feature 0, whose corpus shifts feature 1, and class 3 in corpus 1 feature 2; with noise."""
    rng = np.random.default_rng(seed)
    target, corpus = (part.ravel() for part in np.meshgrid(np.repeat(classes, each), corpora))
    vectors = rng.normal(0, 0.01, (len(target), features))
    vectors[:, 0] += target
    vectors[:, 1] += 5.0 * corpus
    vectors[:, 2] += 3.0 * ((target == 3) & (corpus == 1))
    return (torch.tensor(each) for each in (vectors.astype(np.float32), target, corpus))


def test_directions_span_how_corpora_differ_within_a_class():
    vectors, target, corpus = recordings()
    found = find_corpus_directions(vectors, target, corpus)
    torch.testing.assert_close(found @ found.T, torch.eye(len(found)), atol=1e-5, rtol=0)
    largest = found[:2].abs()  # of the others the noise decides
    assert largest.argmax(1).tolist() == [1, 2]
    assert largest.amax(1).tolist() == pytest.approx([1, 1], abs=0.05)
    assert found[:2, 0].tolist() == pytest.approx([0, 0], abs=0.05)


@pytest.mark.parametrize("classes", [1, 3, 6])
@pytest.mark.parametrize("corpora", [1, 2, 4])
def test_there_is_a_direction_for_each_further_corpus_of_each_class(classes, corpora):
    vectors, target, corpus = recordings(40, 5, range(classes), range(corpora))
    assert find_corpus_directions(vectors, target, corpus).shape == (classes * (corpora - 1), 40)


def test_classes_of_one_corpus_and_unknown_ones_give_none():
    vectors, target, _ = recordings()
    assert len(find_corpus_directions(vectors, target, target)) == 0
    assert len(find_corpus_directions(vectors, torch.full_like(target, -1), target)) == 0


def batch_of(vectors, target, corpus=None):
    whole = {"sound": vectors[:, None], "sound_mask": torch.ones(len(vectors), 1, dtype=torch.bool), "target": target}
    return whole if corpus is None else whole | {"corpus": corpus}


@pytest.mark.parametrize(("directions", "known", "blind"), [(9, True, True), (0, True, False), (9, False, False)])
def test_a_network_without_these_directions_does_not_hear_the_corpus(directions, known, blind):
    torch.manual_seed(0)
    vectors, target, corpus = recordings()
    network = build_classifier("mlp", {"num_sound_features": 12, "corpus_directions": directions}).eval()
    network.prepare(batch_of(vectors, target, corpus if known else None))
    moved = vectors + 0.5 * torch.eye(12)[1]
    with torch.no_grad():
        change = (network(batch_of(vectors, target)) - network(batch_of(moved, target))).abs().max().item()
    assert (change < 0.01) == blind
    again = build_classifier("mlp", {"num_sound_features": 12, "corpus_directions": directions}).eval()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again(batch_of(vectors, target)), network(batch_of(vectors, target)))


def test_fewer_than_no_directions_are_refused():
    with pytest.raises(VidferError, match="corpus_directions"):
        build_classifier("mlp", {"corpus_directions": -1})
