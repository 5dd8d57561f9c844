"""Markers: which rows they touch, and which they exclude."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vidfer.results.markers import Marker, excluded, mark, outside, read_markers, within
from vidfer.types import UsageError

CLIPS = {"v/a.mp4": Path("v/a.mp4"), "v/b.mp4": Path("v/b.mp4")}


def read(tmp_path, text):
    (tmp_path / "markers.csv").write_text(text)
    return read_markers(tmp_path / "markers.csv", CLIPS)


def frames(*times):
    return pd.DataFrame({"time_s": np.array(times, float)})


def spans(*pairs):
    return pd.DataFrame(pairs, columns=["start_s", "end_s"], dtype=float)


def test_markers_are_of_a_clip_or_of_all_and_sorted_by_start(tmp_path):
    found = read(tmp_path, "clip,name,start,end\na,late,5,6\n*,rest,0,2.5\n,end,8,\nb.mp4,x,,1\n")
    assert found.of("v/a.mp4") == (Marker("rest", 0, 2.5), Marker("late", 5, 6), Marker("end", 8, np.inf))
    assert [marker.name for marker in found.of("v/b.mp4")] == ["x", "rest", "end"]
    assert found.names == {"rest", "late", "end", "x"}
    assert found.notes == ()


def test_times_may_have_decimal_commas_where_commas_divide_no_cells(tmp_path):
    found = read(tmp_path, "clip;name;start;end\na;1,5;0,25;2,5\n*;rest;3;\n")
    assert found.of("v/a.mp4") == (Marker("1,5", 0.25, 2.5), Marker("rest", 3, np.inf))


def test_what_excludes_is_said_by_a_column_or_by_the_name(tmp_path):
    rows = "a,0,1,TRUE", "b,1,2,no", "exclude,2,3,", "Exclude: cough,3,4,", "excluded,4,5,", "c,5,6,x"
    found = read(tmp_path, "\n*,".join(["clip,name,start,end,Exclude", *rows]))
    assert [marker.exclude for marker in found.every] == [True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a,x,2,2", "line 2: x lasts from 2 to 2 s"),
        ("a,x,-1,2", "start has to be 0 or more"),
        ("a,x,3,2", "end after it"),
        ("a,,1,2", "line 2: the marker has no name"),
        ("a,x,1:30,2", "line 2: '1:30' is no number of seconds"),
        ("c,x,1,2", "1 row names no clip of this run: c (line 2).*such as v/a.mp4"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path, row, says):
    with pytest.raises(UsageError, match=says.replace("(", r"\(").replace(")", r"\)")):
        read(tmp_path, f"clip,name,start,end\n{row}\n")


def test_an_exclusion_that_is_neither_true_nor_false_is_refused(tmp_path):
    with pytest.raises(UsageError, match="exclude is 'maybe'"):
        read(tmp_path, "clip,name,start,end,exclude\na,x,1,2,maybe\n")


def test_a_row_of_another_clip_is_noted(tmp_path):
    (note,) = read(tmp_path, "clip,name,start,end\na,x,1,2\nvb.mp4,y,1,2\n").notes
    assert "vb.mp4 (line 3" in note


def test_rows_have_the_names_of_all_markers_that_they_touch():
    markers = [Marker("rest", 0, 2), Marker("film", 1, 4), Marker("rest", 1.5, 3)]
    assert mark(frames(0, 1, 1.9, 2, 4, 5), markers)["marker"].tolist() == [
        *("rest", "rest; film", "rest; film", "film; rest", pd.NA, pd.NA)
    ]
    found = mark(spans((0, 1), (1, 2), (3, 4), (4, 5)), markers)["marker"]
    assert found.tolist() == ["rest", "rest; film", "film", pd.NA]
    for rows in (frames(), spans()):
        assert str(mark(rows, markers)["marker"].dtype) == "string"


@pytest.mark.parametrize("seed", range(3))
def test_touching_is_that_of_points_and_intervals_on_a_fine_clock(seed):
    """Against every tenth of a millisecond's being in both."""
    rng = np.random.default_rng(seed)
    ticks = np.sort(rng.integers(0, 60, (20, 2)), axis=1)
    ticks[:, 1] += 1
    for (low, high), (begin, end) in product(ticks[:8], ticks[8:]):
        both = set(range(low, high)) & set(range(begin, end))
        marker = Marker("m", low * 0.1, high * 0.1)
        assert (mark(spans((begin * 0.1, end * 0.1)), [marker])["marker"].notna().iloc[0]) == bool(both)
        assert within(frames(begin * 0.1), [marker], "m")[0] == (begin in range(low, high))


def test_windows_that_reach_into_an_excluded_time_are_excluded():
    markers = [Marker("exclude", 2.5, 3, exclude=True), Marker("film", 0, 9)]
    assert excluded(spans((0, 2), (1, 3), (2, 4), (3, 5)), markers).tolist() == [False, True, True, False]
    assert excluded(frames(2.4, 2.5, 2.9, 3), markers).tolist() == [False, True, True, False]
    assert not excluded(frames(2.6), markers, keep="exclude").any()


def test_markers_beyond_the_end_are_named():
    markers = [Marker("a", 1, 2), Marker("b", 10, 12), Marker("c", 0, np.inf)]
    assert outside(markers, 10.0) == ["markers begin after the end of the clip: b (10 s)"]
    assert outside(markers, 11.0) == []
