"""Boxes are shown where faces were read, and between two neighbouring samples; blurs cover more than that."""

import itertools

import numpy as np
import pytest

from tests.overlay.conftest import people_of
from vidfer.overlay.moments import BRIDGE, HOLD, Person, heard
from vidfer.overlay.plan import kept, make_plan
from vidfer.types import EMOTIONS

STEP = 0.2
A, B = (10.0, 20.0, 50.0, 80.0), (30.0, 20.0, 70.0, 90.0)


def person_of(seen, *, blur=None, **how):
    plan = make_plan(*people_of({1: seen}, **how), {}, blur)
    return Person(plan, plan["people"][0])


def test_between_two_samples_the_box_and_the_probabilities_move_in_a_line():
    tables, summary = people_of({1: [(1.0, A), (1.2, B)]}, times=[1.0, 1.2])
    tables["frames"].loc[1, ["smooth_happy", "smooth_sad"]] = [0.3, 0.45]
    plan = make_plan(tables, summary, {}, None)
    person = Person(plan, plan["people"][0])
    for part in (0.0, 0.25, 0.5, 0.9, 1.0):
        moment = person.at(1.0 + part * STEP)
        assert moment.box == pytest.approx([a + part * (b - a) for a, b in zip(A, B, strict=True)])
        assert moment.shares[EMOTIONS.index("happy")] == pytest.approx(0.7 - 0.4 * part)
        assert moment.word == ("happy" if 0.7 - 0.4 * part > 0.05 + 0.4 * part else "sad")
        assert moment.probability == pytest.approx(max(0.7 - 0.4 * part, 0.05 + 0.4 * part))


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_shown_before_the_first_sample_after_the_last_and_in_gaps(seed):
    rng = np.random.default_rng(seed)
    every = (np.arange(40) * STEP).round(6)
    there = rng.random(40) < 0.6
    there[0] = True
    person = person_of([(time, A) for time in every[there]], times=every.tolist())
    for time in rng.uniform(-0.5, 8.5, 300):
        before = int(np.floor(time / STEP))
        sure = 0 <= before < 39 and there[before] and there[before + 1]
        if np.abs(every - time).min() > 1e-3:
            assert (person.at(time) is not None) == sure, time
    assert all((person.at(time) is not None) == seen for time, seen in zip(every, there, strict=True))


@pytest.mark.parametrize(("gap", "shown"), [(0.2, True), (0.3, True), (0.31, False), (0.6, False)])
def test_samples_that_lie_far_apart_are_no_neighbours(gap, shown):
    person = person_of([(1.0, A), (1.0 + gap, B)], times=[1.0, 1.0 + gap])
    assert (person.at(1.0 + gap / 2) is not None) == shown


def test_nothing_moves_across_a_cut():
    person = person_of([(1.0, A), (1.2, B), (1.4, B)], times=[1.0, 1.2, 1.4], cuts=[1.2])
    assert person.at(1.1) is None
    assert person.at(1.3) is not None


def test_what_cannot_be_said_is_said():
    tables, summary = people_of({1: [(k / 5, A) for k in range(4)]})
    frames = tables["frames"]
    smooth = [f"smooth_{name}" for name in EMOTIONS]
    frames.loc[0, smooth], frames.loc[0, "smooth_expression"], frames.loc[0, "flaws"] = np.nan, None, "blurred; small"
    frames.loc[1, "status"] = "too_dark"
    frames.loc[2, "smooth_expression"] = "uncertain"
    frames["excluded"] = [False, False, False, True]
    plan = make_plan(tables, summary, {}, None)
    moments = [Person(plan, plan["people"][0]).at(k / 5) for k in range(4)]
    assert [moment.word for moment in moments] == ["blurred", "too dark", "uncertain", "excluded"]
    assert [moment.shares is None for moment in moments] == [True, True, False, True]
    assert not any(moment.probability for moment in moments)


@pytest.mark.parametrize("seed", range(10))
def test_a_blur_covers_both_samples_and_all_between(seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.1, BRIDGE, 12))
    boxes = rng.uniform(0, 200, (12, 2))
    seen = [(float(t), (x, y, x + 40, y + 50)) for t, (x, y) in zip(times, boxes.tolist(), strict=True)]
    person = person_of(seen, blur="all")
    for (start, one), (end, other) in itertools.pairwise(seen):
        for part in (0.0, 0.3, 0.99):
            (place,) = person.hidden(start + part * (end - start))
            for box in (one, other):
                assert place[0] <= box[0] <= box[2] <= place[2]
                assert place[1] <= box[1] <= box[3] <= place[3]
    assert person.hidden(times[0] - HOLD) == [seen[0][1]]
    assert person.hidden(times[-1] + HOLD) == [seen[-1][1]]
    assert person.hidden(times[-1] + HOLD + 0.1) == []


def test_over_a_long_gap_both_ends_stay_blurred_for_a_while():
    person = person_of([(1.0, A), (9.0, B)], blur="all")
    assert [person.hidden(time) for time in (1.5, 5.0, 8.5)] == [[A], [], [B]]


def test_who_is_the_main_person():
    few, many = [(0.0, A)], [(0.0, A), (0.2, A)]
    tables, _ = people_of({1: few, 2: many, 3: many})
    assert kept(tables, {}) == {"c#2"}
    assert kept(tables, {"c#1": "Anna", "c#3": "Ben"}) == {"c#1", "c#3"}
    assert kept(tables, {"other#1": "Anna"}) == {"c#2"}


@pytest.mark.parametrize(
    ("blur", "names", "shown"),
    [
        (None, {"c#1": "Anna"}, [("Anna", False), ("person 2", False)]),
        ("all", {"c#1": "Anna"}, [("person 1", True), ("person 2", True)]),
        ("others", {"c#1": "Anna"}, [("Anna", False), ("person 2", True)]),
        ("others", {}, [("person 1", False), ("person 2", True)]),
    ],
)
def test_a_blurred_face_is_called_by_its_number(blur, names, shown):
    plan = make_plan(*people_of({1: [(0.0, A), (0.2, A)], 2: [(0.0, B)]}), names, blur)
    assert [(each["name"], each["blurred"]) for each in plan["people"]] == shown


def test_the_sound_of_a_time_is_that_of_its_interval():
    plan = make_plan(*people_of({1: [(0.0, A)]}, duration=4.0), {}, None)
    assert heard(plan["sound"], 3.9) == {
        **{"start": 0.0, "end": 4.0, "status": "ok", "word": "sad", "probability": 0.4, "speech": 0.5}
    }
    assert heard(plan["sound"], 4.1) is None
    assert make_plan(*people_of({1: [(0.0, A)]}, sound="no_audio"), {}, None)["sound"] == []
