"""Runs of one expression, by hand."""

import numpy as np
import pandas as pd
import pytest

from vidfer.results.schema import SMOOTH
from vidfer.results.segments import build_segments
from vidfer.types import EMOTIONS


def panel(*expressions, person="p1", step=0.2, start=0.0, p=0.6):
    """Return a person's rows, one for each name, None for a gap, with that probability of the name."""
    rows = pd.DataFrame({"person_id": pd.array([person] * len(expressions), "string")})
    rows["time_s"] = start + step * np.arange(len(expressions))
    rows["smooth_expression"] = pd.array(expressions, "string")
    for name in EMOTIONS:
        given = [None if each is None else p if each == name else (1 - p) / 6 for each in expressions]
        rows[f"{SMOOTH}{name}"] = pd.array(given, "Float64").to_numpy(float, na_value=np.nan)
    return rows


def spans(found):
    return list(
        zip(found["expression"], found["start_s"].round(6), found["end_s"].round(6), found["n_frames"], strict=True)
    )


def test_a_run_lasts_until_the_next_sampled_time():
    rows = panel("happy", "happy", "happy", "sad", "sad", "sad", "sad")
    found = build_segments(rows, 0.5, 0.2)
    assert spans(found) == [("happy", 0, 0.6, 3), ("sad", 0.6, 1.4, 4)]
    assert found["duration_s"].tolist() == pytest.approx([0.6, 0.8])
    assert found["person_id"].tolist() == ["p1", "p1"]


def test_shorter_runs_are_left_out_and_equal_ones_kept():
    rows = panel("happy", "happy", "sad", "sad", "sad")
    assert spans(build_segments(rows, 0.6, 0.2)) == [("sad", 0.4, 1.0, 3)]
    assert len(build_segments(rows, 0.0, 0.2)) == 2
    assert len(build_segments(rows, 0.61, 0.2)) == 0


def test_a_gap_breaks_a_run():
    rows = panel("happy", "happy", None, "happy", "happy")
    assert spans(build_segments(rows, 0.0, 0.2)) == [("happy", 0, 0.4, 2), ("happy", 0.6, 1.0, 2)]


def test_two_images_of_one_time_do_not_break_a_run():
    """Tracks that a user joined may have been seen at once."""
    rows = panel(*["happy"] * 5)
    twice = pd.concat([rows, rows.iloc[1:4]]).sort_values("time_s", kind="stable", ignore_index=True)
    assert spans(build_segments(twice, 0.5, 0.2)) == [("happy", 0, 1.0, 5)]


def test_times_at_which_the_person_has_no_row_break_a_run():
    rows = pd.concat([panel("happy", "happy"), panel("happy", "happy", start=0.8)])
    others = panel(*["sad"] * 6, person="p2")
    found = build_segments(pd.concat([rows, others]).sort_values("time_s", kind="stable"), 0.0, 0.2)
    assert spans(found[found["person_id"] == "p1"]) == [("happy", 0, 0.4, 2), ("happy", 0.8, 1.2, 2)]


def test_the_peak_is_the_time_of_the_highest_probability():
    rows = panel("happy", "happy", "happy")
    rows[f"{SMOOTH}happy"] = [0.5, 0.9, 0.7]
    found = build_segments(rows, 0.5, 0.2).iloc[0]
    assert found[["mean_probability", "peak_probability", "peak_s"]].tolist() == pytest.approx([0.7, 0.9, 0.2])


def test_persons_are_apart_and_rows_without_one_are_nobodys():
    one, two = panel("happy", "happy", "happy"), panel("happy", "happy", "happy", person="p2")
    nobody = panel(None, None, start=0.6).assign(person_id=pd.array([None, None], "string"))
    found = build_segments(pd.concat([one, two, nobody]).sort_values("time_s", kind="stable"), 0.5, 0.2)
    assert sorted(found["person_id"]) == ["p1", "p2"]
    assert spans(found) == [("happy", 0, 0.6, 3)] * 2


def test_who_follows_another_person_at_once_has_a_segment_of_his_own():
    one, two = panel(*["happy"] * 3), panel(*["happy"] * 3, person="p2", start=0.6)
    assert spans(build_segments(pd.concat([one, two]), 0.5, 0.2)) == [("happy", 0, 0.6, 3), ("happy", 0.6, 1.2, 3)]


def test_uncertain_has_the_probability_of_what_is_most_probable():
    rows = panel(*["happy"] * 3, p=0.35).assign(smooth_expression="uncertain")
    found = build_segments(rows, 0.5, 0.2).iloc[0]
    assert (found["expression"], found["mean_probability"]) == ("uncertain", pytest.approx(0.35))


@pytest.mark.parametrize("seed", range(20))
def test_segments_of_any_length_tile_the_rows_that_have_an_expression(seed):
    rng = np.random.default_rng(seed)
    names = rng.choice([None, "happy", "sad"], rng.integers(1, 30)).tolist()
    rows = panel(*names)
    found = build_segments(rows, 0.0, 0.2)
    inside = np.zeros(len(rows), int)
    for each in found.itertuples():
        hit = (rows["time_s"] >= each.start_s - 1e-9) & (rows["time_s"] < each.end_s - 1e-9)
        assert set(rows["smooth_expression"][hit]) == {each.expression}
        assert hit.sum() == each.n_frames
        inside += hit
    assert inside.tolist() == [int(name is not None) for name in names]
    assert len(found) == sum(a is not None and a != b for a, b in zip(names, [None, *names[:-1]], strict=True))
