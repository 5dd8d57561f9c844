"""Restricted Boltzmann machines against the enumeration of all their states."""

import math
from itertools import product

import pytest
import torch

from vidfer.models.rbm import RBM, Gradient, contrastive_divergence, fit_rbm, phase
from vidfer.types import VidferError

V, H = 4, 3


def states(units):
    return torch.tensor(list(product((0.0, 1.0), repeat=units)))


@pytest.fixture
def machine():
    """A tiny machine with weights large enough that its distribution is far from independent units."""

    def make(kind="binary", visible=V, hidden=H, scale=1.5):
        torch.manual_seed(0)
        rbm = RBM(visible, hidden, kind).double()
        for parameter in rbm.parameters():
            torch.nn.init.normal_(parameter, std=scale)
        return rbm

    return make


@pytest.fixture
def data():
    return torch.tensor([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0]]).double()


def joint_energies(rbm):
    """E of every joint state, `(2^V, 2^H)`, written out unit by unit."""
    weight, b, c = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    rows = []
    for v in states(V):
        row = []
        for h in states(H):
            total = -sum(v[i] * b[i] for i in range(V)) - sum(h[j] * c[j] for j in range(H))
            total = total - sum(v[i] * weight[i, j] * h[j] for i in range(V) for j in range(H))
            row.append(total)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def binary_log_likelihood(rbm, data):
    """Mean log p(v) by enumeration of all 2^(V + H) joint states."""
    joint = -joint_energies(rbm)
    log_p = joint.logsumexp(1) - joint.flatten().logsumexp(0)
    return torch.stack([log_p[(states(V).double() == v).all(1)][0] for v in data]).mean()


def gaussian_log_likelihood(rbm, data):
    """Mean log p(v): v is a mixture of 2^H Gaussians of unit variance, with means b + W h."""
    hidden = states(len(rbm.hidden_bias)).double()
    shift = hidden @ rbm.weight.T
    mass = hidden @ rbm.hidden_bias + shift @ rbm.visible_bias + shift.square().sum(1) / 2
    distance = (data[:, None] - (rbm.visible_bias + shift)).square().sum(2) / 2
    constant = data.shape[1] / 2 * math.log(2 * math.pi)
    return (mass.log_softmax(0) - distance - constant).logsumexp(1).mean()


def exact_gradient(rbm, likelihood):
    return Gradient(*torch.autograd.grad(likelihood, [rbm.weight, rbm.visible_bias, rbm.hidden_bias]))


def probabilities(rbm):
    return (-joint_energies(rbm)).detach().flatten().softmax(0).reshape(2**V, 2**H)


def weighted_phase(rbm, share):
    """`phase` of a distribution over all visible states: the mean of the single states' phases."""
    single = [phase(rbm, v[None].double()) for v in states(V)]
    return Gradient(*(sum(p * each for p, each in zip(share, part, strict=True)) for part in zip(*single, strict=True)))


def transition(rbm):
    """One step of the chain as a matrix `(2^V, 2^V)`, from conditionals by Bayes' rule."""
    joint = probabilities(rbm)
    return (joint / joint.sum(1, keepdim=True)) @ (joint / joint.sum(0, keepdim=True)).T


def distance(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one, other, strict=True))


def test_energy_and_free_energy(machine):
    rbm = machine()
    energies = joint_energies(rbm)
    for index, h in enumerate(states(H).double()):
        torch.testing.assert_close(rbm.energy(states(V).double(), h.expand(2**V, H)), energies[:, index])
    torch.testing.assert_close(rbm.free_energy(states(V).double()), -(-energies).logsumexp(1))


def test_conditionals_by_bayes(machine):
    rbm, joint = machine(), probabilities(machine())
    hidden = (joint / joint.sum(1, keepdim=True)) @ states(H).double()
    torch.testing.assert_close(rbm(states(V).double()), hidden)
    visible = (joint / joint.sum(0)).T @ states(V).double()
    torch.testing.assert_close(rbm.visible_mean(states(H).double()), visible)


