"""Clips made by hand, whole: tables, summary and pictures, as an analysis would have them."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from tests.results.made import faces_of, report_of, times_of, windows_of
from tests.results.test_merge import SETTINGS
from vidfer.results.amend import amended
from vidfer.results.design import ClipDesign
from vidfer.results.frames import build_frames
from vidfer.results.pictures import STRIP, STRIPS, TILE, Pictures, encode_poster, encode_strip
from vidfer.results.repool import repool
from vidfer.results.tables import TableOptions, build_tables
from vidfer.types import EMOTIONS

CLIP = "holiday/a.mp4"


def clip_of(people=2, seconds=12, fps=5, *, sound=True, clip_id=CLIP, markers=None, abstain=None, **how):
    """Return tables, summary and pictures of a clip in which people show expressions that change slowly.

    Args:
        how: `missing`, the share of the time, in the middle of the clip, at which nobody has a face; `weight` of all face
            images, by default random; and whatever of the summary is to be changed.
    """
    missing, weight = how.pop("missing", 0.0), how.pop("weight", None)
    rng, settings = np.random.default_rng(people + 7), {**SETTINGS, "abstain": abstain}
    times = times_of(seconds, fps)
    middle, half = len(times) / 2, missing * len(times) / 2
    seen = [place for place in range(len(times)) if abs(place + 0.5 - middle) >= half]
    faces = faces_of(times, **{f"p{n + 1}": seen[n % 3 :] for n in range(people)})
    if len(faces):
        slow = rng.normal(size=(len(faces) // (2 * fps) + 2, 7)).repeat(2 * fps, axis=0)[: len(faces)]
        shares = np.exp(2 * slow + 0.3 * rng.normal(size=slow.shape))
        shares /= shares.sum(1, keepdims=True)
        weights = rng.choice([0.1, 0.6, 0.95], len(faces), p=[0.1, 0.2, 0.7]) if weight is None else weight
        faces = faces.assign(weight=weights, **dict(zip(EMOTIONS, shares.T, strict=True)))
        faces["flaws"] = np.where(faces["weight"] < 0.25, "blurred, turned", "")
    windows = windows_of(*((t, t + 2) for t in range(int(seconds) - 1)), sad=0.5) if sound else None
    design = ClipDesign(clip_id, markers=markers)
    media = {
        **report_of(faces).summary["media"],
        "duration_s": float(seconds),
        "step_s": 1 / fps,
        "cuts_s": [0.0, seconds / 3],
    }
    frames = build_frames(times, faces, abstain)
    report = report_of(frames, windows, settings=settings, media=media, **how)
    pooled, _ = repool(build_tables(report, clip_id), settings)
    report = replace(report, people=pooled["people"][[*report.people.columns]])
    counted = dict(zip(pooled["people"]["person"], pooled["people"]["n_faces"], strict=True))
    most = sorted(counted, key=lambda number: -counted[number])[:STRIPS]
    own = {n: faces[faces["person"] == n]["time_s"].round(3).tolist() for n in most}
    strips = {n: own[n][:: max(1, -(-len(own[n]) // STRIP))] for n in most}
    nothing = dict.fromkeys(("predominant", "margin", "distribution"))
    listed = [{"person": int(n), **nothing, "strip_s": strips.get(n, [])} for n in counted]
    summary = {**report.summary, "people": listed, "tables": {**_plain(design)}}
    tables = build_tables(replace(report, summary=summary), clip_id, TableOptions(), design)
    for name, column in pooled["clips"].items():
        if name in tables["clips"] and tables["clips"][name].isna().all():
            tables["clips"][name] = column
    pictures = Pictures(
        {n: encode_strip([tile(n)]) for n in counted},
        {n: encode_strip([tile(n + k) for k in range(len(at))]) for n, at in strips.items()},
        encode_poster(cv2.resize(tile(3), (640, 360))),
    )
    return tables, amended(summary, tables), pictures


def _plain(design):
    return {"grid": 1.0, "min_segment": 0.5, **design.record()}


@cache
def tile(seed):
    """Make a picture about as hard to encode as a face."""
    rough = np.random.default_rng(seed % 50).integers(0, 255, (12, 12, 3), np.uint8)
    return cv2.resize(rough, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
