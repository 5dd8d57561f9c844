"""Sums over a run's seconds are those of the whole table."""

import numpy as np
import pandas as pd
import pytest

from vidfer.results import tally
from vidfer.results.compare import compare
from vidfer.results.schema import typed
from vidfer.results.tally import KINDS, tally_seconds
from vidfer.types import EMOTIONS


def seconds_of(clips=7, rows=23, seed=0):
    """Seconds of two people a clip, some without a face, some uncertain, one of half a second at the end of each clip."""
    rng = np.random.default_rng(seed)
    parts = []
    for clip in range(clips):
        for person in (1, 2):
            values = rng.dirichlet(np.ones(7), rows)
            values[rng.random(rows) < 0.2] = np.nan
            start = np.arange(rows, dtype=float)
            part = pd.DataFrame(values, columns=list(EMOTIONS))
            named = [
                None if row.isna().any() else "uncertain" if row.max() < 0.3 else row.idxmax()
                for _, row in part.iterrows()
            ]
            part = part.assign(start_s=start, end_s=np.append(start[1:], rows - 0.5), expression=named)
            parts.append(part.assign(clip_id=f"c{clip}", person_id=f"c{clip}#{person}"))
    parts.append(pd.DataFrame({"clip_id": ["empty"], "start_s": [0.0], "end_s": [1.0]}))
    return typed("seconds", pd.concat(parts, ignore_index=True))


@pytest.mark.parametrize("at_once", [5, 10_000])
def test_sums_are_those_of_the_whole_table(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(tally, "_AT_ONCE", at_once)
    rows = seconds_of()
    rows.to_parquet(tmp_path / "seconds.parquet")
    found = tally_seconds(tmp_path / "seconds.parquet")
    assert found.time.columns.tolist() == list(KINDS)
    lasts = rows["end_s"] - rows["start_s"]
    assert found.time.to_numpy().sum() == pytest.approx(lasts.sum())
    for clip in ("c0", "c6", "empty"):
        for kind in KINDS:
            chosen = rows["clip_id"].eq(clip) & rows["expression"].fillna("none").eq(kind)
            assert found.time.loc[clip, kind] == pytest.approx(lasts[chosen].sum())
    clips = pd.DataFrame({"clip_id": [f"c{n}" for n in range(7)], "condition": ["film", "rest"] * 3 + ["film"]})
    whole, small = (compare({"seconds": table, "clips": clips}, "condition") for table in (rows, found.means))
    pd.testing.assert_frame_equal(whole.means, small.means)
    pd.testing.assert_frame_equal(whole.differences, small.differences)
    assert whole.notes == small.notes


def test_a_run_without_seconds_has_no_sums(tmp_path):
    seconds_of().iloc[:0].to_parquet(tmp_path / "seconds.parquet")
    found = tally_seconds(tmp_path / "seconds.parquet")
    assert (found.time.shape, len(found.means)) == ((0, len(KINDS)), 0)
