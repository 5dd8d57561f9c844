"""Stage `report`: the tables that a user opens, without the clip's path, which is not part of any key."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer import __version__
from vidfer.inference.decision import predominant
from vidfer.pipeline.columns import to_csv, to_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage
from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import EMOTIONS, Status

Floats = npt.NDArray[np.floating]
Columns = Mapping[str, Sequence[Any] | npt.NDArray[Any]]

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "frames": {
        **{"frame": "int64", "time_s": "double", "person": "int64", "expression": "string"},
        **dict.fromkeys((*EMOTIONS, "x0", "y0", "x1", "y1", "score", "blur", "size"), "double"),
        **dict.fromkeys(("yaw", "pitch", "roll", "noise_sigma", "brightness", "contrast", "overexposed"), "double"),
        **dict.fromkeys(("eyes_covered", "mouth_covered", "outside", "weight"), "double"),
        "flaws": "string",
        "denoised": "bool",
    },
    "people": {
        **{"person": "int64", "first_s": "double", "last_s": "double", "n_faces": "int64", "n_uncertain": "int64"},
        **{"predominant": "string", "margin": "double", **dict.fromkeys(EMOTIONS, "double")},
        **{"vote": "string", **{f"vote_{name}": "double" for name in EMOTIONS}},
    },
    "windows": {
        **{"start_s": "double", "end_s": "double", "status": "string", "expression": "string"},
        **dict.fromkeys(EMOTIONS, "double"),
    },
}
"""Columns of each table, with their types as pyarrow names them."""


@dataclass(frozen=True)
class ReportStage(Stage):
    """Write each of `TABLES` as Parquet and CSV, with its columns also where it has no rows, and `summary.json`.

    Parquet holds numbers as they are; CSV and JSON have six decimals.
    """

    name: ClassVar[str] = "report"
    version: ClassVar[int] = 6
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise", "finetune", "audio", "classify")

    def tools(self) -> Mapping[str, str | None]:
        """Name vidfer's own version, which the summary prints."""
        return {"vidfer": __version__}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the tables and the summary."""
        classify = inputs["classify"]
        probabilities = classify.arrays("probabilities.safetensors") if classify.names("probabilities") else {}
        predictions = classify.json("predictions.json")
        abstain = predictions["settings"]["abstain"]
        tables: dict[str, Columns] = {"people": _people(predictions["people"])}
        if "faces" in probabilities:
            tables["frames"] = _frames(inputs["faces"], inputs["denoise"], probabilities["faces"], abstain)
        if "windows" in probabilities:
            tables["windows"] = _windows(
                inputs["audio"], probabilities["windows"], abstain, predictions["sound"]["status"]
            )
        for name, data in table_files(tables).items():
            draft.write(name, data)
        draft.write_json("summary.json", _summary(predictions, inputs))
        return Outcome(classify.status, classify.message)


def table_files(tables: Mapping[str, Columns]) -> dict[str, bytes]:
    """Encode the columns in `TABLES` of tables as files by name; tables that are not given have no rows."""
    files = {}
    for name, types in TABLES.items():
        columns = {column: tables[name][column] if name in tables else () for column in types}
        files[f"{name}.parquet"], files[f"{name}.csv"] = to_parquet(columns, types), to_csv(columns)
    return files


def _frames(faces: Artifact, denoise: Artifact, probabilities: Floats, abstain: float | None) -> Columns:
    table = faces.table("faces.parquet")
    denoised = np.zeros(len(probabilities), bool)
    if denoise.names("denoise.parquet"):
        denoised = denoise.table("denoise.parquet")["denoised"]
    expression = [predominant(row, abstain)[0] for row in probabilities]
    return {
        **table,
        **dict(zip(EMOTIONS, probabilities.T, strict=True)),
        "person": table["track"],
        "expression": expression,
        "denoised": denoised,
    }


def _people(people: Sequence[Mapping[str, Any]]) -> Columns:
    rows = []
    for person in people:
        vote, shares = person["vote"]["predominant"], person["vote"]["distribution"] or dict.fromkeys(EMOTIONS)
        votes = {f"vote_{name}": share for name, share in shares.items()}
        rows.append({**person, **person["distribution"], **votes, "vote": vote})
    return {name: [row[name] for row in rows] for name in TABLES["people"]}


def _windows(audio: Artifact, probabilities: Floats, abstain: float | None, of_sound: str) -> Columns:
    windows = audio.arrays("windows.safetensors")
    unused = np.isnan(probabilities[:, 0])
    without = Status.NO_MODEL if of_sound == Status.NO_MODEL else Status.NO_VOICE
    status = np.where(unused, np.where(windows["silent"] == 1, "silent", without), "ok").tolist()
    expression = [None if np.isnan(row[0]) else predominant(row, abstain)[0] for row in probabilities]
    start, end = windows["times"].T
    return {
        "start_s": start,
        "end_s": end,
        "status": status,
        "expression": expression,
        **dict(zip(EMOTIONS, probabilities.T, strict=True)),
    }


def _summary(predictions: Mapping[str, Any], inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    classify, denoise = inputs["classify"], inputs["denoise"]
    exact = {name: predictions[name] for name in ("faces", "sound", "fused", "people")}
    parts = json.loads(json.dumps(exact), parse_float=lambda text: round(float(text), 6))
    recipes = {name: artifact.manifest["recipe"] for name, artifact in inputs.items()}
    stages = {
        name: {"key": inputs[name].key, **{part: recipe[part] for part in ("version", "params", "tools")}}
        for name, recipe in recipes.items()
    }
    return {
        "status": classify.status,
        "message": classify.message,
        **{name: parts["fused"][name] for name in ("predominant", "margin", "modalities")},
        **parts,
        "settings": predictions["settings"],
        "denoise": {**denoise.meta, **inputs["finetune"].meta} if denoise.meta else None,
        "provenance": {"vidfer": __version__, "source_blake3": recipes["faces"]["source"], "stages": stages},
    }
