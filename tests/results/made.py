"""Times and faces made by hand, as stage `faces` would find them."""

import numpy as np
import pandas as pd

from vidfer.results.schema import TABLES, typed
from vidfer.results.tables import NO_MEDIA, Report
from vidfer.types import EMOTIONS

FPS = 5


def times_of(seconds, fps=FPS, **columns):
    """Sample a clip of so many seconds."""
    count = round(seconds * fps)
    table = {"frame": np.arange(count) * 5, "time_s": np.arange(count) / fps, "brightness": 100.0, "cut": False}
    return pd.DataFrame({**table, "width": 640, "height": 360, **columns})


def faces_of(times, **people):
    """Give each person, `p1=[places]`, a good face in the middle of the frame at these places of the times."""
    parts = []
    for name, places in people.items():
        rows = times.iloc[places][["frame", "time_s"]].assign(person=int(name[1:]), weight=1.0, flaws="")
        parts.append(rows.assign(x0=300.0, y0=100.0, x1=400.0, y1=200.0, face_size=100.0))
    rows = (
        pd.concat(parts)
        if parts
        else times.iloc[:0][["frame", "time_s"]].assign(
            **dict.fromkeys(("person", "weight", "flaws", "x0", "y0", "x1", "y1", "face_size"))
        )
    )
    return rows.reset_index(drop=True).assign(**{**dict.fromkeys(EMOTIONS, 0.1), "happy": 0.4})


def summary_of(people=0, **changed):
    """Return a summary of a clip in which everything was found, or what is changed."""
    part = {
        "status": "ok",
        "message": "",
        "predominant": "happy",
        "margin": 0.3,
        "distribution": dict.fromkeys(EMOTIONS, 1 / 7),
    }
    counts = {"n_frames": 50, "n_faces": 40, "n_unusable": 1, "n_uncertain": 2, "n_people": people}
    summary = {
        **part,
        "clip": "videos/a.mp4",
        "modalities": ["faces", "sound"],
        "faces": {**part, **counts, "vote": None},
        "sound": {**part, "n_windows": 9, "n_silent": 0, "n_no_voice": 0},
        "fused": {**part, "modalities": ["faces", "sound"], "method": "late", "weights": {}},
        "people": [{**part, "person": number + 1} for number in range(people)],
        "settings": {"abstain": None, "face_weight": 1.0, "sound_weight": 1.0},
        "denoise": None,
        "provenance": {"vidfer": "0", "source_blake3": "b" * 64, "stages": {}},
        "media": {**NO_MEDIA, "notes": [], "duration_s": 10.0, "step_s": 0.2},
        "analyzed_at": "2026-01-02T03:04:05Z",
        "elapsed_s": 1.5,
    }
    return {**summary, **changed}


def report_of(frames, windows=None, **changed):
    """Return a report with these frames and windows."""
    people = sorted(set(frames["person"].dropna()))
    bare = Report.empty(summary_of(len(people), **changed))
    rows = typed("people", pd.DataFrame({"person": people, "n_faces": 3}))
    given = bare.windows if windows is None else typed("windows", windows)
    return Report(bare.summary, frames, rows.drop(columns=["clip_id", "person_id"]), given)


def windows_of(*spans, status="ok", **shares):
    """Return windows of sound `(start, end)` with equal probabilities but those given."""
    rows = pd.DataFrame(spans, columns=["start_s", "end_s"], dtype=float)
    return rows.assign(status=status, speech=1.0, **{**dict.fromkeys(EMOTIONS, 1 / 7), **shares})


def dtypes(tables):
    """Return the types of all columns of tables."""
    return {name: rows.dtypes.to_dict() for name, rows in tables.items()}


def named(table):
    """Return the names of a table's columns."""
    return [column.name for column in TABLES[table]]
