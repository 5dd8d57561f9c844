"""Conditions compared: units, what is left out, and a known effect found."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import vidfer
from vidfer.plots.compare_files import write_comparison
from vidfer.results.compare import MOST, compare
from vidfer.results.compare_text import as_markdown, as_text
from vidfer.results.compare_units import read_units
from vidfer.types import EMOTIONS, UsageError


def run(values, **columns):
    """A run of clips: `happy` of each second of each person by clip, and columns of the study."""
    seconds = [
        {
            **{"clip_id": clip, "person_id": f"{clip}#{person + 1}", "expression": None if p is None else "happy"},
            **dict.fromkeys(EMOTIONS, None if p is None else (1 - p) / 6),
            "happy": p,
        }
        for clip, people in values.items()
        for person, shown in enumerate(people)
        for p in shown
    ]
    seconds += [{"clip_id": clip, "person_id": None} for clip in values]  # nobody
    clips = pd.DataFrame({"clip_id": list(values), **columns})
    kinds = {"person_id": "string", **dict.fromkeys(EMOTIONS, "float64"), "expression": "string"}
    return {"clips": clips.convert_dtypes(), "seconds": pd.DataFrame(seconds).astype(kinds)}


def simulated(n=40, effect=0.1, seed=0):
    """Each participant in both conditions, twice, and somebody in one only."""
    rng = np.random.default_rng(seed)
    values, people, conditions = {}, [], []
    for person in range(n):
        usual = rng.normal(0.3, 0.08)
        for condition in ("film", "rest"):
            for take in range(2):
                own = usual + effect * (condition == "film") + rng.normal(0, 0.02)
                values[f"{person}{condition}{take}"] = [np.clip(own + rng.normal(0, 0.05, 5), 0, 1)]
                people.append(f"p{person}")
                conditions.append(condition)
    values["late"] = [[0.9]]
    return run(values, participant=[*people, "late"], condition=[*conditions, "film"])


def test_clips_of_a_participant_in_a_condition_are_averaged_first():
    """By hand: three clips of Ada's at rest, of unequal length, one of two people."""
    given = run(
        {"a": [[0.2, 0.4, None]], "b": [[0.6]], "c": [[0.1, 0.1], [0.5]], "d": [[0.5]], "e": [[0.7]]},
        participant=["ada", "ada", "ada", "bob", "ada"],
        condition=["rest", "rest", "rest", "rest", "film"],
    )
    units = read_units(given, "condition")
    assert units.conditions == ("film", "rest")
    assert units.values["happy"].to_dict() == {
        ("film", "ada"): 0.7,
        ("rest", "ada"): pytest.approx((0.3 + 0.6 + 0.3) / 3),
        ("rest", "bob"): 0.5,
    }
    assert units.notes == ("several people are shown in c: their mean counts as the participant's",)


def test_the_share_of_time_counts_predominant_seconds():
    given = run({"a": [[0.9, 0.8, None, 0.1, 0.1]], "b": [[0.9]]}, participant=["x", "y"], condition=["c", "d"])
    given["seconds"].loc[[3, 4], "expression"] = ["sad", "uncertain"]
    values = read_units(given, "condition", measure="share-of-time").values.loc[("c", "x")]
    assert values[["happy", "sad", "neutral"]].tolist() == [0.5, 0.25, 0]


def test_answers_of_clips_and_baselines_are_measures_too():
    given = run({"a": [[0.9]], "b": [[0.4]], "c": [[0.4]]}, condition=["x", "x", "y"])
    with pytest.raises(UsageError, match="run `vidfer analyze` with --baseline"):
        compare(given, "condition", measure="baseline")
    for name in EMOTIONS:
        given["seconds"][f"baseline_{name}"] = given["seconds"][name] / 2
        given["clips"][[name, f"sound_{name}"]] = [[0.1, 0.2], [0.3, 0.4], [None, 0.5]]
    found = read_units(given, "condition", measure="baseline").values
    assert found["happy"].tolist() == pytest.approx([0.45, 0.2, 0.2])
    found = read_units(given, "condition", measure="clip")
    assert (found.name, found.values["fear"].tolist()) == ("clip", [0.1, 0.3])
    assert "left out, without a prediction: c" in found.notes
    assert read_units(given, "condition", measure="sound").values["fear"].tolist() == [0.2, 0.4, 0.5]