def test_gaussian_conditionals(machine):
    """Given h, exp(-E) over v is a Gaussian density of unit variance around `visible_mean`, up to a constant of h."""
    rbm = machine("gaussian")
    visible = 3 * torch.randn(50, V, dtype=torch.float64)
    for h in states(H).double():
        log_density = -(visible - rbm.visible_mean(h[None])).square().sum(1) / 2
        constant = -rbm.energy(visible, h.expand(50, H)) - log_density
        torch.testing.assert_close(constant, constant[:1].expand(50))
    energies = torch.stack([rbm.energy(visible, h.expand(50, H)) for h in states(H).double()], dim=1)
    torch.testing.assert_close(rbm.free_energy(visible), -(-energies).logsumexp(1))
    torch.testing.assert_close(rbm(visible), (-energies).softmax(1) @ states(H).double())


def test_exact_gradient_is_positive_minus_negative_phase(machine, data):
    """With the model's own distribution for the chains' ends, the two phases are the gradient, without any draw."""
    rbm = machine()
    exact = exact_gradient(rbm, binary_log_likelihood(rbm, data))
    negative = weighted_phase(rbm, probabilities(rbm).sum(1))
    assert distance(exact, [a - b for a, b in zip(phase(rbm, data), negative, strict=True)]) < 1e-12


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_positive_phase(machine, data, kind):
    """The positive phase is the part of the gradient that is left where the normalising sum counts as a constant."""
    rbm = machine(kind)
    exact = exact_gradient(rbm, -rbm.free_energy(data).mean())
    assert distance(exact, phase(rbm, data)) < 1e-12


def test_chains_at_equilibrium_estimate_the_exact_gradient(machine, data):
    """A step leaves the model's distribution as it is, so only chance is left.

    Every term of the negative phase lies in [0, 1] and so has a deviation of at most 1/2; its mean over n chains misses by
    more than 5 / (2 sqrt(n)) with a chance below 1e-6, for each of the 19 parameters.
    """
    rbm, chains = machine(), 200_000
    rng = torch.Generator().manual_seed(1)
    drawn = torch.multinomial(probabilities(rbm).sum(1), chains, replacement=True, generator=rng)
    estimate = contrastive_divergence(rbm, data, 1, rng, chain=states(V).double()[drawn])
    exact = exact_gradient(rbm, binary_log_likelihood(rbm, data))
    assert distance(estimate, exact) < 5 / (2 * math.sqrt(chains))


@pytest.mark.parametrize("steps", [1, 3])
def test_expected_gradient_of_few_steps(machine, data, steps):
    """CD-k in the mean over many chains is what the chain's transition matrix says (same bound as above)."""
    rbm, copies = machine(), 40_000
    start = torch.stack([(data == v).all(1).double().mean() for v in states(V)])
    end = start @ torch.linalg.matrix_power(transition(rbm), steps)
    expected = [a - b for a, b in zip(phase(rbm, data), weighted_phase(rbm, end), strict=True)]
    estimate = contrastive_divergence(rbm, data.repeat(copies, 1), steps, torch.Generator().manual_seed(2))
    assert distance(estimate, expected) < 5 / (2 * math.sqrt(copies * len(data)))


def test_bias_falls_with_the_chains_length(machine, data):
    """CD-1 is biased, yet points uphill; the bias shrinks with every step and vanishes."""
    rbm = machine()
    exact = exact_gradient(rbm, binary_log_likelihood(rbm, data))
    start = torch.stack([(data == v).all(1).double().mean() for v in states(V)])
    biases, slopes = [], []
    for steps in (1, 2, 5, 20, 100):
        end = weighted_phase(rbm, start @ torch.linalg.matrix_power(transition(rbm), steps))
        expected = [a - b for a, b in zip(phase(rbm, data), end, strict=True)]
        biases.append(distance(expected, exact))
        slopes.append(sum((a * b).sum() for a, b in zip(expected, exact, strict=True)))
    assert biases == sorted(biases, reverse=True)
    assert biases[0] > 0.02
    assert biases[-1] < 1e-9
    assert min(slopes) > 0


