"""Stage `report`: the tables that a user opens, without the clip's path, which is not part of any key."""

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
from vidfer.types import EMOTIONS

Floats = npt.NDArray[np.floating]
Columns = Mapping[str, Sequence[Any] | npt.NDArray[Any]]

_BOX: Final = ("x0", "y0", "x1", "y1")
_MEASURES: Final = ("score", "blur", "size", "yaw", "pitch", "roll", "noise_sigma", "weight")

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "frames": {
        **{"frame": "int64", "time_s": "double", "person": "int64", "expression": "string"},
        **dict.fromkeys((*EMOTIONS, *_BOX, *_MEASURES), "double"),
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
    """Lay the predictions out as the tables `frames`, `people` and `windows` and a summary.

    Artifact: each table as Parquet and CSV, with its columns also where it has no rows, and `summary.json`. Parquet holds
    numbers as they are; CSV and JSON have six decimals.
    """

    name: ClassVar[str] = "report"
    version: ClassVar[int] = 5
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise", "finetune", "audio", "classify")

    def tools(self) -> Mapping[str, str | None]:
        """Name vidfer's own version, which the summary prints."""
        return {"vidfer": __version__}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the tables and the summary."""
        classify = inputs["classify"]
        names = classify.names("probabilities")
        probabilities = classify.arrays(names[0]) if names else {}
        predictions = classify.json("predictions.json")
        abstain = predictions["settings"]["abstain"]
        tables: dict[str, Columns] = {"people": _people(predictions["people"])}
        if "faces" in probabilities:
            tables["frames"] = _frames(inputs["faces"], inputs["denoise"], probabilities["faces"], abstain)
        if "windows" in probabilities:
            tables["windows"] = _windows(inputs["audio"], probabilities["windows"], abstain)
        for name, data in table_files(tables).items():
            draft.write(name, data)
        draft.write_json("summary.json", _summary(predictions, inputs))
        return Outcome(classify.status, classify.message)


def table_files(tables: Mapping[str, Columns]) -> dict[str, bytes]:
    """Encode tables as files by name; those of `TABLES` that are not given have columns and no rows."""
    files = {}
    for name, types in TABLES.items():
        columns = tables.get(name, dict.fromkeys(types, ()))
        files[f"{name}.parquet"], files[f"{name}.csv"] = to_parquet(columns, types), to_csv(columns)
    return files


def _frames(faces: Artifact, denoise: Artifact, probabilities: Floats, abstain: float | None) -> Columns:
    table = faces.table("faces.parquet")
    denoised = np.zeros(len(probabilities), bool)
    if denoise.names("denoise.parquet"):
        denoised = denoise.table("denoise.parquet")["denoised"]
    return {
        **{"frame": table["frame"], "time_s": table["time_s"], "person": table["track"]},
        "expression": [predominant(row, abstain)[0] for row in probabilities],
        **_by_class(probabilities),
        **{name: table[name] for name in (*_BOX, *_MEASURES)},
        "denoised": denoised,
    }


def _people(people: Sequence[Mapping[str, Any]]) -> Columns:
    plain = ("person", "first_s", "last_s", "n_faces", "n_uncertain", "predominant", "margin")
    columns: dict[str, list[Any]] = {name: [person[name] for person in people] for name in plain}
    for name in EMOTIONS:
        columns[name] = [person["distribution"][name] for person in people]
    columns["vote"] = [person["vote"]["predominant"] for person in people]
    for name in EMOTIONS:
        columns[f"vote_{name}"] = [(person["vote"]["distribution"] or {}).get(name) for person in people]
    return columns


def _windows(audio: Artifact, probabilities: Floats, abstain: float | None) -> Columns:
    windows = audio.arrays("windows.safetensors")
    used = ~np.isnan(probabilities[:, 0])
    unused = np.where(windows["silent"] == 1, "silent", "no_voice")
    return {
        "start_s": windows["times"][:, 0],
        "end_s": windows["times"][:, 1],
        "status": np.where(used, "ok", unused).tolist(),
        "expression": [
            predominant(row, abstain)[0] if is_used else None for row, is_used in zip(probabilities, used, strict=True)
        ],
        **_by_class(probabilities),
    }


def _by_class(probabilities: Floats) -> dict[str, Floats]:
    return {name: probabilities[:, i] for i, name in enumerate(EMOTIONS)}


def _summary(predictions: Mapping[str, Any], inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    faces, classify = inputs["faces"], inputs["classify"]
    parts = {name: rounded(predictions[name]) for name in ("faces", "sound", "fused", "people")}
    fused = parts["fused"]
    recipe_parts = ("version", "params", "tools")
    return {
        "status": classify.status,
        "message": classify.message,
        **{name: fused[name] for name in ("predominant", "margin", "modalities")},
        **parts,
        "settings": predictions["settings"],
        "denoise": {**inputs["denoise"].meta, **inputs["finetune"].meta} if inputs["denoise"].meta else None,
        "provenance": {
            "vidfer": __version__,
            "source_blake3": faces.manifest["recipe"]["source"],
            "stages": {
                name: {"key": artifact.key, **{part: artifact.manifest["recipe"][part] for part in recipe_parts}}
                for name, artifact in inputs.items()
            },
        },
    }


def rounded(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Round every float inside JSON to six decimals."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return round(value, 6) if isinstance(value, float) else value