def test_a_known_effect_is_found_and_paired_more_closely():
    given = simulated()
    within, between = compare(given, "condition", "participant"), compare(given, "condition")
    for found in (within, between):
        happy = found.differences.set_index("expression").loc["happy"]
        assert happy["low"] < 0.1 < happy["high"]
        assert happy["p_holm"] < 0.01
        assert (happy["first"], happy["second"]) == ("film", "rest")
    rows = within.differences, between.differences
    paired, apart = ((each["high"] - each["low"]).iloc[0] for each in rows)
    assert paired < apart / 2
    assert [each["effect_size"].iloc[0] for each in rows] == ["d_z", "Hedges' g"]
    assert within.differences[["n_first", "n_second"]].to_numpy().tolist() == [[40, 40]] * 7
    assert between.differences[["n_first", "n_second"]].to_numpy().tolist() == [[41, 40]] * 7
    assert "of film and rest, left out since they are in one only: late" in within.notes
    assert any("40 participants are in several conditions" in note for note in between.notes)
    values = read_units(given, "condition").values["happy"].drop(("film", "late"))
    by_scipy = stats.ttest_rel(values.loc["film"], values.loc["rest"])
    assert within.differences.set_index("expression").loc["happy", "p"] == pytest.approx(by_scipy.pvalue)
    means = within.means.set_index(["condition", "expression"])
    assert means.loc[("rest", "happy"), "mean"] == pytest.approx(values.loc["rest"].mean())
    assert means.loc[("film", "happy"), "n"] == 41


def test_without_participants_persons_count_and_that_is_said():
    given = run({"a": [[0.2], [0.4]], "b": [[0.6]], "c": [[0.6]]}, condition=["x", "y", "y"])
    found = compare(given, "condition")
    assert found.unit == "person"
    assert found.notes[0] == "clips have no participants: each person counts as one"
    assert found.means.drop_duplicates("condition")["n"].tolist() == [2, 2]


def test_one_person_in_several_clips_is_compared_with_itself():
    given = run({"a": [[0.2]], "b": [[0.4]], "c": [[0.3]], "d": [[0.5]]}, condition=["x", "y", "x", "y"])
    ids = {"a#1": "p", "b#1": "p", "c#1": "q", "d#1": "q"}
    given["seconds"]["person_id"] = given["seconds"]["person_id"].replace(ids)
    found = compare(given, "condition", "person")
    assert found.differences["n_first"].tolist() == [2] * 7
    assert found.differences["difference"].iloc[3] == pytest.approx(-0.2)


def test_what_is_left_out_is_named():
    given = run(
        {"a": [[0.2]], "b": [[None]], "c": [[0.3]], "d": [[0.3]]},
        participant=["x", "y", None, "z"],
        condition=["k", "k", "k", None],
    )
    assert set(read_units(given, "condition").notes) == {
        "left out, without condition: d",
        "left out, without a usable face: b",
        "left out, without participant: c",
    }


def test_one_participant_has_no_interval_and_no_test():
    given = run({"a": [[0.2]], "b": [[0.4]]}, participant=["x", "x"], condition=["k", "l"])
    found = compare(given, "condition", "participant")
    assert found.means[["low", "high", "interval"]].isna().all(axis=None)
    assert found.differences.empty
    assert "no comparison of k and l: participants are fewer than two in both" in found.notes
    assert "no interval for k, l: one participant only" in found.notes
    assert "0.200" in as_text(found)