def test_gaussian_gradient(machine):
    """Chains at equilibrium: v is drawn from the mixture, exactly; ten standard errors of what was drawn."""
    rbm, chains = machine("gaussian", visible=3, hidden=2, scale=0.8), 100_000
    data = torch.randn(20, 3, dtype=torch.float64)
    hidden = states(2).double()
    shift = hidden @ rbm.weight.T
    mass = (hidden @ rbm.hidden_bias + shift @ rbm.visible_bias + shift.square().sum(1) / 2).detach()
    rng = torch.Generator().manual_seed(3)
    which = torch.multinomial(mass.softmax(0), chains, replacement=True, generator=rng)
    chain = (rbm.visible_bias + shift[which]).detach() + torch.randn(chains, 3, dtype=torch.float64, generator=rng)
    estimate = contrastive_divergence(rbm, data, 1, rng, chain=chain)
    exact = exact_gradient(rbm, gaussian_log_likelihood(rbm, data))
    assert distance(estimate, exact) < 10 * chain.std() / math.sqrt(chains)


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_fit_raises_the_exact_likelihood(kind):
    torch.manual_seed(0)
    bits = (torch.rand(300, 1) < 0.5).double()
    data = torch.cat([bits, bits, 1 - bits, 1 - bits], dim=1)
    flipped = torch.rand(data.shape) < 0.05
    data = torch.where(flipped, 1 - data, data)
    if kind == "gaussian":
        data = (data - data.mean(0)) / data.std(0)
    rbm = RBM(V, H, kind).double()
    likelihood = binary_log_likelihood if kind == "binary" else gaussian_log_likelihood
    fit_rbm(rbm, data, epochs=1, lr=0.0)  # sets the visible biases alone: units without ties
    before = likelihood(rbm, data).item()
    errors = fit_rbm(rbm, data, epochs=50, lr=0.02 if kind == "gaussian" else 0.1, weight_decay=0.0)
    assert likelihood(rbm, data).item() > before + 0.3
    assert errors[-1] < 0.7 * errors[0]


def test_fit_repeats_by_its_seed():
    data = torch.rand(40, V)
    fits = []
    for seed in (0, 0, 1):
        torch.manual_seed(5)
        rbm = RBM(V, H)
        fit_rbm(rbm, data, epochs=2, seed=seed)
        fits.append(rbm.weight.detach())
    assert torch.equal(fits[0], fits[1])
    assert not torch.equal(fits[0], fits[2])


def test_weight_decay_is_on_the_weights_alone():
    data = torch.rand(64, V)
    ends = {}
    for decay in (0.0, 0.5):
        torch.manual_seed(0)
        rbm = RBM(V, H)
        start = rbm.weight.detach().clone()
        fit_rbm(rbm, data, epochs=1, lr=0.1, weight_decay=decay)
        ends[decay] = rbm
    torch.testing.assert_close(ends[0.5].weight, ends[0.0].weight - 0.1 * 0.5 * start)
    assert torch.equal(ends[0.5].visible_bias, ends[0.0].visible_bias)


def test_refusals():
    with pytest.raises(VidferError, match=r"'ternary'.*binary, gaussian"):
        RBM(V, H, "ternary")
    with pytest.raises(VidferError, match="without vectors"):
        fit_rbm(RBM(V, H), torch.empty(0, V))
    with pytest.raises(VidferError, match="smaller step than lr=100"):
        fit_rbm(RBM(V, H, "gaussian"), 10 * torch.randn(200, V), epochs=60, lr=100.0)
