"""The paper's equations 7 to 16, written out in numpy, against what `build_optimizer` builds.

The paper's misprints, and what is meant here:

* 8 and 9 add the gradient to g where they mean its square (the text says "sum of squared gradients").
* 9 leaves out the learning rate.
* 11 and 14 decay the second mean by beta 1; the text and the bias correction say beta 2.
* 12 and 16 step along the bare gradient over the root of a g that Adam does not have: the corrected means are meant.
* The correction's power t has to count steps from 1: with t = 0, as the means are numbered, it divides by 0.
"""

import math

import numpy as np
import pytest
import torch

from vidfer.tasks.optimizers import EPS, OPTIMIZERS, Optimisation, Schedule, build_optimizer, one_cycle
from vidfer.types import VidferError

START = np.array([-0.7, 1.3, 1.3])
LR = 0.05


def slope(x):
    """Gradient of (1 - x)^2 + 2 (y - x^2)^2 + sin(3 z) + 0.1 z^2 x, by hand."""
    return np.array(
        [
            -2 * (1 - x[0]) - 8 * x[0] * (x[1] - x[0] ** 2) + 0.1 * x[2] ** 2,
            4 * (x[1] - x[0] ** 2),
            3 * np.cos(3 * x[2]) + 0.2 * x[2] * x[0],
        ]
    )


def value(x):
    return (1 - x[0]) ** 2 + 2 * (x[1] - x[0] ** 2) ** 2 + torch.sin(3 * x[2]) + 0.1 * x[2] ** 2 * x[0]


def printed(g):
    """The divisor as printed."""
    return np.sqrt(g + 1e-5)


def torchs(g):
    """The divisor that torch's RMSProp and Adam have."""
    return np.sqrt(g) + np.sqrt(1e-5)


def sgd(steps):
    theta = START
    for _ in range(steps):
        theta = theta - LR * slope(theta)
        yield theta


def sgdma(steps, rho=0.9, nesterov=False):
    theta, v = START, np.zeros(3)
    for _ in range(steps):
        gradient = slope(theta)
        v = rho * v + gradient
        theta = theta - LR * (gradient + rho * v if nesterov else v)
        yield theta


def adagrad(steps, divisor=printed):
    theta, g = START, np.zeros(3)
    for _ in range(steps):
        gradient = slope(theta)
        g = g + gradient**2
        theta = theta - LR * gradient / divisor(g)
        yield theta


def rmsprop(steps, divisor=torchs, alpha=0.9):
    theta, g = START, np.zeros(3)
    for _ in range(steps):
        gradient = slope(theta)
        g = alpha * g + (1 - alpha) * gradient**2
        theta = theta - LR * gradient / divisor(g)
        yield theta


def adam(steps, divisor=torchs, beta_1=0.9, beta_2=0.999):
    theta, m, v = START, np.zeros(3), np.zeros(3)
    for t in range(1, steps + 1):
        gradient = slope(theta)
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        theta = theta - LR * m_hat / divisor(v_hat)
        yield theta


BY_HAND = {"sgd": sgd, "sgdma": sgdma, "adagrad": adagrad, "rmsprop": rmsprop, "adam": adam}


def path(name, steps, **options):
    theta = torch.nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = build_optimizer(name, [theta], lr=LR, **options)
    for _ in range(steps):
        optimizer.zero_grad()
        value(theta).backward()
        optimizer.step()
        yield theta.detach().numpy().copy()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_is_the_papers(name):
    ours, papers = np.array(list(path(name, 40))), np.array(list(BY_HAND[name](40)))
    assert np.abs(papers - START).max() > 0.3  # it went somewhere
    np.testing.assert_allclose(ours, papers, atol=1e-6, rtol=0)


def test_nesterovs_form():
    ours = np.array(list(path("sgdma", 20, nesterov=True, momentum=0.8)))
    np.testing.assert_allclose(ours, np.array(list(sgdma(20, 0.8, nesterov=True))), atol=1e-6, rtol=0)


