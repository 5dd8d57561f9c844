"""Figures of groups, by hand and against many draws."""

import numpy as np
import pytest

from vidfer.datasets.groups import sex_of
from vidfer.evaluation.groups import group_figures, group_lines
from vidfer.types import UsageError


def test_each_group_has_its_own_figures():
    """Women: both of class 0 and one of two of class 3 are right; a man: one of two."""
    people = ["ravdess-2", "ravdess-2", "ravdess-4", "ravdess-4", "ravdess-1", "ravdess-1", "nemo-x"]
    found = group_figures(people, [0, 0, 3, 3, 0, 0, 6], [0, 0, 3, 4, 0, 5, 6], sex_of)
    women, men = found["groups"]["women"], found["groups"]["men"]
    assert (women["people"], women["n"], women["accuracy"], women["uar"]) == (2, 4, 0.75, 0.75)
    assert women["recall"] == {"angry": 1.0, "happy": 0.5}
    assert (men["people"], men["n"], men["recall"]) == (1, 2, {"angry": 0.5})
    assert women["uar_people_ci95"] is None  # of two people
    assert found["difference"] == {"of": ["men", "women"], "uar": pytest.approx(-0.25), "uar_people_ci95": None}
    lines = group_lines(found)
    assert "too few people" in lines[0]
    assert "men less women: UAR -0.250" in lines[-1]


def test_intervals_over_people_hold_what_they_say():
    """Of 20 people a group whose recall is drawn about 0.6, the interval of the difference holds 0 about 95 times in 100."""
    rng, held = np.random.default_rng(3), 0
    people = [f"ravdess-{number}" for number in range(1, 41) for _ in range(20)]
    target = np.tile([0, 3], 400)
    for _ in range(25):
        skill = dict(zip(sorted(set(people)), np.clip(rng.normal(0.6, 0.15, 40), 0, 1), strict=True))
        right = rng.random(len(people)) < [skill[one] for one in people]
        low, high = group_figures(people, target, np.where(right, target, 6), sex_of)["difference"]["uar_people_ci95"]
        held += low <= 0 <= high
    assert 20 <= held <= 25


def test_data_that_name_no_group_are_refused():
    with pytest.raises(UsageError, match="do not say who belongs"):
        group_figures(["nemo-x", None], [0, 1], [0, 1], sex_of)
