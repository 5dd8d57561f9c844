from types import SimpleNamespace

import lightning
import pytest
import torch

from vidfer.optimizers import one_cycle


class Module(lightning.LightningModule):
    trainer = SimpleNamespace(estimated_stepping_batches=10)

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0]))


@pytest.fixture
def made():
    module = Module()
    return module, one_cycle(module, lr=0.5, momentum=0.9, nesterov=False, weight_decay=0.0, warmup_share=0.3)


def test_equation_7_by_hand(made):
    module, found = made
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    theta, velocity, gradients = 1.0, 0.0, (0.3, -0.2, 0.5)
    for gradient in gradients:
        rate = optimizer.param_groups[0]["lr"]
        module.weight.grad = torch.tensor([gradient])
        optimizer.step()
        scheduler.step()
        velocity = 0.9 * velocity + gradient  # v <- rho v + g
        theta -= rate * velocity  # theta <- theta - eps v
    assert module.weight.item() == pytest.approx(theta, rel=1e-5)


def test_the_rate_rises_to_its_peak_and_falls_to_nothing(made):
    _, found = made
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(9):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rates.append(optimizer.param_groups[0]["lr"])
    assert max(rates) == pytest.approx(0.5, rel=0.01)
    assert rates.index(max(rates)) == 2
    assert rates[-1] < 1e-4
    assert found["lr_scheduler"]["interval"] == "step"
