"""What the timeline of a report draws, as compact JSON: series as base64 of integers, everything else as it is.

A person's series begin at the first time of `times` at which the person has a row, and go on without holes: `p` is `(6, N)`
uint16, the smoothed probabilities of the first six of `order` in units of 1 / `SCALE`, missing ones `MISSING`, the seventh being
the rest; `flag` is `(N,)` uint8, a place in `flags`; `weight` is `(N,)` uint8 in 1 / 255.
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.media.quality import UNUSABLE
from vidfer.pages.pictures import data_url
from vidfer.pages.report_people import Person
from vidfer.results.colours import COLOURS
from vidfer.results.names import visible
from vidfer.results.pictures import TILE, Pictures
from vidfer.results.schema import SMOOTH

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

ORDER: Final = tuple(COLOURS)
"""The expressions from bottom to top."""

SCALE: Final = 60_000
MISSING: Final = 65_535
TICKS: Final = 10_000
"""Units of time in a second."""

MOST: Final = 24
"""People with a band: those seen most."""

SAMPLES: Final = 60_000
"""Sampled times of all bands together; of more, every second, third, ... is drawn."""

_GOOD, _NOT_SEEN, _EXCLUDED = "", "not seen", "excluded"
_STATUS: Final = {"face": _GOOD, "no_face": "no face", "cut_by_edge": "cut by the edge", "too_dark": "too dark"}


def timeline(tables: "Tables", summary: Mapping[str, Any], people: list[Person], pictures: Pictures) -> dict[str, Any]:
    """Return what the timeline draws; `end` is 0 where there is nothing.

    Args:
        tables: The clip's.
        summary: For cuts, markers and the times of strips.
        people: In the order in which they are shown; without any, a lane says why there is no face.
        pictures: For strips.
    """
    frames, windows = tables["frames"], tables["windows"]
    times = np.unique(frames["time_s"].to_numpy(float))
    most = sorted(people, key=lambda person: -person.n_faces)[:MOST]
    shown = [person for person in people if person in most]
    thin = max(1, -(-len(frames) // SAMPLES))
    step = _step(times, summary) * thin
    times = times[::thin]
    flags = {name: place for place, name in enumerate((_GOOD, _NOT_SEEN, _EXCLUDED))}
    rows = _by_person(frames)
    bands = [_band(rows[person.person_id], times, step, flags) for person in shown if person.person_id in rows]
    nobody = _band(frames, times, step, flags) if len(frames) and not people else None
    segments = tables["segments"]
    end = max([times[-1] + step if len(times) else 0.0, *windows["end_s"], *segments["end_s"]], default=0.0)
    media = summary["media"]
    length = media.get("duration_s")
    return {
        "end": round(min(end, length) if length and length > (times[-1] if len(times) else 0.0) else float(end), 4),
        "step": round(step, 4),
        "thin": thin,
        "order": ORDER,
        "colours": COLOURS,
        "scale": SCALE,
        "unusable": UNUSABLE,
        "abstain": (summary["settings"] or {}).get("abstain"),
        "times": _packed(np.round(times * TICKS), np.uint32),
        "people": [
            {**band, **_person(person, segments, summary, pictures)}
            for person, band in zip((one for one in shown if one.person_id in rows), bands, strict=True)
        ],
        "nobody": nobody,
        "flags": list(flags),
        "windows": _windows(windows),
        "cuts": [time for time in media.get("cuts_s") or () if time > 0],
        "markers": [
            {**one, "name": visible(one["name"])} for one in (summary.get("tables") or {}).get("markers") or ()
        ],
    }


def _step(times: npt.NDArray[np.float64], summary: Mapping[str, Any]) -> float:
    """Return the time between two samples in s."""
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return float(summary["media"].get("step_s") or summary["media"].get("duration_s") or 1.0)


def _by_person(frames: "pd.DataFrame") -> "dict[str, pd.DataFrame]":
    return {str(name): rows for name, rows in frames.groupby("person_id", sort=False)}


def _band(rows: "pd.DataFrame", times: npt.NDArray[np.float64], step: float, flags: dict[str, int]) -> dict[str, Any]:
    """Lay a person's rows onto the times from the first to the last; a time between that has no row was not seen."""
    rows = rows.drop_duplicates("time_s", keep="last")
    places = np.searchsorted(times, rows["time_s"].to_numpy(float))
    there = (places < len(times)) & np.isclose(times[np.minimum(places, len(times) - 1)], rows["time_s"], atol=1e-9)
    rows, places = rows[there], places[there]
    if not len(rows):
        return {"first": 0, "count": 0, "p": "", "flag": "", "weight": ""}
    first, count = int(places.min()), int(places.max() - places.min()) + 1
    shares = np.full((len(ORDER) - 1, count), MISSING)
    smooth = rows[[f"{SMOOTH}{name}" for name in ORDER[:-1]]].to_numpy(float, na_value=np.nan).T
    shares[:, places - first] = np.where(np.isnan(smooth), MISSING, np.round(smooth * SCALE))
    reasons = np.full(count, flags[_NOT_SEEN])
    reasons[places - first] = [flags.setdefault(reason, len(flags)) for reason in _reasons(rows)]
    weights = np.zeros(count)
    weights[places - first] = rows["weight"].fillna(0.0).to_numpy(float)
    return {
        **{"first": first, "count": count, "p": _packed(shares, np.uint16)},
        **{"flag": _packed(reasons, np.uint8), "weight": _packed(np.round(weights * 255), np.uint8)},
    }


