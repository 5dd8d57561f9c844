"""A clip's summary beside its tables: after markers have excluded times it says what they say, with six decimals."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidfer.inference import decision
from vidfer.results.repool import counts, probabilities
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]


def rounded(summary: Mapping[str, Any]) -> Record:
    """Return a summary whose predictions have six decimals, for people who read it; the tables keep all."""
    parts = {name: summary[name] for name in ("margin", "faces", "sound", "fused", "people")}
    return {**summary, **json.loads(json.dumps(parts), parse_float=lambda text: round(float(text), 6))}


def amended(summary: Mapping[str, Any], tables: "Mapping[str, pd.DataFrame]") -> Record:
    """Return a summary in which the predictions and counts are those of the tables, where rows of these are excluded.

    Statuses stay: they say what the file holds.
    """
    frames, windows = (tables[name][counts(tables[name])] for name in ("frames", "windows"))
    if not summary["settings"] or (len(frames), len(windows)) == (len(tables["frames"]), len(tables["windows"])):
        return dict(summary)
    clip, abstain = tables["clips"].iloc[0], summary["settings"]["abstain"]
    images = frames[frames[EMOTIONS[0]].notna()]
    faces = {name: int(clip[name]) for name in ("n_frames", "n_faces", "n_unusable", "n_uncertain", "n_people")}
    heard = windows["status"].value_counts()
    sound = {"n_windows": len(windows), **{f"n_{name}": int(heard.get(name, 0)) for name in ("silent", "no_voice")}}
    modalities = [] if clip.isna()["modalities"] else str(clip["modalities"]).split("+")
    parts = {prefix: _answer(clip, prefix, abstain) for prefix in ("", "faces_", "sound_")}
    method = "late" if len(modalities) > 1 else "alone" if modalities else None
    weights = {"faces": summary["settings"]["face_weight"], "sound": summary["settings"]["sound_weight"]}
    fused = {
        **{"modalities": modalities, "method": method},
        "weights": {name: weights[name] if method == "late" else 1.0 for name in modalities},
    }
    voted = {"vote": _votes(images, abstain) if len(images) else None}
    strips = {one["person"]: one["strip_s"] for one in summary["people"] if "strip_s" in one}
    people = [
        _person(row, images[images["person_id"] == row["person_id"]], abstain, strips)
        for _, row in tables["people"].iterrows()
    ]
    return {
        **summary,
        **{name: parts[""][name] for name in ("predominant", "margin")},
        "modalities": modalities,
        "faces": {**summary["faces"], **parts["faces_"], **faces, **voted},
        "sound": {**summary["sound"], **parts["sound_"], **sound},
        "fused": {**summary["fused"], **parts[""], **fused},
        "people": people,
    }


def _answer(row: "pd.Series[Any]", prefix: str, abstain: float | None) -> Record:
    if row.isna()[f"{prefix}predominant"]:
        return {"predominant": None, "margin": None, "distribution": None}
    return _record(row[[f"{prefix}{name}" for name in EMOTIONS]].to_numpy(float), abstain)


def _record(distribution: decision.Floats, abstain: float | None) -> Record:
    name, margin = decision.predominant(distribution, abstain)
    return {"predominant": name, "margin": margin, "distribution": decision.by_name(distribution)}


def _votes(images: "pd.DataFrame", abstain: float | None) -> Record:
    values = probabilities(images)
    voting = values[decision.certain(values, abstain)]
    if not len(voting):
        return {"predominant": decision.UNCERTAIN, "margin": None, "distribution": None}
    return _record(decision.vote(voting), None)


def _person(
    row: "pd.Series[Any]", images: "pd.DataFrame", abstain: float | None, strips: Mapping[int, list[float]]
) -> Record:
    """Return a person as the summary has it; the strip of face images is as it was, excluded times included."""
    seen = {name: float(row[name]) for name in ("first_s", "last_s")}
    number = {name: int(row[name]) for name in ("person", "n_faces", "n_uncertain")}
    strip = {"strip_s": strips[number["person"]]} if number["person"] in strips else {}
    return {**number, **seen, **strip, "vote": _votes(images, abstain), **_answer(row, "", abstain)}