def test_the_papers_constants_can_be_given():
    ours = np.array(list(path("rmsprop", 20, alpha=0.5)))
    np.testing.assert_allclose(ours, np.array(list(rmsprop(20, alpha=0.5))), atol=1e-6, rtol=0)
    ours = np.array(list(path("adam", 20, betas=(0.8, 0.95))))
    np.testing.assert_allclose(ours, np.array(list(adam(20, beta_1=0.8, beta_2=0.95))), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_torchs_place_of_eps_hardly_differs_from_the_printed_one(name):
    apart = np.abs(np.array(list(path(name, 40))) - np.array(list(BY_HAND[name](40, printed)))).max()
    assert 1e-5 < apart < LR  # seen, and less than one step


def test_how_much_shorter_a_step_can_get():
    g = np.logspace(-12, 4, 2001)
    longer = torchs(g) / printed(g)
    assert longer.min() >= 1
    assert longer.max() == pytest.approx(math.sqrt(2))
    assert g[longer.argmax()] == pytest.approx(EPS**2, rel=0.02)
    assert (longer[g > 0.32**2] < 1.01).all()


def test_the_equation_as_misprinted_has_no_root():
    """Equation 8 with `g <- g + gradient`: the first downhill component asks for the root of a negative number."""
    assert (slope(START) < -1e-5).any()
    with np.errstate(invalid="ignore"):
        assert np.isnan(printed(np.zeros(3) + slope(START))).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_an_l2_penalty(name):
    shrunk, plain = (torch.nn.Parameter(torch.tensor([2.0])) for _ in range(2))
    one = build_optimizer(name, [shrunk], lr=LR, weight_decay=0.1)
    other = build_optimizer(name, [plain], lr=LR)
    for _ in range(3):
        shrunk.grad, plain.grad = torch.tensor([0.5]), torch.tensor([0.5 + 0.1 * plain.item()])
        one.step()
        other.step()
    torch.testing.assert_close(shrunk, plain)


def test_a_gradient_of_nothing_moves_nothing():
    for name in OPTIMIZERS:
        theta = torch.nn.Parameter(torch.ones(2))
        optimizer = build_optimizer(name, [theta], lr=1.0)
        theta.grad = torch.zeros(2)
        optimizer.step()
        assert theta.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("lion", {}, "'lion': use one of sgd, sgdma, adagrad, rmsprop, adam"),
        ("adam", {"lr": 0.0}, "lr has to be above 0"),
        ("adam", {"lr": float("nan")}, "lr has to be above 0"),
        ("sgdma", {"momentum": 1.0}, "momentum lies"),
        ("sgdma", {"momentum": 0.0, "nesterov": True}, "Nesterov"),
        ("sgd", {"weight_decay": -1.0}, "weight_decay from 0 on"),
        ("rmsprop", {"alpha": 1.0}, "alpha and betas"),
        ("adam", {"betas": (0.9, 1.0)}, "alpha and betas"),
        ("adagrad", {"eps": 0.0}, "eps above 0"),
    ],
)
def test_what_cannot_be_is_refused(name, options, said):
    with pytest.raises(VidferError, match=said):
        build_optimizer(name, [torch.nn.Parameter(torch.ones(1))], **{"lr": 0.1, **options})


def test_a_check_needs_no_parameters():
    Optimisation("adam", momentum=0.0, nesterov=True)  # Nesterov is no matter of Adam's here
    with pytest.raises(VidferError, match="unknown optimizer"):
        Optimisation("SGD")


@pytest.fixture
def made():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = build_optimizer("sgdma", [weight], lr=0.5)
    return weight, optimizer, one_cycle(optimizer, 10, 0.3)


def test_equation_7_under_a_schedule(made):
    weight, optimizer, scheduler = made
    theta, velocity = 1.0, 0.0
    for gradient in (0.3, -0.2, 0.5):
        rate = optimizer.param_groups[0]["lr"]
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        scheduler.step()
        velocity = 0.9 * velocity + gradient  # v <- rho v + g
        theta -= rate * velocity  # theta <- theta - eps v
    assert weight.item() == pytest.approx(theta, rel=1e-5)


def test_the_rate_rises_to_its_peak_and_falls_to_nothing(made):
    _, optimizer, scheduler = made
    rates = []
    for _ in range(9):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rates.append(optimizer.param_groups[0]["lr"])
    assert max(rates) == pytest.approx(0.5, rel=0.01)
    assert rates.index(max(rates)) == 2
    assert rates[-1] < 1e-4


def test_a_one_cycle_needs_a_rise_and_a_fall():
    with pytest.raises(VidferError, match="warmup_share"):
        Schedule(warmup_share=1.0)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.9])
def test_one_cycle_takes_any_number_of_steps(share):
    for steps in range(1, 21):
        optimizer = build_optimizer("sgd", [torch.nn.Parameter(torch.ones(1))], lr=0.5)
        scheduler = one_cycle(optimizer, steps, share)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        assert all(0 < rate <= 0.5 for rate in rates), (steps, rates)
        assert max(rates) >= 0.25 or share > 0.5, (steps, rates)
