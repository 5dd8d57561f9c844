"""Expressions against a person's own reference, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from vidfer.inference.decision import by_name
from vidfer.results.baseline import Baseline, add_baseline
from vidfer.results.markers import Marker
from vidfer.results.schema import OPTIONAL, typed
from vidfer.types import EMOTIONS, UsageError

HAPPY, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "neutral"))
OWN = [f"baseline_{name}" for name in EMOTIONS]


def shares(**given):
    """Seven probabilities of which these are given and the others equal."""
    rest = (1 - sum(given.values())) / (7 - len(given))
    return {**dict.fromkeys(EMOTIONS, rest), **given}


REST = shares(neutral=0.5, happy=0.1)
SMILE = shares(happy=0.6, neutral=0.2)


def tables(*rows, person="a#1"):
    """Tables of one person's face images `(time, probabilities, weight)`, and a time without a face."""
    frames = [{"time_s": t, "person_id": person, "weight": w, **p} for t, p, w in rows]
    frames.append({"time_s": 99.0, "person_id": person, "status": "no_face"})
    seconds = [{"start_s": 0.0, "end_s": 1.0, "person_id": person, **SMILE}, {"start_s": 1.0, "end_s": 2.0}]
    people = [{"person_id": person, **SMILE}]
    parts = {"frames": frames, "seconds": seconds, "people": people}
    return {name: typed(name, pd.DataFrame(part)) for name, part in parts.items()}


def against(p, reference):
    """By hand: odds divided by the reference's."""
    odds = np.array(list(p.values())) / np.array(list(reference.values()))
    return odds / odds.sum()


def test_the_reference_is_divided_out_of_the_odds():
    found, notes = add_baseline(tables((0, REST, 1.0), (1, SMILE, 1.0)), Baseline("neutral"))
    first, second, gap = found["frames"][OWN].to_numpy(float, na_value=np.nan)
    np.testing.assert_allclose(first, 1 / 7, atol=1e-12)  # as the reference
    np.testing.assert_allclose(second, against(SMILE, REST), atol=1e-12)
    # odds of happy 0.6 / 0.1, of neutral 0.2 / 0.5, of each of the others 0.04 / 0.08
    assert second[[HAPPY, NEUTRAL, 0]] == pytest.approx(np.array([6, 0.4, 0.5]) / 8.9)
    assert np.isnan(gap).all()
    np.testing.assert_allclose(found["people"][OWN].to_numpy(float)[0], second, atol=1e-12)
    of_second, nobody = found["seconds"][OWN].to_numpy(float, na_value=np.nan)
    np.testing.assert_allclose(of_second, second, atol=1e-12)
    assert np.isnan(nobody).all()
    assert found["people"]["n_baseline"].tolist() == [1]
    assert notes == []


def test_the_reference_is_a_mean_of_logarithms():
    other = shares(neutral=0.6, happy=0.05)
    found, _ = add_baseline(tables((0, REST, 1.0), (1, other, 0.3), (2, SMILE, 1.0)), Baseline("neutral"))
    mean = {name: np.sqrt(REST[name] * other[name]) for name in EMOTIONS}
    np.testing.assert_allclose(found["frames"][OWN].to_numpy(float)[2], against(SMILE, mean), atol=1e-12)
    assert found["people"]["n_baseline"].tolist() == [2]


@pytest.mark.parametrize(
    ("baseline", "markers", "chosen"),
    [
        (Baseline("neutral"), (), [0, 3]),
        (Baseline("first", 1.0), (), [0, 1]),  # from 0.5 s, the first sighting, up to but without 1.5 s
        (Baseline("first", 0.1), (), [0]),
        (Baseline("marker", marker="rest"), (Marker("rest", 1, 2),), [1, 2]),
        (Baseline("marker", marker="rest"), (Marker("rest", 1, 2, exclude=True),), [1, 2]),
        (Baseline("marker", marker="rest"), (Marker("rest", 1, 2), Marker("cough", 1.4, 9, exclude=True)), [1]),
        (Baseline("neutral"), (Marker("cough", 0, 1, exclude=True),), [3]),
    ],
)
def test_which_face_images_are_the_reference(baseline, markers, chosen):
    rows = [
        (0.5, REST, 1.0),
        (1.0, SMILE, 1.0),
        (1.5, shares(sad=0.9), 1.0),
        (2.0, shares(neutral=0.7), 1.0),
        (1.2, shares(neutral=0.99), 0.24),  # not usable
    ]
    found, _ = add_baseline(tables(*rows), baseline, markers)
    mean = {name: np.exp(np.mean([np.log(rows[at][1][name]) for at in chosen])) for name in EMOTIONS}
    np.testing.assert_allclose(found["frames"][OWN].to_numpy(float)[1], against(SMILE, mean), atol=1e-12)
    assert found["people"]["n_baseline"].tolist() == [len(chosen)]


def test_a_person_without_a_reference_has_none_and_is_named():
    one, two = tables((0, REST, 1.0), (1, SMILE, 1.0)), tables((0, SMILE, 1.0), person="a#2")
    both = {name: pd.concat([one[name], two[name]], ignore_index=True) for name in one}
    found, notes = add_baseline(both, Baseline("neutral"))
    for rows in found.values():
        assert rows.loc[rows["person_id"] == "a#2", OWN].isna().all(axis=None)
        assert rows.loc[rows["person_id"] == "a#1", OWN].notna().any(axis=None)
    assert notes == ["no face image is in the reference of a#2: baseline_* are missing"]


def test_columns_are_there_without_any_row():
    nothing = {name: typed(name, pd.DataFrame(index=range(0))) for name in ("frames", "seconds", "people")}
    found, notes = add_baseline(nothing, Baseline("neutral"))
    full, _ = add_baseline(tables((0, REST, 1.0)), Baseline("neutral"))
    for name, rows in found.items():
        assert rows.dtypes.equals(full[name].dtypes)
        added = [column for column in rows.columns if column not in nothing[name]]
        assert added == [c.name for c in OPTIONAL[name] if "baseline" in c.name]
    assert notes == []


def test_certainty_stays_finite():
    sure = dict(zip(EMOTIONS, np.eye(7)[HAPPY], strict=True))
    found, _ = add_baseline(tables((0, by_name(np.eye(7)[NEUTRAL]), 1.0), (1, sure, 1.0)), Baseline("neutral"))
    assert np.isfinite(found["frames"][OWN].to_numpy(float)[:2]).all()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("neutral", Baseline("neutral")),
        ("first 5", Baseline("first", 5.0)),
        ("first:2.5", Baseline("first", 2.5)),
        ("first 5 s", Baseline("first", 5.0)),
        ("marker rest", Baseline("marker", marker="rest")),
        ("marker:eyes closed", Baseline("marker", marker="eyes closed")),
    ],
)
def test_a_baseline_is_one_word_or_two(text, meant):
    assert Baseline.parse(text) == meant


@pytest.mark.parametrize(
    "text", ["", "happy", "first", "first 0", "first -1", "first 1.2.3", "first x", "marker", "neutral 5"]
)
def test_any_other_baseline_is_refused(text):
    with pytest.raises(UsageError, match="give neutral, first:SECONDS or marker:NAME"):
        Baseline.parse(text)