def test_tests_are_counted_that_were_made():
    given = run({name: [[0.2 if name < "e" else 0.4]] for name in "abcdefgh"}, condition=["k", "l"] * 4)
    found = compare(given, "condition", measure="share-of-time")
    assert found.differences["p"].isna().all()
    assert "no test is made where no person differs from another" in found.notes
    assert not any("tests were made" in note for note in found.notes)
    assert any(note.startswith("7 tests were made") for note in compare(given, "condition").notes)
    some = run({"a": [[0.2]], "b": [[0.3]], "c": [[0.8]], "d": [[0.9]]}, condition=list("kkll"))
    for at, name in enumerate(EMOTIONS):
        if at > 1:
            some["seconds"][name] = 0.1
    found = compare(some, "condition")
    assert found.differences["p"].notna().sum() == 2
    assert "2 tests were made; p (Holm) is corrected for these, not for other analyses" in found.notes
    np.testing.assert_allclose(found.differences["p_holm"].min(), 2 * found.differences["p"].min())


def test_a_file_that_is_in_the_run_twice_is_named():
    digests = ["1", "2", "1", None, None]
    given = run(
        {name: [[0.2]] for name in ("clips/a", "b", "a", "c", "d")}, condition=list("kklll"), source_blake3=digests
    )
    said = "the same file is in the run more than once, and each counts: a = clips/a"
    assert said in compare(given, "condition").notes
    given["clips"]["source_blake3"] = list("12345")
    assert not any("the same file" in note for note in compare(given, "condition").notes)


def test_conditions_that_are_numbers_are_sorted_by_size():
    given = run({"a": [[0.2]], "b": [[0.4]], "c": [[0.1]]}, participant=list("xyz"), dose=[10, 9, 100])
    assert read_units(given, "dose").conditions == ("9", "10", "100")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"by": "group"}, "no column group; those of the study are: participant, condition, empty"),
        ({"by": "empty"}, "the column empty of the run's clips is empty"),
        ({"by": "condition", "within": "id"}, "no column id"),
        ({"by": "condition", "within": "condition"}, "cannot be compared within themselves"),
        ({"by": "participant"}, f"participant has 9 values, of which at most {MOST} can be compared"),
    ],
)
def test_what_cannot_be_compared_is_said(how, says):
    clips = {str(at): [[0.5]] for at in range(9)}
    given = run(clips, participant=[f"p{at}" for at in range(9)], condition="x", empty=None)
    with pytest.raises(UsageError, match=re.escape(says)):
        compare(given, **how)


def test_tables_that_are_missing_are_said():
    given = run({"a": [[0.5]]}, condition=["x"])
    with pytest.raises(UsageError, match="no table clips"):
        vidfer.compare({"seconds": given["seconds"]}, "condition")


def test_the_text_fits_80_columns_and_says_what_it_is():
    clips = {
        f"{at}{name}": [[0.1 + at / 50, 0.3]] for at in range(4) for name in ("calm", "a very long name of a film", "x")
    }
    given = run(clips, condition=["calm", "a very long name of a film", "x"] * 4)
    text = as_text(compare(given, "condition"))
    assert max(map(len, text.splitlines())) <= 80
    for said in ("not inner state", "21 tests were made", "fewer than 10 persons"):
        assert said in " ".join(text.split())


def test_files_have_the_numbers_of_the_comparison(tmp_path):
    found = compare(simulated(12), "condition", "participant", "share-of-time")
    place = write_comparison(found, tmp_path / "compare")
    assert place.name == "compare_condition_share-of-time"
    read = pd.read_csv(f"{place}.csv")
    np.testing.assert_allclose(read["mean"], found.means["mean"], atol=1e-6)
    assert read["condition"].tolist() == found.means["condition"].tolist()
    read = pd.read_csv(f"{place}_differences.csv")
    np.testing.assert_allclose(read["p_holm"], found.differences["p_holm"].astype(float), atol=1e-6)
    written = (tmp_path / "compare" / f"{place.name}.md").read_text()
    assert written == as_markdown(found)
    assert written.count("| happy |") == 2
    assert (tmp_path / "compare" / f"{place.name}.png").read_bytes().startswith(b"\x89PNG")
