import math

import torch

from vidfer.models.classifiers import build_classifier
from vidfer.models.classifiers.gan import feature_matching_loss, real_or_generated_loss


def test_the_unsupervised_loss_is_that_of_k_plus_one_classes():
    real, generated = torch.randn(4, 7, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    extended = [torch.cat([logits, torch.zeros(len(logits), 1)], dim=1).softmax(1) for logits in (real, generated)]
    expected = -(1 - extended[0][:, 7]).log().mean() - extended[1][:, 7].log().mean()
    torch.testing.assert_close(real_or_generated_loss(real, generated), expected)


def test_a_discriminator_that_cannot_tell_pays_two_log_two():
    even = torch.full((5, 7), -math.log(7))
    assert abs(real_or_generated_loss(even, even).item() - 2 * math.log(2)) < 1e-6


def test_features_are_matched_in_the_mean():
    real = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert feature_matching_loss(real, real.flip(0)).item() == 0
    assert feature_matching_loss(real, real + torch.tensor([3.0, 1.0])).item() == 5.0


def test_each_player_learns_from_its_own_loss(clips, sizes):
    torch.manual_seed(0)
    batch = clips()
    network = build_classifier("gan", sizes | {"hidden": 16})
    network.prepare(batch)
    network.loss(batch, torch.nn.functional.nll_loss).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())
    network.zero_grad()
    network._generator_loss(torch.randn(5, 16), network.generate(torch.arange(7)), torch.arange(7)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.generator.parameters())
    assert all(weight.grad is None or not weight.grad.any() for weight in network.body.parameters())
    assert all(weight.requires_grad for weight in network.parameters())


def test_clips_without_label_teach_what_is_real(clips, sizes):
    torch.manual_seed(0)
    batch = clips()
    network = build_classifier("gan", sizes | {"hidden": 16, "input_dropout": 0.0, "dropout": 0.0})
    network.prepare(batch)
    batch["target"][:] = -1
    batch["target"][0] = 3
    network.loss(batch, torch.nn.functional.nll_loss).backward()
    with_others = network.body[1].weight.grad.clone()
    network.zero_grad()
    torch.manual_seed(0)
    network.loss({key: value[:1] for key, value in batch.items()}, torch.nn.functional.nll_loss).backward()
    assert not torch.allclose(with_others, network.body[1].weight.grad)


def test_generated_vectors_carry_their_class(clips, sizes, learn):
    network = learn(build_classifier("gan", sizes | {"hidden": 64, "input_dropout": 0.0}), clips(), steps=300)
    wanted = torch.arange(7).repeat(20)
    with torch.no_grad():
        answers = network.head(network.body(network.generate(wanted))).argmax(1)
    assert (answers == wanted).float().mean() > 0.8


def test_every_vector_counts_as_real_whether_labelled_or_not(clips, sizes):
    torch.manual_seed(0)
    network = build_classifier("gan", sizes | {"hidden": 16, "input_dropout": 0.0, "dropout": 0.0})
    batch = clips()
    network.prepare(batch)
    batch["target"][1:] = -1

    def adversarial(given):
        """The real-or-generated part of the loss: what its weight adds."""
        parts = []
        for weight in (0.0, 1.0):
            network.adversarial = weight
            torch.manual_seed(4)
            parts.append(network.loss(given, torch.nn.functional.nll_loss))
        return parts[1] - parts[0]

    def real_part(given):
        vectors, _ = network.vectors(given)
        logits = network.head(network.body(network.standardise(vectors)))
        return torch.nn.functional.softplus(-logits.logsumexp(1)).mean()

    other = {key: value.clone() for key, value in batch.items()}
    other["sound"][1:] += 3.0  # clips without label
    expected = real_part(other) - real_part(batch)
    torch.testing.assert_close(adversarial(other) - adversarial(batch), expected, atol=1e-5, rtol=0)
    assert abs(real_part(other) - real_part(batch)) > 1e-3
