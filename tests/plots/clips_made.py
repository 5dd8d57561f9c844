"""Clips made by hand, of any length and any number of people, as the tables of a run."""

import numpy as np
import pandas as pd

from tests.results.made import faces_of, report_of, summary_of, times_of, windows_of
from vidfer.results.clip_folder import write_clip
from vidfer.results.frames import build_frames
from vidfer.results.run import load_run
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


def write_run(folder, **clips):
    """Write a run of clips by name, each with the arguments of `clip` and its answer."""
    for name, how in clips.items():
        answer = how.pop("answer", None)
        tables = clip(clip_id=f"{name}.mp4", **how)
        tables["clips"] = tables["clips"].assign(sound_predominant=pd.array([None], "string"))
        if answer:
            at = {"predominant": answer, **dict.fromkeys(EMOTIONS, 0.05), answer: 0.7}
            tables["clips"] = tables["clips"].assign(**at, faces_predominant=answer)
        else:
            tables["clips"] = tables["clips"].assign(predominant=None).astype({"predominant": "string"})
        write_clip(folder / f"{name}.mp4", f"{name}.mp4", tables, summary_of(how.get("people", 1), clip=f"{name}.mp4"))
    return load_run(folder)
