import numpy as np
import torch

from vidfer.answer import pool
from vidfer.tasks.clip import VectorTask, pool_windows


def test_pooling_equals_the_chains():
    log_probs = torch.randn(1, 5, 7, dtype=torch.float64).log_softmax(2)
    pooled = pool_windows(log_probs, torch.tensor([0, 0, 0, 1, 1]))[0].exp().numpy()
    probabilities = log_probs[0].exp().numpy()
    np.testing.assert_allclose(pooled[0], pool(probabilities[:3], np.ones(3)), atol=1e-9)
    np.testing.assert_allclose(pooled[1], pool(probabilities[3:], np.ones(2)), atol=1e-9)


def test_hyperparameters_are_primitives():
    task = VectorTask(num_features=8, hidden=4, members=2)
    assert all(isinstance(value, str | int | float | bool | None) for value in task.hparams.values())


def test_every_member_learns_from_its_own_loss():
    torch.manual_seed(0)
    task = VectorTask(num_features=8, hidden=32, members=2, input_dropout=0.0, dropout=0.0)
    task.log = lambda *args, **kwargs: None
    batch = {"vector": torch.randn(4, 8), "recording": torch.tensor([0, 1, 1, 2]), "target": torch.tensor([0, 3, 6])}
    task.training_step(batch, 0).backward()
    for member in task.classifier.members:
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in member.parameters())
