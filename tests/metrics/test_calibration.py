import numpy as np
import pytest
from scipy.special import softmax

from vidfer.metrics.calibration import TEMPERATURES, coverage_curve, fit_temperature
from vidfer.metrics.classification import negative_log_likelihood, wilson_interval


def drawn(temperature, n=20_000):
    """Logits whose classes were drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 7)) * 2
    odds = softmax(logits / temperature, axis=1).cumsum(1)
    return logits, (rng.random((n, 1)) > odds).sum(1).clip(0, 6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.04)


def test_no_temperature_on_a_grid_is_more_likely():
    logits, target = drawn(1.7, 300)
    best = negative_log_likelihood(logits / fit_temperature(logits, target), target)
    assert all(best <= negative_log_likelihood(logits / each, target) + 1e-9 for each in np.geomspace(0.1, 10, 200))


def test_what_is_always_right_ends_at_the_end_of_the_range():
    low, high = TEMPERATURES
    assert fit_temperature(np.eye(7), np.arange(7)) == pytest.approx(low, rel=0.01)
    assert fit_temperature(np.eye(7), (np.arange(7) + 1) % 7) == pytest.approx(high, rel=0.01)


def test_coverage_worked_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    curve = coverage_curve(probabilities, np.array([0, 1, 1, 1]), (0.0, 0.6, 0.95))
    assert [each.n for each in curve] == [4, 3, 0]
    assert [each.coverage for each in curve] == [1, 0.75, 0]
    assert [each.accuracy for each in curve] == [0.5, pytest.approx(2 / 3), None]
    assert (curve[1].low, curve[1].high) == wilson_interval(2, 3)
    assert (curve[2].low, curve[2].high) == (None, None)
