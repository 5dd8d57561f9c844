import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from vidfer.metrics.classification import score
from vidfer.tasks.base import classification_metrics


def test_a_split_is_scored_over_all_its_batches_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    target, preds = rng.choice([0, 3, 5], 90), rng.integers(0, 7, 90)  # four classes are predicted and never occur
    metrics = classification_metrics("val")
    for rows in np.array_split(np.arange(90), 4):
        metrics.update(torch.from_numpy(preds[rows]), torch.from_numpy(target[rows]))
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found == {
        "val_acc": pytest.approx(accuracy_score(target, preds)),
        "val_uar": pytest.approx(recall_score(target, preds, labels=[0, 3, 5], average="macro")),
        "val_f1": pytest.approx(f1_score(target, preds, average="macro")),
    }
    assert found["val_uar"] == pytest.approx(score(target, preds).uar)


def test_logits_are_scored_by_their_largest_and_reset_forgets():
    metrics = classification_metrics("test")
    metrics.update(torch.eye(7)[[1, 1]], torch.tensor([1, 2]))
    assert float(metrics.compute()["test_uar"]) == 0.5
    metrics.reset()
    metrics.update(torch.eye(7)[[2]], torch.tensor([2]))
    assert float(metrics.compute()["test_uar"]) == 1
