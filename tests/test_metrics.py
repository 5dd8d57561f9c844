import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)

from vidfer.metrics import score, wilson_interval


def test_scores_agree_with_torchmetrics():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 7, 500)
    preds = np.where(rng.random(500) < 0.6, target, rng.integers(0, 7, 500))
    scores = score(target, preds)
    t, p = torch.from_numpy(target), torch.from_numpy(preds)
    assert scores.n == 500
    assert scores.accuracy == pytest.approx(float((t == p).float().mean()))
    assert scores.uar == pytest.approx(float(multiclass_accuracy(p, t, 7, average="macro")), abs=1e-6)
    assert scores.f1_macro == pytest.approx(float(multiclass_f1_score(p, t, 7, average="macro")), abs=1e-6)
    assert scores.confusion == multiclass_confusion_matrix(p, t, 7).tolist()


def test_classes_without_samples_do_not_count_in_the_mean_recall():
    scores = score(np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3]))
    assert scores.uar == pytest.approx(0.75)
    assert scores.f1_macro == pytest.approx((2 / 3 + 0.8) / 2)
    assert scores.confusion[0][3] == 1  # rows are targets


def test_wilson_interval_equals_the_textbook():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81/263 and 0/20
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    hits = np.random.default_rng(1).binomial(240, 0.6, 2000)
    covered = [low <= 0.6 <= high for low, high in (wilson_interval(int(k), 240) for k in hits)]
    assert 0.93 < np.mean(covered) < 0.97
