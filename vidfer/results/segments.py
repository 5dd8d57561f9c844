"""Runs of one expression per person."""

from typing import TYPE_CHECKING

import numpy as np

from vidfer.results.schema import SMOOTH
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd


def build_segments(frames: "pd.DataFrame", min_segment: float, step: float) -> "pd.DataFrame":
    """Find the runs of one `smooth_expression` in table `frames`; a time without one ends a run.

    A frame lasts until the next sampled time; the clip's last one for `step` s.

    Args:
        frames: Table `frames` of one clip, ordered by time; a person may have several rows of one time.
        min_segment: Shorter segments are left out, in s.
        step: Time between two samples in s.

    Returns:
        Columns of table `segments`, ordered by start; an uncertain segment has the probability of what is most probable.
    """
    import pandas as pd

    sampled = np.unique(frames["time_s"].to_numpy(float))
    ends = np.append(sampled[1:], sampled[-1:] + step)
    shown = frames.dropna(subset="person_id").sort_values("person_id", kind="stable")
    even = shown[[f"{SMOOTH}{name}" for name in EMOTIONS]].to_numpy(float, na_value=np.nan)
    known = shown["smooth_expression"].notna().to_numpy(bool)
    person, expression = shown["person_id"].to_numpy(object), shown["smooth_expression"].fillna("").to_numpy(object)
    time = shown["time_s"].to_numpy(float)
    place = np.searchsorted(sampled, time)
    goes_on = (person[1:] == person[:-1]) & (expression[1:] == expression[:-1]) & (np.diff(place) <= 1)
    begins = np.append(True, ~goes_on)[: len(shown)]
    rows = pd.DataFrame(
        {
            **{"run": np.cumsum(begins), "person_id": person, "expression": expression},
            **{"time_s": time, "end_s": ends[place], "probability": even.max(axis=1)},
        }
    )[known].reset_index(drop=True)
    by_run = rows.groupby("run")
    found = by_run.agg(
        person_id=("person_id", "first"),
        expression=("expression", "first"),
        start_s=("time_s", "first"),
        end_s=("end_s", "last"),
        n_frames=("time_s", "nunique"),
        mean_probability=("probability", "mean"),
        peak_probability=("probability", "max"),
    ).reset_index(drop=True)
    found["peak_s"] = rows["time_s"].to_numpy()[by_run["probability"].idxmax().to_numpy(int)]
    found["duration_s"] = found["end_s"] - found["start_s"]
    found = found[found["duration_s"] >= min_segment - 1e-9]
    return found.sort_values("start_s", kind="stable", ignore_index=True)
