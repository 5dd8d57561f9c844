"""Clips made by hand, of any length and any number of people, as the tables of a run."""

import numpy as np

from tests.results.made import faces_of, report_of, times_of, windows_of
from vidfer.results.frames import build_frames
from vidfer.results.tables import NO_MEDIA, build_tables
from vidfer.types import EMOTIONS


def clip(seconds=4.0, people=1, clip_id="a.mp4", names=None, sound=False, fps=5, seed=0, shown=1.0):
    """Return the six tables of a clip in which everybody is seen in a share of the frames, with random expressions."""
    times = times_of(seconds, fps)
    rng = np.random.default_rng(seed)
    places = [p for p in range(len(times)) if shown and p % max(1, round(1 / shown)) == 0]
    rows = faces_of(times, **{f"p{number + 1}": places for number in range(people)}) if people else faces_of(times)
    if len(rows):
        rows[list(EMOTIONS)] = rng.dirichlet(np.full(7, 0.3), len(rows))
    windows = windows_of(*[(start, start + 1) for start in range(int(seconds))]) if sound else None
    media = {**NO_MEDIA, "duration_s": float(seconds), "step_s": 1 / fps}
    tables = build_tables(report_of(build_frames(times, rows, None), windows, media=media), clip_id)
    for name, called in (names or {}).items():
        for table in ("frames", "seconds", "segments", "people"):
            tables[table].loc[tables[table]["person_id"] == f"{clip_id}#{name}", "person_name"] = called
    return tables
