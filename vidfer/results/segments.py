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
        frames: Table `frames` of one clip, ordered by time.
        min_segment: Shorter segments are left out, in s.
        step: Time between two samples in s.

    Returns:
        Columns of table `segments`, ordered by start; an uncertain segment has the probability of what is most probable.
    """
    import pandas as pd

    sampled = np.unique(frames["time_s"].to_numpy(float))
    ends = np.append(sampled[1:], sampled[-1:] + step)
    by_person = frames.dropna(subset="person_id").groupby("person_id")
    parts = [_runs(rows, sampled, ends).assign(person_id=person) for person, rows in by_person]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["duration_s", "start_s"])
    found = found[found["duration_s"].astype(float) >= min_segment - 1e-9]
    return found.sort_values("start_s", kind="stable", ignore_index=True)


def _runs(rows: "pd.DataFrame", sampled: "np.ndarray", ends: "np.ndarray") -> "pd.DataFrame":
    """Return the runs of one person's rows, which are all sampled times from the first sighting to the last."""
    import pandas as pd

    named = rows["smooth_expression"].fillna("").to_numpy(object)
    even = rows[[f"{SMOOTH}{name}" for name in EMOTIONS]].to_numpy(float, na_value=np.nan)
    rows = pd.DataFrame(
        {
            **{"time_s": rows["time_s"].to_numpy(float), "expression": named, "probability": even.max(axis=1)},
            **{"run": np.cumsum(np.append(True, named[1:] != named[:-1])[: len(named)])},
        }
    )
    rows["end_s"] = ends[np.searchsorted(sampled, rows["time_s"])]
    by_run = rows[rows["expression"] != ""].groupby("run")
    peak = rows.loc[by_run["probability"].idxmax()]
    found = by_run.agg(
        expression=("expression", "first"),
        start_s=("time_s", "first"),
        end_s=("end_s", "last"),
        n_frames=("time_s", "size"),
        mean_probability=("probability", "mean"),
        peak_probability=("probability", "max"),
    ).reset_index(drop=True)
    return found.assign(duration_s=found["end_s"] - found["start_s"], peak_s=peak["time_s"].to_numpy())