def _reasons(rows: "pd.DataFrame") -> list[str]:
    """Say of each row what is the matter with its face: nothing, its worst flaw, why there is none, or that it is excluded."""
    status = rows["status"].map(_STATUS).fillna("no face")
    worst = rows["flaws"].fillna("").str.split(",").str[0]
    found = status.where(rows["status"] != "face", worst)
    if "excluded" in rows:
        found = found.mask(rows["excluded"].fillna(False).astype(bool), _EXCLUDED)
    return [str(reason) for reason in found]


def _person(person: Person, segments: "pd.DataFrame", summary: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    own = segments[segments["person_id"] == person.person_id]
    strips = [
        {"src": data_url(pictures.strips[one["person"]]), "times": one["strip_s"], "tile": TILE}
        for one in summary["people"]
        if one["person"] in person.numbers and one["person"] in pictures.strips and one.get("strip_s")
    ]
    spans = own[["start_s", "end_s"]].round(3).astype(float).to_numpy().tolist()
    return {
        **{
            "key": person.key,
            "name": visible(person.label),
            "faces": person.n_faces,
            "seen": [person.first_s, person.last_s],
            "strips": strips,
        },
        "segments": [[*span, str(name)] for span, name in zip(spans, own["expression"], strict=True)],
    }


def _windows(windows: "pd.DataFrame") -> dict[str, Any]:
    """Return the windows of sound; probabilities of those that were not classified are empty."""
    excluded = windows["excluded"].fillna(False) if "excluded" in windows else [False] * len(windows)
    shares = windows[list(ORDER)].to_numpy(float, na_value=np.nan)
    return {
        **{name: windows[f"{name}_s"].astype(float).round(3).tolist() for name in ("start", "end")},
        "status": [
            _EXCLUDED if out else str(status).replace("_", " ")
            for status, out in zip(windows["status"], excluded, strict=True)
        ],
        "speech": [round(float(share), 3) for share in windows["speech"].fillna(0.0)],
        "p": [[] if np.isnan(row).any() else row.round(4).tolist() for row in shares],
    }


def _packed(values: npt.ArrayLike, kind: type[np.unsignedinteger[Any]]) -> str:
    """Encode whole numbers as little-endian integers in base64."""
    return base64.b64encode(np.asarray(values).astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()
