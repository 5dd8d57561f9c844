"""What holds for every classifier of clips."""

import inspect

import pytest
import torch

from vidfer.models.classifiers import build_classifier, classifier_names
from vidfer.models.classifiers.base import pool_vectors
from vidfer.types import VidferError


def build(name, sizes, **arguments):
    torch.manual_seed(0)
    known = inspect.signature(type(build_classifier(name))).parameters
    return build_classifier(name, {key: value for key, value in (sizes | arguments).items() if key in known})


@pytest.mark.parametrize("name", classifier_names())
def test_sixteen_clips_are_learnt_by_heart(name, clips, sizes, learn):
    batch = clips()
    network = learn(build(name, sizes), batch, steps=250 if name == "dbn" else 120)
    with torch.no_grad():
        log_probs = network(batch)
    assert log_probs.argmax(1).tolist() == batch["target"].tolist()
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(16))


@pytest.mark.parametrize("name", classifier_names())
def test_padding_changes_nothing(name, clips, sizes):
    batch = clips(6)
    network = build(name, sizes).eval()
    network.prepare(batch)
    other = {key: value.clone() for key, value in batch.items()}
    for key, mask in (("frames", "frame_mask"), ("image", "frame_mask"), ("sound", "sound_mask")):
        other[key][~batch[mask]] = 9.0
    with torch.no_grad():
        torch.testing.assert_close(network(other), network(batch))


@pytest.mark.parametrize("name", classifier_names())
def test_a_clip_is_answered_by_itself(name, clips, sizes):
    batch = clips(6)
    network = build(name, sizes).eval()
    network.prepare(batch)
    with torch.no_grad():
        one = network({key: value[2:3] for key, value in batch.items()})
        torch.testing.assert_close(one[0], network(batch)[2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", classifier_names())
def test_a_clip_without_anything_gets_equal_shares(name, clips, sizes):
    batch = clips(3)
    network = build(name, sizes).eval()
    network.prepare(batch)
    batch["frame_mask"][1] = batch["sound_mask"][1] = False
    with torch.no_grad():
        found = network(batch)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[1].exp(), torch.full((7,), 1 / 7))


@pytest.mark.parametrize("name", classifier_names())
def test_clips_without_label_do_not_steer_the_labelled_loss(name, clips, sizes):
    batch = clips(8)
    network = build(name, sizes).eval()
    network.prepare(batch)
    seen = []

    def criterion(log_probs, target):
        seen.append(len(target))
        return torch.nn.functional.nll_loss(log_probs, target)

    batch["target"][5:] = -1
    network.loss(batch, criterion)
    assert set(seen) == {5}


@pytest.mark.parametrize("name", ["linear", "mlp", "gan", "dbn"])
@pytest.mark.parametrize("modality", ["sound", "frames", "both"])
def test_vectors_of_any_modality(name, modality, clips, sizes, learn):
    batch = clips()
    network = learn(build(name, sizes, modality=modality), batch, steps=3)
    assert network(batch).shape == (16, 7)
    assert network.reads == (("frames", "sound") if modality == "both" else (modality,))


def test_both_stands_in_the_mean_for_what_is_missing(clips, sizes):
    batch = clips()
    network = build("linear", sizes, modality="both")
    network.prepare(batch)
    batch["sound_mask"][0] = False
    vectors, _ = network.vectors(batch)
    standard = network.standardise(vectors)[0]
    assert standard[12:].abs().max() < 1e-5
    assert standard[:12].abs().max() > 0.1


def test_members_average_to_the_answer(clips, sizes):
    batch = clips(5)
    batch["sound_mask"][:, 1:] = False
    network = build("mlp", sizes, hidden=16, members=3).eval()
    network.prepare(batch)
    probabilities = network.member_log_probs(batch["sound"][:, 0]).exp().mean(0)
    torch.testing.assert_close(network(batch).exp(), probabilities)


def test_pooling_is_the_geometric_mean():
    log_probs = torch.randn(1, 3, 7, dtype=torch.float64).log_softmax(2)
    pooled = pool_vectors(log_probs, torch.tensor([0, 0, 2]), 3)[0].exp()
    product = (log_probs[0, 0].exp() * log_probs[0, 1].exp()).sqrt()
    torch.testing.assert_close(pooled[0], product / product.sum())
    torch.testing.assert_close(pooled[2], log_probs[0, 2].exp())
    torch.testing.assert_close(pooled[1], torch.full((7,), 1 / 7, dtype=torch.float64))


def test_unknown_modalities(sizes):
    for name in ("linear", "lstm"):
        with pytest.raises(VidferError, match="is none of"):
            build(name, sizes, modality="smell")


def test_what_is_missing_does_not_shift_the_statistics(clips, sizes):
    batch = clips()
    batch["frames"] += 100.0
    batch["frame_mask"][0] = False
    network = build("linear", sizes, modality="both")
    network.prepare(batch)
    assert (network.standardise.mean[:12] - 100).abs().max() < 1.0
    assert network.standardise.std[:12].max() < 2.0


@pytest.mark.parametrize("name", ["mlp", "lstm", "fusion"])
def test_nothing_to_learn_from_is_said(name, clips, sizes):
    batch = clips()
    batch["frame_mask"][:] = batch["sound_mask"][:] = False
    with pytest.raises(VidferError, match="nothing to learn from"):
        build(name, sizes).prepare(batch)
