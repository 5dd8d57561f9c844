import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_average_precision,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision_recall_curve,
)

from vidfer.metrics.classification import (
    macro_recall,
    mean_interval,
    negative_log_likelihood,
    precision_recall,
    reliability,
    score,
    wilson_interval,
)
from vidfer.types import EMOTIONS


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


@pytest.mark.parametrize("seed", range(5))
def test_mean_recall_is_scikit_learns_whatever_is_absent_or_predicted_for_nothing(seed):
    rng = np.random.default_rng(seed)
    classes = rng.choice(7, rng.integers(1, 7), replace=False)
    target, preds = rng.choice(classes, 40), rng.integers(0, 7, 40)
    expected = recall_score(target, preds, labels=np.unique(target), average="macro", zero_division=0)
    assert score(target, preds).uar == pytest.approx(expected)
    counts = np.zeros((7, 9), int)  # further columns, as of clips without a prediction, count as mistakes
    np.add.at(counts, (target, np.where(preds == 6, 8, preds)), 1)
    if 6 not in target:
        assert macro_recall(counts) == pytest.approx(expected)


def test_wilson_interval_equals_the_textbook():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81/263 and 0/20
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    hits = np.random.default_rng(1).binomial(240, 0.6, 2000)
    covered = [low <= 0.6 <= high for low, high in (wilson_interval(int(k), 240) for k in hits)]
    assert 0.93 < np.mean(covered) < 0.97


def test_calibration_error_worked_by_hand():
    # two bins: (0, 0.5] holds one answer, right, of 0.4; (0.5, 1] three of 0.6, 0.8 and 1.0 (mean 0.8), one of them right
    probabilities = np.array([[0.4, 0.3, 0.3], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0, 0, 1.0]])
    found = reliability(probabilities, np.array([0, 1, 1, 0]), bins=2)
    assert found.count.tolist() == [1, 3]
    assert found.right.tolist() == [1, 1]
    assert found.confidence == pytest.approx([0.4, 0.8])
    assert found.ece == pytest.approx((1 * abs(1 - 0.4) + 3 * abs(1 / 3 - 0.8)) / 4)


def test_a_bin_holds_its_upper_end_and_empty_ones_weigh_nothing():
    found = reliability(np.array([[0.5, 0.25, 0.25], [1.0, 0, 0]]), np.array([0, 0]), bins=4)
    assert found.count.tolist() == [0, 1, 0, 1]
    assert found.ece == pytest.approx(0.25)


def test_calibration_error_and_likelihood_agree_with_torch():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(900, 7)).astype(np.float32) * 2
    target = np.where(rng.random(900) < 0.5, logits.argmax(1), rng.integers(0, 7, 900))
    tensor, truth = torch.from_numpy(logits), torch.from_numpy(target)
    probabilities = tensor.softmax(1)
    expected = float(multiclass_calibration_error(probabilities, truth, 7, n_bins=15, norm="l1"))
    assert reliability(probabilities.numpy(), target).ece == pytest.approx(expected, abs=1e-5)
    nll = float(torch.nn.functional.cross_entropy(tensor, truth))
    assert negative_log_likelihood(logits, target) == pytest.approx(nll, rel=1e-5)


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.30265), (5, 2.77645), (30, 2.04523)])
def test_the_interval_of_a_mean_is_students(n, quantile):
    values = np.random.default_rng(n).normal(60, 5, (n, 4))
    low, high = mean_interval(values)
    assert (low + high) / 2 == pytest.approx(values.mean(0))
    assert (high - low) / 2 == pytest.approx(quantile * values.std(0, ddof=1) / n**0.5, rel=1e-5)


def test_one_value_has_no_interval():
    assert mean_interval([1.0]) is None
    assert mean_interval([]) is None


def test_equal_values_have_an_interval_of_no_width():
    assert mean_interval([0.1, 0.1, 0.1]) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("size", [40, 3000])
def test_precision_and_recall_agree_with_torchmetrics(size):
    """And a class that does not occur has no curve; of a long curve, 200 of its own points are left from end to end."""
    rng = np.random.default_rng(size)
    target = rng.choice([0, 1, 2, 3, 4, 6], size)
    probabilities = rng.dirichlet(np.ones(7), size) * 0.7 + 0.3 * np.eye(7)[target] * rng.random((size, 1))
    probabilities /= probabilities.sum(1, keepdims=True)
    told, truth = torch.from_numpy(probabilities), torch.from_numpy(target)
    average = multiclass_average_precision(told, truth, 7, average=None).numpy()
    curves = multiclass_precision_recall_curve(told, truth, 7)
    found = precision_recall(probabilities, target)
    assert list(found) == ["angry", "disgust", "fear", "happy", "sad", "neutral"]
    for name, curve in found.items():
        number = EMOTIONS.index(name)
        precision, recall = (each[number].numpy() for each in curves[:2])
        assert curve.average == pytest.approx(average[number], abs=1e-6)
        apart = np.abs(curve.recall[:, None] - recall) + np.abs(curve.precision[:, None] - precision)
        assert apart.min(axis=1).max() < 1e-6
        assert (np.diff(curve.recall) >= 0).all()
        assert (curve.recall[0], curve.recall[-1]) == (0, 1)
        assert 0.5 * min(size, 200) < len(curve.recall) <= 200
