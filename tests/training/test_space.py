"""Distributions of sweep files, drawn by Optuna, against scipy's."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from vidfer.training.space import GRID_POINTS, Parameter, read_parameter
from vidfer.types import UsageError

FILE = Path("mine.yaml")


def draws(parameter: Parameter, count: int = 300) -> "np.typing.NDArray[Any]":
    """Draw as many values as trials of a random search would."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return np.array([parameter.draw(study.ask()) for _ in range(count)])


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"min": 0.5, "max": 2.0}, stats.uniform(0.5, 1.5)),
        ({"distribution": "log_uniform_values", "min": 0.002, "max": 0.2}, stats.loguniform(0.002, 0.2)),
        ({"distribution": "log_uniform", "min": -6, "max": -1}, stats.loguniform(math.exp(-6), math.exp(-1))),
    ],
)
def test_ranges_are_drawn_by_their_law(given: dict[str, Any], law: Any) -> None:
    found = draws(read_parameter(FILE, "classify.model.lr", given))
    assert stats.kstest(found, law.cdf).pvalue > 0.01
    assert law.support()[0] <= found.min() < found.max() <= law.support()[1]


def test_rounded_ranges_are_multiples_of_q() -> None:
    even = read_parameter(FILE, "x", {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.1})
    assert {round(10 * value, 9) % 1 for value in draws(even)} == {0}
    assert set(draws(even)) == {each / 10 for each in range(11)}  # no 0.30000000000000004
    log = read_parameter(FILE, "x", {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8})
    counts = np.unique(draws(log), return_counts=True)
    assert list(counts[0]) == [8.0 * each for each in range(1, 9)]
    drawn = stats.loguniform(8, 64)
    ends = [8, *(8 * (each + 0.5) for each in range(1, 8)), 64]
    assert stats.chisquare(counts[1], 300 * np.diff(drawn.cdf(ends))).pvalue > 0.01


def test_whole_numbers_and_choices_keep_their_type() -> None:
    whole = read_parameter(FILE, "x", {"min": 1, "max": 4})
    assert sorted(set(draws(whole).tolist())) == [1, 2, 3, 4]
    assert type(whole.draw(optuna.create_study().ask())) is int
    choice = read_parameter(FILE, "x", {"values": [0.5, True, "null", 3]})
    assert {repr(choice.draw(optuna.create_study().ask())) for _ in range(60)} == {"0.5", "True", "'null'", "3"}
    assert read_parameter(FILE, "x", {"value": "sgdma"}).fixed
    assert set(draws(read_parameter(FILE, "x", {"value": "sgdma"}), 3)) == {"sgdma"}


def test_a_trial_that_has_a_value_keeps_it() -> None:
    study, parameter = optuna.create_study(), Parameter("x", (), 0.0, 1.0)
    trial = study.ask()
    assert parameter.draw(trial) == parameter.draw(optuna.trial.Trial(study, trial._trial_id))


def test_a_grid_has_the_ends_of_a_range() -> None:
    log = read_parameter(FILE, "x", {"distribution": "log_uniform_values", "min": 0.002, "max": 0.2}).grid()
    assert (log[0], log[-1], len(log)) == (0.002, 0.2, GRID_POINTS)
    assert np.diff(np.log(np.array(log, float))) == pytest.approx(math.log(100) / 4, rel=1e-4)
    assert read_parameter(FILE, "x", {"min": 0.0, "max": 1.0}).grid() == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert read_parameter(FILE, "x", {"min": 1, "max": 3}).grid() == (1, 2, 3)
    assert read_parameter(FILE, "x", {"values": ["a", "b"]}).grid() == ("a", "b")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "distribution 'normal'"),
        ({"parameters": {"lr": {"value": 1}}}, "neither value nor values"),
        ({"min": 0.1}, "neither value nor values"),
        ({"min": 0, "max": 0.5}, "both whole numbers or both with a point"),
        ({"min": 2.0, "max": 1.0}, "min has to be at most max"),
        ({"distribution": "log_uniform_values", "min": 0.0, "max": 1.0}, "above 0"),
        ({"min": "1e-3", "max": 1.0}, "YAML reads as text"),
        ({"values": []}, "has no values"),
        ({"values": [None, 1]}, "put it in quotes, 'null'"),
        ({"values": [[1, 2]]}, r"put it in quotes, '\[1, 2\]'"),
        ({"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0}, "q has to be above 0"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "unknown entry probabilities"),
        (0.1, "has to have value, values, or min and max"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_file_and_name(given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=rf"^mine\.yaml: parameters\.classify\.model\.lr .*{said}|^mine.*lr: .*{said}"):
        read_parameter(FILE, "classify.model.lr", given)
