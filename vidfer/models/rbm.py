"""Restricted Boltzmann machines and contrastive divergence.

References:
    Hinton: Training products of experts by minimizing contrastive divergence. Neural Computation 14(8), 2002.
    Hinton, Osindero, Teh: A fast learning algorithm for deep belief nets. Neural Computation 18(7), 2006.
    Hinton: A practical guide to training restricted Boltzmann machines. UTML TR 2010-003: starting values, step sizes, and
    units of the Gaussian kind (section 13.2).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidfer.types import VidferError


class Gradient(NamedTuple):
    """A value for each parameter of a machine: `weight` (V, H), `visible_bias` (V,) and `hidden_bias` (H,)."""

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


class RBM(nn.Module):
    """Visible units v and binary hidden units h with p(v, h) proportional to exp(-E(v, h)).

    With `binary` visible units, E = -v.b - h.c - v.W h. `gaussian` ones have unit variance given h, so data should be
    standardised: E = |v - b|^2 / 2 - h.c - v.W h.

    Raises:
        VidferError: The kind is unknown.
    """

    def __init__(self, visible: int, hidden: int, kind: str = "binary") -> None:
        super().__init__()
        if kind not in ("binary", "gaussian"):
            raise VidferError(f"unknown kind of visible units '{kind}': use one of binary, gaussian")
        self.gaussian = kind == "gaussian"
        self.weight = nn.Parameter(torch.randn(visible, hidden) / math.sqrt(visible + hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """Compute E of states `(N, V)` and `(N, H)`, shape `(N,)`."""
        return self._visible_energy(visible) - hidden @ self.hidden_bias - (visible @ self.weight * hidden).sum(1)

    def free_energy(self, visible: Tensor) -> Tensor:
        """Compute F of `(N, V)`, with exp(-F(v)) the sum of exp(-E(v, h)) over all h, shape `(N,)`."""
        return self._visible_energy(visible) - functional.softplus(self._hidden_input(visible)).sum(1)

    def forward(self, visible: Tensor) -> Tensor:
        """Compute p(h = 1 | v) of `(N, V)`, shape `(N, H)`."""
        return torch.sigmoid(self._hidden_input(visible))

    def visible_mean(self, hidden: Tensor) -> Tensor:
        """Compute the mean of v given h `(N, H)`, shape `(N, V)`: probabilities, where v is binary."""
        mean = hidden @ self.weight.T + self.visible_bias
        return mean if self.gaussian else torch.sigmoid(mean)

    def reconstruction_error(self, visible: Tensor) -> Tensor:
        """Compute the mean squared difference of `(N, V)` and the mean of v given p(h | v), a scalar."""
        return (self.visible_mean(self(visible)) - visible).square().mean()

    @torch.no_grad()
    def gibbs(self, visible: Tensor, steps: int, rng: torch.Generator | None = None) -> Tensor:
        """Alternate between drawing all h given v and all v given h from `(N, V)`; returns the last visible states `(N, V)`."""
        for _ in range(steps):
            mean = self.visible_mean(_draw_binary(self(visible), rng))
            visible = _draw_normal(mean, rng) if self.gaussian else _draw_binary(mean, rng)
        return visible

    def _hidden_input(self, visible: Tensor) -> Tensor:
        return visible @ self.weight + self.hidden_bias

    def _visible_energy(self, visible: Tensor) -> Tensor:
        if self.gaussian:
            return (visible - self.visible_bias).square().sum(1) / 2
        return -visible @ self.visible_bias


@torch.no_grad()
def phase(rbm: RBM, visible: Tensor) -> Gradient:
    """Compute the mean of -dF/dparameter over visible states `(N, V)`: one side of the likelihood's gradient.

    Hidden units count by their probabilities, without the noise of draws (Hinton 2010, sections 2 and 3.3).
    """
    hidden = rbm(visible)
    mean = visible.mean(0)
    return Gradient(
        visible.T @ hidden / len(visible), mean - rbm.visible_bias if rbm.gaussian else mean, hidden.mean(0)
    )


def contrastive_divergence(
    rbm: RBM, visible: Tensor, steps: int = 1, rng: torch.Generator | None = None, chain: Tensor | None = None
) -> Gradient:
    """Estimate the gradient of the mean log-likelihood of `(N, V)`: the data's phase minus that of chains after k `steps`.

    The chains start at `chain`, `(M, V)`, or at the data; from the last call's ends this is persistent contrastive divergence
    (Tieleman 2008). Biased for few steps (Hinton 2002, equation 8 without the term by which the parameters move the chains'
    ends), but exact where the chains start at the model's own distribution. `rng` lies on the processor.
    """
    positive = phase(rbm, visible)
    negative = phase(rbm, rbm.gibbs(visible if chain is None else chain, steps, rng))
    return Gradient(*(data - model for data, model in zip(positive, negative, strict=True)))


@torch.no_grad()
def fit_rbm(
    rbm: RBM,
    vectors: Tensor,
    *,
    epochs: int = 20,
    lr: float = 0.01,
    batch_size: int = 64,
    steps: int = 1,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> list[float]:
    """Train a machine in place by CD-k (k = `steps`) in mini-batches, by SGD with momentum (the paper's equation 7).

    Vectors are `(N, V)`: in [0, 1] where visible units are binary, standardised where they are Gaussian, which need a tenth of
    the learning rate or less (Hinton 2010). The visible biases start so that the machine, whose weights are small, has the data's
    means. Returns the mean reconstruction error of each epoch's batches, before their steps.

    Raises:
        VidferError: There are no vectors, or the training left finite numbers.
    """
    if not len(vectors):
        raise VidferError("a restricted Boltzmann machine cannot be trained without vectors")
    rng = torch.Generator().manual_seed(seed)
    mean = vectors.mean(0)
    rbm.visible_bias.copy_(mean if rbm.gaussian else mean.clamp(0.01, 0.99).logit())
    parameters = (rbm.weight, rbm.visible_bias, rbm.hidden_bias)
    velocities = [torch.zeros_like(parameter) for parameter in parameters]
    errors = []
    for _ in range(epochs):
        order = torch.randperm(len(vectors), generator=rng).to(vectors.device)
        total = 0.0
        for start in range(0, len(order), batch_size):
            batch = vectors[order[start : start + batch_size]]
            total += float(rbm.reconstruction_error(batch)) * len(batch)
            gradient = contrastive_divergence(rbm, batch, steps, rng)
            gradient = gradient._replace(weight=gradient.weight - weight_decay * rbm.weight)
            for parameter, velocity, ascent in zip(parameters, velocities, gradient, strict=True):
                parameter.add_(lr * velocity.mul_(momentum).add_(ascent))
        errors.append(total / len(vectors))
    if not all(parameter.isfinite().all() for parameter in parameters):
        raise VidferError(f"contrastive divergence left finite numbers: take a smaller step than lr={lr}")
    return errors


def _draw_binary(probability: Tensor, rng: torch.Generator | None) -> Tensor:
    return (torch.rand(probability.shape, generator=rng).to(probability) < probability).to(probability)


def _draw_normal(mean: Tensor, rng: torch.Generator | None) -> Tensor:
    return mean + torch.randn(mean.shape, generator=rng).to(mean)
